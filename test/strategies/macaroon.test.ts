/** `macaroon` against Debian's XRootD, and against a scripted storage for what that does not do. */
import {readFileSync} from 'node:fs';
import {get} from 'node:https';
import {inspect} from 'node:util';
import {afterAll, afterEach, beforeAll, describe, expect, test} from 'vitest';
import {
	ConfigurationError,
	CredentialUnavailableError,
	createGatepass,
	type Gatepass,
	TokenRequestError,
} from '../../src/index.ts';
import {type CertificateFiles, createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {conformance} from '../../src/testing/conformance.ts';
import {answerJson, startServer, type TestServer} from '../../src/testing/server.ts';
import {MacaroonStrategy} from '../../strategies/macaroon/index.ts';
import {describeWith} from '../servers/availability.ts';
import {startXrootd, type Xrootd, xrootd} from '../servers/xrootd.ts';
import {unsignedJwt} from './unsigned-jwt.ts';

let gatepass: Gatepass | undefined;
afterEach(async () => gatepass?.close());

async function open(
	match: string,
	options: Record<string, unknown>,
	ca?: string,
	env = {},
): Promise<Gatepass> {
	gatepass = await createGatepass({
		config: {
			cache: {url: 'memory:'},
			trust: ca === undefined ? [] : [{match: 'https://127.0.0.1:*', ca, only: true}],
			tokenRequest: {retries: 0},
			hostRules: [{match, strategy: 'macaroon', options: {activities: ['DOWNLOAD', 'LIST'], ...options}}],
		},
		env,
	});
	return gatepass;
}

describeWith(xrootd, 'Debian’s XRootD', () => {
	let authority: TestAuthority;
	let alice: CertificateFiles;
	let mallory: CertificateFiles;
	let storage: Xrootd;
	beforeAll(async () => {
		authority = await createTestAuthority();
		alice = await authority.issue('alice', {subject: 'CN=alice'});
		mallory = await authority.issue('mallory', {subject: 'CN=mallory'});
		storage = await startXrootd({
			authority,
			user: '/CN=alice',
			files: {one: 'the first', two: 'the second'},
		});
	});
	afterAll(async () => {
		await storage?.close();
		await authority?.close();
	});
	const of = (options: object) => ({strategy: 'grid-certificate', options});

	test('a certificate is turned into a macaroon, which alone is shown', async () => {
		const opened = await open(storage.url, {of: of({...alice})}, authority.ca);
		await expect(opened.got(`${storage.url}/data/one`).text()).resolves.toBe('the first');
		const {fetch} = opened;
		expect(await (await fetch(`${storage.url}/data/two`)).text()).toBe('the second');
		const {headers, tls} = await opened.authorize(`${storage.url}/data/one`);
		expect(tls).not.toHaveProperty('cert');
		const text = Buffer.from(String(headers.authorization).replace('Bearer ', ''), 'base64url').toString(
			'latin1',
		);
		expect(text).toMatch(/activity:DOWNLOAD,LIST\n/);
		expect(text).toMatch(/path:\/data\/one\n/);
	});

	test('it is for the path, and for what is below where the option says so', async () => {
		const opened = await open(storage.url, {of: of({...alice})}, authority.ca);
		const one = await opened.authorize(`${storage.url}/data/one`);
		const statusOf = (path: string, headers: Record<string, string>) =>
			new Promise<number | undefined>((resolve, reject) => {
				// Not got, which writes names in small letters: XRootD 5.5 does not know them then.
				const {authorization = ''} = headers;
				const options = {
					headers: {Authorization: authorization},
					ca: readFileSync(authority.ca),
					agent: false,
				};
				get(`${storage.url}${path}`, options, response => resolve(response.resume().statusCode)).on(
					'error',
					reject,
				);
			});
		expect(await statusOf('/data/one', one.headers)).toBe(200);
		expect(await statusOf('/data/two', one.headers)).toBe(403);
		expect(await statusOf('/data/one', {})).toBe(403);
		const whole = await open(storage.url, {of: of({...alice}), path: '/data'}, authority.ca);
		const first = await whole.authorize(`${storage.url}/data/one`);
		expect(await whole.authorize(`${storage.url}/data/two`)).toEqual(first);
		expect(await statusOf('/data/two', first.headers)).toBe(200);
	});

	test('its connections are shown to nobody else: XRootD would take what comes over them for the user’s', async () => {
		gatepass = await createGatepass({
			config: {
				cache: {url: 'memory:'},
				trust: [{match: 'https://127.0.0.1:*', ca: authority.ca, only: true}],
				hostRules: [
					{
						match: `${storage.url}/data/one`,
						strategy: 'macaroon',
						options: {activities: ['DOWNLOAD'], of: of({...alice})},
					},
				],
			},
		});
		for (const path of ['one', 'one', 'two']) {
			const {statusCode} = await gatepass.got(`${storage.url}/data/${path}`, {throwHttpErrors: false});
			expect([path, statusCode]).toEqual([path, path === 'one' ? 200 : 403]);
		}
	});

	test('whom the storage does not know gets nothing by it', async () => {
		const opened = await open(storage.url, {of: of({...mallory})}, authority.ca);
		const {statusCode} = await opened.got(`${storage.url}/data/one`, {throwHttpErrors: false});
		expect(statusCode).toBe(403);
	});

	test('the conformance kit passes', async () => {
		const passed = await conformance(MacaroonStrategy, {
			url: `${storage.url}/data/one`,
			options: {activities: ['DOWNLOAD'], of: of({...alice})},
			configuration: {trust: [{match: storage.url, ca: authority.ca}]},
		});
		expect(passed).toHaveLength(14);
	});
});

describe('a scripted storage', () => {
	let storage: TestServer;
	let answer: (authorization: string | undefined, count: number) => [status: number, body: object | string];
	beforeAll(async () => {
		storage = await startServer(({method, headers}, response) => {
			if (method !== 'POST') {
				answerJson(response, headers.authorization === 'Bearer refused' ? 401 : 200, {});
				return;
			}
			const [status, body] = answer(String(headers.authorization), ++asked);
			if (typeof body === 'object') answerJson(response, status, body);
			else response.writeHead(status, {'content-type': 'text/plain'}).end(body);
		});
	});
	let asked = 0;
	afterEach(() => {
		asked = 0;
		(storage.requests as unknown[]).length = 0;
	});
	afterAll(() => storage.close());
	const of = {strategy: 'static-token', options: {token: 'canary-of-the-test'}};

	test('what is asked, as dCache documents it', async () => {
		answer = () => [200, {macaroon: 'a-macaroon', uri: {}}];
		const opened = await open(storage.url, {of, validity: 1_800_000});
		await opened.got(`${storage.url}/some/file?x=1`);
		expect(storage.requests.map(({method, url}) => `${method} ${url}`)).toEqual([
			'POST /some/file',
			'GET /some/file?x=1',
		]);
		const [post, get] = storage.requests;
		expect(post?.headers).toMatchObject({
			'content-type': 'application/macaroon-request',
			authorization: 'Bearer canary-of-the-test',
		});
		expect(JSON.parse(String(post?.body))).toEqual({
			caveats: ['activity:DOWNLOAD,LIST'],
			validity: 'PT30M',
		});
		expect(get?.headers.authorization).toBe('Bearer a-macaroon');
	});

	test('one for all callers, for each path; and forget', async () => {
		answer = () => [200, {macaroon: 'a-macaroon'}];
		const opened = await open(storage.url, {of});
		await Promise.all(Array.from({length: 10}, () => opened.got(`${storage.url}/file`)));
		expect(asked).toBe(1);
		await opened.got(`${storage.url}/other`);
		expect(asked).toBe(2);
		await opened.forget(storage.url);
		await opened.got(`${storage.url}/file`);
		expect(asked).toBe(3);
	});

	test('it ends when its caveats say so', async () => {
		const soon = new Date(Date.now() + 120_000).toISOString().replace(/\.\d+/, '');
		const packets = `0012location TEST\n0024cid before:${soon}\n`;
		answer = () => [200, {macaroon: Buffer.from(packets).toString('base64url')}];
		await open(storage.url, {of});
		answer = () => [
			200,
			{macaroon: Buffer.from(packets.replace(soon, '2001-01-01T00:00:00Z')).toString('base64url')},
		];
		const failure = await gatepass?.authorize(`${storage.url}/file`).catch((error: unknown) => error);
		expect(failure).toMatchObject({message: expect.stringMatching(/already expired/)});
	});

	test('another subject is another macaroon, a renewed token of the same one is not', async () => {
		answer = () => [200, {macaroon: 'a-macaroon'}];
		const jwt = (sub: string, exp: number) =>
			unsignedJwt({iss: 'i', sub, exp: Math.floor(Date.now() / 1000) + exp});
		const env: Record<string, string> = {BEARER_TOKEN: jwt('alice', 600)};
		const opened = await open(storage.url, {of: {strategy: 'wlcg-token'}}, undefined, env);
		await opened.got(`${storage.url}/file`);
		env.BEARER_TOKEN = jwt('alice', 1200);
		await opened.got(`${storage.url}/file`);
		expect(asked).toBe(1);
		env.BEARER_TOKEN = jwt('bob', 600);
		await opened.got(`${storage.url}/file`);
		expect(asked).toBe(2);
	});

	test('one that the storage refuses is asked for once more', async () => {
		answer = (_, count) => [200, {macaroon: count === 1 ? 'refused' : 'accepted'}];
		const opened = await open(storage.url, {of});
		await opened.got(`${storage.url}/file`);
		expect(asked).toBe(2);
	});

	test.each<[string, number, object | string, RegExp]>([
		['refuses', 403, 'not canary-of-the-test', /answered 403 \(not …\)\. Check the credential in 'of'/],
		[
			'does not know them',
			405,
			'<html>',
			/gave no macaroon: it answered 405\. Check that it gives macaroons/,
		],
		['sends the request elsewhere', 307, '', /sends the request for a macaroon elsewhere/],
		['answers with something else', 200, 'canary-of-the-test', /is no macaroon/],
		['gives something else', 200, {macaroon: 'two canary-of-the-test'}, /is no macaroon/],
		['is down', 500, '', /it answered 500\. Try again later/],
	])('one that %s', async (_, status, body, message) => {
		answer = () => [status, body];
		const opened = await open(storage.url, {of});
		const failure = await opened.authorize(`${storage.url}/file`).catch((error: unknown) => error);
		expect(failure).toBeInstanceOf(TokenRequestError);
		expect(failure).toMatchObject({message: expect.stringMatching(message), status});
		expect(inspect(failure, {depth: 9})).not.toContain('canary');
	});

	test('no answer, and no credential to ask with', async () => {
		const nobody = await (await open('http://127.0.0.1:9', {of}))
			.authorize('http://127.0.0.1:9/file')
			.catch((error: unknown) => error);
		expect(nobody).toBeInstanceOf(TokenRequestError);
		expect(nobody).toMatchObject({message: expect.stringMatching(/gave no answer/)});
		const missing = {strategy: 'wlcg-token', options: {file: '/nonexistent'}};
		const failure = await (await open(storage.url, {of: missing}))
			.authorize(`${storage.url}/file`)
			.catch((error: unknown) => error);
		expect(failure).toBeInstanceOf(CredentialUnavailableError);
		expect((await gatepass?.status())?.[0]).toMatchObject({available: false});
	});

	test('mistakes in the configuration', async () => {
		const failure = await open(storage.url, {
			activities: ['download'],
			of: {strategy: 'nope'},
			path: 'x',
		}).catch(e => e);
		expect(failure).toBeInstanceOf(ConfigurationError);
		const inside = await open(storage.url, {of: {strategy: 'static-token', options: {}}}).catch(e => e);
		expect(inside).toBeInstanceOf(ConfigurationError);
	});
});
