/** Trust stores and identities together with got's own ways to send: its cache, HTTP/2, the caller's request function. */
import {readFile} from 'node:fs/promises';
import {
	createSecureServer,
	type Http2SecureServer,
	type Http2ServerRequest,
	type Http2Session,
} from 'node:http2';
import {request as httpsRequest, type RequestOptions} from 'node:https';
import type {AddressInfo} from 'node:net';
import type {TLSSocket} from 'node:tls';
import got from 'got';
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {z} from 'zod';
import {createGatepass, defineStrategy, type Gatepass} from '../../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {commonNameOf} from '../servers/common-name.ts';
import {ChallengedStrategy, EagerStrategy} from './echo-server.ts';
import {findSecrets} from './find-secrets.ts';

const SecretStrategy = defineStrategy({
	name: 'secret',
	options: z.object({}),
	async *authenticate(request) {
		request.headers.set('x-credential', 'CANARY-header');
		request.url.searchParams.set('key', 'CANARY-query');
		yield;
	},
});

let authority: TestAuthority;
let gatepass: Gatepass;
let server: Http2SecureServer;
let origin: string;
const sessions = new Set<Http2Session>();
let seen: {path: string; version: string; credential: unknown; certificate: string | undefined}[] = [];

beforeAll(async () => {
	authority = await createTestAuthority();
	const own = await authority.issue('server', {subject: 'CN=localhost', hosts: ['127.0.0.1']});
	const alice = await authority.issue('alice', {subject: 'CN=alice'});
	server = createSecureServer({
		allowHTTP1: true,
		cert: await readFile(own.certificate),
		key: await readFile(own.key),
		requestCert: true,
		rejectUnauthorized: false,
	});
	server.on('session', session => sessions.add(session));
	server.on('request', (request, response) => {
		const credential = request.headers['x-credential'];
		const certificate = certificateOf(request);
		seen.push({path: request.url, version: request.httpVersion, credential, certificate});
		request.resume();
		const refused = /challenged|eager/.test(request.url) && credential === undefined;
		const status = request.url.includes('/500') ? 500 : 200;
		response.writeHead(refused ? 401 : status, {'cache-control': 'public, max-age=60'});
		response.end('answered');
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
	gatepass = await createGatepass({
		got: got.extend({retry: {limit: 0}}),
		strategies: [EagerStrategy, ChallengedStrategy],
		config: {
			cache: {url: 'memory:'},
			trust: [{match: origin, ca: authority.ca, only: true}],
			hostRules: [
				{match: `${origin}/eager`, strategy: 'eager'},
				{match: `${origin}/challenged`, strategy: 'challenged'},
				{match: `${origin}/grid`, strategy: 'grid-certificate', options: {...alice}},
				{match: `${origin}/none`, strategy: 'none'},
			],
		},
	});
});

afterAll(async () => {
	await gatepass.close();
	for (const session of sessions) session.destroy();
	const closed = new Promise(resolve => server.close(resolve));
	await closed;
	await authority.close();
});

beforeEach(() => {
	seen = [];
});

function certificateOf(request: Http2ServerRequest): string | undefined {
	const socket = (request.stream?.session?.socket ?? request.socket) as TLSSocket;
	return commonNameOf(socket);
}

const pages = ['/unruled', '/none', '/eager', '/challenged', '/grid'] as const;
const credentials = {
	'/unruled': [[undefined, undefined]],
	'/none': [[undefined, undefined]],
	'/eager': [['valid', undefined]],
	'/challenged': [
		[undefined, undefined],
		['valid', undefined],
	],
	'/grid': [[undefined, 'alice']],
};

describe.each(pages)('%s', path => {
	const shown = () => seen.map(({credential, certificate}) => [credential, certificate]);

	test('over HTTP/1.1, by the trust store', async () => {
		expect(await gatepass.got(`${origin}${path}`).text()).toBe('answered');
		expect(shown()).toEqual(credentials[path]);
	});

	test('with http2: true, by the trust store and with the identity', async () => {
		expect(await gatepass.got(`${origin}${path}`, {http2: true}).text()).toBe('answered');
		expect(shown()).toEqual(credentials[path]);
		expect(seen.map(({version}) => version)).toEqual(credentials[path].map(() => '1.1'));
	});

	test('with a cache', async () => {
		const cache = new Map();
		for (let round = 0; round < 2; round += 1) {
			expect(await gatepass.got(`${origin}${path}`, {cache}).text()).toBe('answered');
		}
		const isKept = path === '/unruled' || path === '/none';
		expect(shown()).toEqual(isKept ? credentials[path] : [...credentials[path], ...credentials[path]]);
	});

	test("with the caller's request function", async () => {
		const request = (url: URL, options: RequestOptions) => httpsRequest(url, options);
		expect(await gatepass.got(`${origin}${path}`, {request}).text()).toBe('answered');
		expect(shown()).toEqual(credentials[path]);
	});
});

describe('over HTTP/2, where no agent of gatepass is needed', () => {
	let untrusting: Gatepass;

	beforeAll(async () => {
		untrusting = await createGatepass({
			got: got.extend({
				http2: true,
				retry: {limit: 0},
				https: {certificateAuthority: await readFile(authority.ca, 'utf8')},
			}),
			strategies: [EagerStrategy, ChallengedStrategy, SecretStrategy],
			config: {
				cache: {url: 'memory:'},
				hostRules: [
					{match: `${origin}/eager`, strategy: 'eager'},
					{match: `${origin}/challenged`, strategy: 'challenged'},
					{match: `${origin}/secret`, strategy: 'secret'},
				],
			},
		});
	});

	afterAll(async () => untrusting.close());

	test.each(['/unruled', '/eager', '/challenged'] as const)('%s', async path => {
		expect(await untrusting.got(`${origin}${path}`).text()).toBe('answered');
		expect(await untrusting.got.post(`${origin}${path}`, {body: 'payload'}).text()).toBe('answered');
		const once = credentials[path].map(([credential]) => ['2.0', credential]);
		expect(seen.map(({version, credential}) => [version, credential])).toEqual([...once, ...once]);
	});

	test.each([200, 500])('no secret stays with a response or an error: %i', async status => {
		const outcome = await untrusting
			.got(`${origin}/secret/${status}`)
			.json()
			.catch((error: unknown) => error);
		expect(outcome).toMatchObject({name: status === 200 ? 'ParseError' : 'HTTPError'});
		expect(seen).toMatchObject([
			{path: `/secret/${status}?key=CANARY-query`, version: '2.0', credential: 'CANARY-header'},
		]);
		expect(findSecrets(outcome, ['CANARY'])).toEqual([]);
	});
});
