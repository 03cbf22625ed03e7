/** Where a URL and the connection that Node would make for it disagree, no credential is sent. */
import {expect, onTestFinished, test} from 'vitest';
import {createGatepass, InsecureTransportError} from '../../src/index.ts';
import {startServer} from '../../src/testing/server.ts';

test.each(['https://127.0.0.1:0/', 'http://127.0.0.1:0/'])('%s is refused', async url => {
	const gatepass = await createGatepass({
		env: {},
		config: {
			cache: {url: 'memory:'},
			hostRules: [
				{
					match: ['https://127.0.0.1:*', 'http://127.0.0.1:*'],
					strategy: 'static-token',
					options: {token: 'secret-token'},
				},
			],
		},
	});
	onTestFinished(() => gatepass.close());
	const failure = await gatepass.got(url, {retry: {limit: 0}}).catch(error => error);
	expect(failure).toBeInstanceOf(InsecureTransportError);
	expect(failure.message).toMatch(/port 0, on which no server can listen/);
	await expect(gatepass.authorize(url)).rejects.toBeInstanceOf(InsecureTransportError);
});

test('what was chosen for one path, method or trust store of an origin is not for another', async () => {
	const server = await startServer(({headers}, response) => {
		response.end(headers.authorization ?? 'nothing');
	});
	onTestFinished(() => server.close());
	const other = server.url.replace('127.0.0.1', 'localhost');
	const token = (token: string) => ({strategy: 'static-token', options: {token}});
	const gatepass = await createGatepass({
		env: {},
		config: {
			cache: {url: 'memory:'},
			hostRules: [
				{match: server.url, ...token('for-all')},
				{match: `${server.url}/path`, ...token('for-the-path')},
				{match: server.url, methods: ['PUT'], ...token('for-puts')},
				{match: other, ...token('for-the-other')},
			],
		},
	});
	onTestFinished(() => gatepass.close());
	const ask = (url: string, method: 'GET' | 'PUT' = 'GET') => gatepass.got(url, {method}).text();
	// Twice, as the second time nothing is decided again that need not be.
	for (let time = 0; time < 2; time += 1) {
		expect(await ask(server.url)).toBe('Bearer for-all');
		expect(await ask(`${server.url}/path`)).toBe('Bearer for-the-path');
		expect(await ask(server.url, 'PUT')).toBe('Bearer for-puts');
		expect(await ask(other)).toBe('Bearer for-the-other');
		expect(await ask(`${other}/path`)).toBe('Bearer for-the-other');
	}
});

test('a service that speaks to more origins than are remembered goes on', async () => {
	const gatepass = await createGatepass({
		env: {},
		config: {
			cache: {url: 'memory:'},
			hostRules: [{match: 'https://*.example.org', strategy: 'static-token', options: {token: 'a-token'}}],
		},
	});
	onTestFinished(() => gatepass.close());
	for (let host = 0; host < 2500; host += 1) {
		const {headers} = await gatepass.authorize(`https://h${host % 1300}.example.org/`);
		expect(headers.authorization).toBe('Bearer a-token');
	}
});
