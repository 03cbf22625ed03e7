/** The HTTP client of the strategies: what it sends, how often, and what it gives back. */
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import got from 'got';
import {afterEach, beforeEach, describe, expect, onTestFinished, test} from 'vitest';
import {GotHttpClient} from '../../src/http/http-client.ts';
import {startMtlsServer} from '../../src/testing/index.ts';
import {answerJson, startServer, type TestServer} from '../../src/testing/server.ts';
import {TlsAgents} from '../../src/tls/agents.ts';
import {TrustStores} from '../../src/trust/trust-stores.ts';
import {findSecrets} from '../transports/find-secrets.ts';

const secret = 'CANARY-secret';
/** Two bytes a letter, so that characters are no bytes. */
const body = new URLSearchParams({secret, text: 'ééé'});
const request = {
	method: 'POST',
	headers: {Authorization: `Basic ${secret}`, 'X-Own': 'é=1'},
	body,
};

function createClient(settings: {timeout?: number; retries?: number} = {}): GotHttpClient {
	const agents = new TlsAgents();
	onTestFinished(() => agents.close());
	return new GotHttpClient(async () => got, new TrustStores([]), agents, {
		timeout: 10_000,
		retries: 2,
		...settings,
	});
}

let server: TestServer;
/** What is answered, one after the other; the last one again and again. */
let answers: {status: number; headers?: Record<string, string>}[];
beforeEach(async () => {
	answers = [{status: 200}];
	server = await startServer((_, response) => {
		const {status, headers} = (answers.length > 1 ? answers.shift() : answers[0]) ?? {status: 500};
		answerJson(response, status, {status}, headers);
	});
});
afterEach(() => server.close());

test('sends headers and body as they are, and gives the answer whole', async () => {
	answers = [{status: 201, headers: {'x-answer': 'yes', 'set-cookie': 'a=1'}}];
	const response = await createClient().fetch(server.url, request);
	expect([response.status, response.headers.get('x-answer')]).toEqual([201, 'yes']);
	expect(await response.json()).toEqual({status: 201});
	const [seen] = server.requests;
	expect(seen).toMatchObject({
		method: 'POST',
		body: body.toString(),
		headers: {
			authorization: `Basic ${secret}`,
			'x-own': 'é=1',
			'content-length': String(Buffer.byteLength(body.toString())),
		},
	});
});

test('a string with characters of several bytes arrives whole', async () => {
	const text = `{"name": "é€😀"}`;
	await createClient().fetch(server.url, {method: 'POST', body: text});
	expect(server.requests[0]?.body).toBe(text);
});

test('without a body, sends none', async () => {
	await createClient().fetch(server.url);
	expect(server.requests[0]).toMatchObject({method: 'GET', body: ''});
	expect(server.requests[0]?.headers['content-length']).toBeUndefined();
});

describe('tries again', () => {
	test.each([502, 503, 504])('after %i, with the same headers and body', async status => {
		answers = [{status}, {status}, {status: 200}];
		expect((await createClient().fetch(server.url, request)).status).toBe(200);
		expect(server.requests).toHaveLength(3);
		for (const seen of server.requests) {
			expect(seen).toMatchObject({body: body.toString(), headers: {authorization: `Basic ${secret}`}});
		}
	});

	test('after a connection that breaks', async () => {
		let connections = 0;
		const broken = createServer((_, response) => {
			connections += 1;
			if (connections === 1) response.destroy();
			else response.end('{}');
		});
		await new Promise<void>(resolve => broken.listen(0, '127.0.0.1', resolve));
		onTestFinished(() => void broken.close());
		const url = `http://127.0.0.1:${(broken.address() as AddressInfo).port}`;
		expect((await createClient().fetch(url, request)).status).toBe(200);
		expect(connections).toBe(2);
	});

	test('no more than it is told', async () => {
		answers = [{status: 503}];
		expect((await createClient({retries: 1}).fetch(server.url, request)).status).toBe(503);
		expect(server.requests).toHaveLength(2);
	});

	test.each([
		[400, {}],
		[500, {}],
		[503, {'retry-after': '1'}],
		[302, {location: '/elsewhere'}],
	])('not after %i %j', async (status, headers) => {
		answers = [{status, headers: headers as Record<string, string>}];
		expect((await createClient().fetch(server.url, request)).status).toBe(status);
		expect(server.requests).toHaveLength(1);
	});
});

test('a server that refuses the handshake gives an error without headers and body', async () => {
	const mtls = await startMtlsServer();
	onTestFinished(() => mtls.close());
	const error: unknown = await createClient({retries: 0})
		.fetch(mtls.url, request)
		.catch(error => error);
	expect(String(error)).toMatch(/certificate/);
	expect(findSecrets(error, [secret])).toEqual([]);
});

test.each([
	['a time limit', async () => createClient({timeout: 200, retries: 0}), 'did not answer in time'],
	['nobody listening', async () => createClient({retries: 0}), 'ECONNREFUSED'],
])('%s gives an error without headers and body', async (_, client, reason) => {
	const silent = createServer(() => {});
	await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve));
	const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
	if (reason === 'ECONNREFUSED') await new Promise(resolve => silent.close(resolve));
	else onTestFinished(() => silent.closeAllConnections());
	const error: unknown = await (await client()).fetch(url, request).catch(error => error);
	expect(String(error)).toContain(reason);
	expect(findSecrets(error, [secret])).toEqual([]);
	silent.close();
});
