/** A service under load whose token endpoint is down for a minute: no request fails. A second takes a few milliseconds. */
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import type {Gatepass} from '../../src/index.ts';
import {answerJson, startServer, type TestServer} from '../../src/testing/server.ts';
import {createClient} from './client.ts';
import {TokenEndpoint} from './token-endpoint.ts';

const second = 1000;

let endpoint: TokenEndpoint;
let api: TestServer;
beforeEach(async () => {
	endpoint = await TokenEndpoint.start();
	endpoint.lifetime = 300 * second;
	api = await startServer(({headers}, response) => {
		const shown = /^Bearer token-\d+$/.test(String(headers.authorization));
		answerJson(response, shown ? 200 : 401, {});
	});
	// The clock alone: everything else goes over real connections.
	vi.useFakeTimers({toFake: ['Date'], now: 1_800_000_000_000});
});
afterEach(async () => {
	vi.useRealTimers();
	await Promise.all([endpoint.close(), api.close()]);
});

/** Four requests in each of so many seconds. Rejects where one fails. */
async function serve({got}: Gatepass, seconds: number): Promise<void> {
	for (let passed = 0; passed < seconds; passed++) {
		vi.setSystemTime(Date.now() + second);
		await Promise.all(Array.from({length: 4}, () => got(api.url, {retry: {limit: 0}})));
	}
}

const outages: Record<string, {begin(): Promise<void> | void; end(): Promise<void> | void}> = {
	'refuses connections': {
		begin: () => endpoint.goDown(),
		end: () => endpoint.comeBack(),
	},
	'answers 503': {
		begin() {
			endpoint.failure = {status: 503};
		},
		end() {
			endpoint.failure = undefined;
		},
	},
	'answers 429, and wants ten seconds each time': {
		begin() {
			endpoint.failure = {status: 429, retryAfter: 10};
		},
		end() {
			endpoint.failure = undefined;
		},
	},
	'does not answer': {
		begin() {
			endpoint.holdsBack = true;
		},
		end() {
			endpoint.holdsBack = false;
			endpoint.answer();
		},
	},
};

test.each(Object.entries(outages))('one that %s', async (_, {begin, end}) => {
	const gatepass = await createClient(endpoint);
	await serve(gatepass, 190);
	expect(endpoint.requests).toBe(1);
	// The token is to be renewed in the minute that follows.
	await begin();
	await serve(gatepass, 60);
	await end();
	await serve(gatepass, 50);
	await expect
		.poll(() => gatepass.authorize(api.url))
		.toMatchObject({
			headers: {authorization: expect.not.stringMatching(/token-1$/)},
		});
	expect(api.requests.length).toBe(1200);
});
