/** Secrets from `${file:…}` that are replaced while gatepass runs: they take effect without a restart. */
import {createHash} from 'node:crypto';
import {renameSync, rmSync, utimesSync, writeFileSync} from 'node:fs';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {createGatepass, type Gatepass, TokenRequestError} from '../../src/index.ts';
import {answerJson, startServer, type TestServer} from '../../src/testing/server.ts';

let folder: string;
let tokens: TestServer;
/** The secret that the server takes. */
let valid: string;
let gatepass: Gatepass | undefined;

beforeEach(async () => {
	folder = await mkdtemp(join(tmpdir(), 'gatepass-rotation-'));
	valid = 'first-secret';
	write('secret', `${valid}\n`);
	tokens = await startServer(({headers}, response) => {
		const [, secret] = Buffer.from(String(headers.authorization).slice('Basic '.length), 'base64')
			.toString()
			.split(':');
		if (secret !== valid) return answerJson(response, 401, {error: 'invalid_client'});
		answerJson(response, 200, {
			access_token: `token-${tokens.requests.length}`,
			token_type: 'Bearer',
			expires_in: 300,
		});
	});
});
afterEach(async () => {
	await gatepass?.close();
	gatepass = undefined;
	await tokens.close();
	await rm(folder, {recursive: true, force: true});
});

/** As orchestrators do: another file takes the place of the one before. */
function write(name: string, text: string): void {
	writeFileSync(join(folder, `${name}.new`), text);
	renameSync(join(folder, `${name}.new`), join(folder, name));
}

function rotate(secret: string): void {
	valid = secret;
	write('secret', `${secret}\n`);
}

const url = 'https://api.example.org/';
const sso = () => ({
	strategy: 'sso-client-credentials',
	options: {clientId: 'a', clientSecret: '${file:secret}', tokenEndpoint: `${tokens.url}/token`},
});

async function open(rule: {strategy: string; options: Record<string, unknown>}): Promise<Gatepass> {
	gatepass = await createGatepass({
		config: {cache: {url: 'memory:'}, hostRules: [{match: url, ...rule}]},
		env: {},
		cwd: folder,
	});
	return gatepass;
}

const shownBy = async (opened: Gatepass, options = {}) =>
	(await opened.authorize(url, options)).headers.authorization;

test('the next token request has the new client secret; a token at hand stays in use', async () => {
	const opened = await open(sso());
	expect(await shownBy(opened)).toBe('Bearer token-1');
	rotate('other-secret');
	expect(await shownBy(opened)).toBe('Bearer token-1');
	expect(await shownBy(opened, {fresh: true})).toBe('Bearer token-2');
	// Of the same size, within the same second.
	rotate('third-secret');
	expect(await shownBy(opened, {fresh: true})).toBe('Bearer token-3');
	expect(tokens.requests).toHaveLength(3);
});

test('written in place, on a file system that counts in seconds', async () => {
	const second = new Date(Math.floor(Date.now() / 1000) * 1000);
	const inPlace = (secret: string): void => {
		valid = secret;
		writeFileSync(join(folder, 'secret'), secret);
		utimesSync(join(folder, 'secret'), second, second);
	};
	inPlace('secret-1');
	const opened = await open(sso());
	expect(await shownBy(opened)).toBe('Bearer token-1');
	inPlace('secret-2');
	expect(await shownBy(opened, {fresh: true})).toBe('Bearer token-2');
});

test('one that is replaced before the first request', async () => {
	const opened = await open(sso());
	rotate('other-secret');
	expect(await shownBy(opened)).toBe('Bearer token-1');
});

test.each<[string, () => void]>([
	['missing', () => rmSync(join(folder, 'secret'))],
	['empty', () => write('secret', '\n')],
	['too large', () => write('secret', 'x'.repeat(100_000))],
])('while the file is %s, what it held before stays in use', async (_, damage) => {
	const opened = await open(sso());
	expect(await shownBy(opened)).toBe('Bearer token-1');
	damage();
	expect(await shownBy(opened, {fresh: true})).toBe('Bearer token-2');
	rotate('other-secret');
	expect(await shownBy(opened, {fresh: true})).toBe('Bearer token-3');
});

test('many requests at once', async () => {
	const opened = await open(sso());
	await shownBy(opened);
	rotate('other-secret');
	const tenants = Array.from({length: 20}, (_, index) => ({tenant: `t${index}`}));
	const shown = await Promise.all(tenants.map(tenant => shownBy(opened, tenant)));
	expect(new Set(shown).size).toBe(20);
});

test('of any strategy, also inside of another, and in a part of a value', async () => {
	const options = {
		of: [{strategy: 'static-token', options: {header: 'x-key', value: 'key=${file:secret};'}}],
	};
	const opened = await open({strategy: 'chain', options});
	expect((await opened.authorize(url)).headers).toEqual({'x-key': 'key=first-secret;'});
	write('secret', 'other');
	expect((await opened.authorize(url)).headers).toEqual({'x-key': 'key=other;'});
});

test('forget() reaches the tokens that were fetched with the secret before', async () => {
	const opened = await open(sso());
	const before = await shownBy(opened, {tenant: 'somebody'});
	rotate('other-secret');
	await shownBy(opened, {tenant: 'another'});
	await opened.forget();
	expect(await shownBy(opened, {tenant: 'somebody'})).not.toBe(before);
});

test('neither the old nor the new secret is in a message', async () => {
	await tokens.close();
	tokens = await startServer((_, response) =>
		answerJson(response, 400, {error: 'x', error_description: 'I had first-secret, and got other-secret'}),
	);
	const opened = await open(sso());
	await opened.authorize(url).catch(() => {});
	write('secret', 'other-secret');
	const error = await opened.authorize(url).catch((error: unknown) => error);
	expect(error).toBeInstanceOf(TokenRequestError);
	expect((error as Error).message).not.toContain('other-secret');
});

test('a strategy that hashes the body gets it', async () => {
	write('secret', Buffer.alloc(32, 1).toString('base64'));
	const opened = await open({
		strategy: 'http-signature',
		options: {
			keyId: 'a',
			algorithm: 'hmac-sha256',
			secret: '${file:secret}',
			components: ['@method', 'content-digest'],
		},
	});
	const {headers} = await opened.authorize(url, {method: 'POST', body: 'the body'});
	const hash = createHash('sha256').update('the body').digest('base64');
	expect(headers['content-digest']).toBe(`sha-256=:${hash}:`);
});
