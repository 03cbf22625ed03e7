/** Token answers that are valid, though they hold what nobody reads, or come packed: the token is taken. */
import {createServer, type IncomingHttpHeaders, type Server, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import {gzipSync} from 'node:zlib';
import {afterEach, describe, expect, test} from 'vitest';
import {createGatepass, type Gatepass} from '../../src/index.ts';

const servers: Server[] = [];
let gatepass: Gatepass | undefined;
afterEach(async () => {
	await gatepass?.close();
	gatepass = undefined;
	await Promise.all(servers.splice(0).map(server => new Promise(done => server.close(done))));
});

let asked: IncomingHttpHeaders;

async function authorizationFrom(answer: (response: ServerResponse) => void): Promise<string | undefined> {
	const server = createServer((request, response) => {
		asked = request.headers;
		answer(response);
	});
	servers.push(server);
	await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
	const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
	gatepass = await createGatepass({
		env: {},
		config: {
			cache: {url: 'memory:'},
			hostRules: [
				{
					match: 'http://127.0.0.1:*',
					strategy: 'sso-client-credentials',
					options: {clientId: 'runs', clientSecret: 'secret-of-runs', tokenEndpoint: `${origin}/token`},
				},
			],
		},
	});
	const {headers} = await gatepass.authorize(origin);
	return headers.authorization;
}

const good = {access_token: 'at', token_type: 'Bearer', expires_in: 300};

describe('what nobody reads does not spoil the token', () => {
	test.each<[string, object]>([
		['an id_token for somebody else', {id_token: 'eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2ln'}],
		['an id_token of null', {id_token: null}],
		['a refresh_token of null', {refresh_token: null}],
		['an empty refresh_token', {refresh_token: ''}],
		['a scope of null', {scope: null}],
		['a life of null', {expires_in: null}],
		['a life of 68 years', {expires_in: 2_147_483_647}],
		['a life longer than that', {expires_in: 1e12}],
	])('%s', async (_, extra) => {
		const authorization = await authorizationFrom(response => {
			response.setHeader('content-type', 'application/json');
			response.end(JSON.stringify({...good, ...extra}));
		});
		expect(authorization).toBe('Bearer at');
	});
});

describe('a packed answer', () => {
	const packed = (body: Uint8Array) => (response: ServerResponse) => {
		response.writeHead(200, {'content-type': 'application/json', 'content-encoding': 'gzip'}).end(body);
	};

	test('was not asked for, and is understood', async () => {
		expect(await authorizationFrom(packed(gzipSync(JSON.stringify(good))))).toBe('Bearer at');
		expect(asked['accept-encoding']).toBe('identity');
	});

	test('that unfolds to more than the limit is refused', async () => {
		const large = gzipSync(JSON.stringify({...good, padding: ' '.repeat(2 * 1024 * 1024)}));
		await expect(authorizationFrom(packed(large))).rejects.toThrow(/larger than 1048576 bytes/);
	});

	test('that is cut off is an error that says so', async () => {
		const whole = gzipSync(JSON.stringify(good));
		await expect(authorizationFrom(packed(whole.subarray(0, -10)))).rejects.toThrow(/gzip .* is broken/);
	});
});
