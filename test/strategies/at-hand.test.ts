/** Credentials that are at hand: over undici, requests with them need no conversation, and are what conversations send. */
import {readFileSync, renameSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {Dispatcher} from 'undici';
import {request} from 'undici';
import {afterEach, beforeEach, describe, expect, test, vi} from 'vitest';
import {createGatepass, type Gatepass} from '../../src/index.ts';
import type {AuthStrategy} from '../../src/strategy/index.ts';
import {answerJson, startServer, type TestServer} from '../../src/testing/server.ts';
import {CommandStrategy} from '../../strategies/command/index.ts';
import {KeptCredential} from '../../strategies/command/kept-credential.ts';
import {SsoClientCredentialsStrategy} from '../../strategies/sso-client-credentials/index.ts';
import {WlcgTokenStrategy} from '../../strategies/wlcg-token/index.ts';
import {programsForEachTest} from './programs.ts';
import {unsignedJwt} from './unsigned-jwt.ts';

const programs = programsForEachTest();
let api: TestServer;
let gatepass: Gatepass;
let refused: Set<unknown>;
/** What the API was shown. */
let shown: unknown[];

beforeEach(async () => {
	refused = new Set();
	shown = [];
	api = await startServer(({headers}, response) => {
		shown.push(headers['x-key'] ?? headers.authorization);
		response.writeHead(refused.has(shown.at(-1)) ? 401 : 200).end();
	});
});
afterEach(async () => {
	vi.useRealTimers();
	vi.restoreAllMocks();
	await gatepass.close();
	await api.close();
});

async function open(strategy: string, options: object, env: Record<string, string> = {}): Promise<void> {
	const rule = {match: api.url, strategy, options};
	gatepass = await createGatepass({
		cwd: programs.folder,
		env,
		config: {cache: {url: 'memory:'}, hostRules: [rule as never]},
	});
}

async function send(): Promise<number> {
	const {statusCode, body} = await request(api.url, {dispatcher: gatepass.dispatcher as Dispatcher});
	await body.dump();
	return statusCode;
}

function conversations({prototype}: {prototype: AuthStrategy}): () => number {
	const spy = vi.spyOn(prototype, 'authenticate');
	return () => spy.mock.calls.length;
}

describe('command', () => {
	const exec = (token: string): string =>
		JSON.stringify({apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status: {token}});

	test.each<[string, string, Record<string, unknown>, string]>([
		['a text', 'canary', {}, 'Bearer canary'],
		['a text in a header', 'canary', {header: 'X-Key'}, 'canary'],
		['JSON', '{"access_token":"canary","expires_in":600}', {format: 'json'}, 'Bearer canary'],
		['an ExecCredential', exec('canary'), {format: 'exec-credential'}, 'Bearer canary'],
	])('%s is asked for once', async (_, output, options, header) => {
		const count = conversations(CommandStrategy as never);
		await open('command', {command: await programs.printing(output), ...options});
		for (let round = 0; round < 4; round += 1) expect(await send()).toBe(200);
		expect(shown).toEqual(Array(4).fill(header));
		expect(count()).toBe(1);
	});

	test.each(['text', 'exec-credential'])('what is refused is replaced: %s', async format => {
		const file = join(programs.folder, 'output');
		const print = (token: string): void => writeFileSync(file, format === 'text' ? token : exec(token));
		print('first');
		await open('command', {command: ['/bin/cat', file], format});
		await send();
		print('second');
		expect(await send()).toBe(200);
		expect(shown).toEqual(['Bearer first', 'Bearer first']);
		refused.add('Bearer first');
		expect(await send()).toBe(200);
		expect(await send()).toBe(200);
		expect(shown.slice(2)).toEqual(['Bearer first', 'Bearer second', 'Bearer second']);
	});

	test('what is due for renewal, or has expired, is not at hand', async () => {
		vi.useFakeTimers({toFake: ['Date']});
		const kept = new KeptCredential(async () => ({expiresAt: Date.now() + 100_000}));
		expect(kept.atHand).toBeUndefined();
		const credential = await kept.get();
		expect(kept.atHand).toBe(credential);
		vi.advanceTimersByTime(75_000);
		expect(kept.atHand).toBeUndefined();
		kept.clear();
		expect(kept.atHand).toBeUndefined();
	});
});

describe('wlcg-token', () => {
	test('a token in the variable needs none', async () => {
		const count = conversations(WlcgTokenStrategy as never);
		const token = unsignedJwt({exp: Math.floor(Date.now() / 1000) + 600});
		await open('wlcg-token', {}, {BEARER_TOKEN: `${token}\n`});
		for (let round = 0; round < 3; round += 1) expect(await send()).toBe(200);
		expect(shown).toEqual(Array(3).fill(`Bearer ${token}`));
		expect(count()).toBe(0);
		vi.useFakeTimers({toFake: ['Date']});
		vi.advanceTimersByTime(600_000);
		await expect(send()).rejects.toMatchObject({diagnostics: [{code: 'token-expired'}]});
	});

	test('what is no token is told as ever', async () => {
		await open('wlcg-token', {}, {BEARER_TOKEN: 'no token'});
		await expect(send()).rejects.toMatchObject({diagnostics: [{code: 'token-malformed'}]});
	});

	test('a file is looked at for each request', async () => {
		const file = join(programs.folder, 'token');
		await open('wlcg-token', {file}, {BEARER_TOKEN: 'from-the-variable'});
		for (const token of ['first', 'second']) {
			writeFileSync(file, token);
			expect(await send()).toBe(200);
		}
		expect(shown).toEqual(['Bearer first', 'Bearer second']);
	});
});

describe('secrets from files', () => {
	const write = (name: string, text: string): void => {
		writeFileSync(join(programs.folder, `${name}.new`), text);
		renameSync(join(programs.folder, `${name}.new`), join(programs.folder, name));
	};

	test('a token that was issued for one is at hand, and the files are looked at each second', async () => {
		vi.useFakeTimers({toFake: ['performance']});
		const issuer = await startServer(({headers}, response) =>
			answerJson(response, 200, {
				access_token: Buffer.from(String(headers.authorization).slice(6), 'base64').toString().split(':')[0],
				token_type: 'Bearer',
				expires_in: 600,
			}),
		);
		const count = conversations(SsoClientCredentialsStrategy as never);
		write('secret', 'secret-1');
		write('client', 'client-1');
		await open('sso-client-credentials', {
			clientId: '${file:client}',
			clientSecret: '${file:secret}',
			tokenEndpoint: `${issuer.url}/token`,
		});
		await send();
		expect(count()).toBe(1);
		write('secret', 'secret-2');
		for (let round = 0; round < 3; round += 1) await send();
		expect(count()).toBe(1);
		write('client', 'client-2');
		vi.advanceTimersByTime(1000);
		await send();
		await send();
		expect(count()).toBe(2);
		expect(shown).toEqual([...Array(4).fill('Bearer client-1'), ...Array(2).fill('Bearer client-2')]);
		expect(readFileSync(join(programs.folder, 'client'), 'utf8')).toBe('client-2');
		await issuer.close();
	});

	test('a secret that is shown itself is the one of the file, at each request', async () => {
		write('secret', 'first');
		await open('static-token', {token: '${file:secret}'});
		await send();
		write('secret', 'second');
		await send();
		expect(shown).toEqual(['Bearer first', 'Bearer second']);
	});
});
