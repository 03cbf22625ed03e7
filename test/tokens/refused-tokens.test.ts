/** Tokens that an API refuses: however many requests that meets, in however many processes, one new token is fetched. */
import {mkdtemp, rm} from 'node:fs/promises';
import type {ServerResponse} from 'node:http';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Keyv} from 'keyv';
import {afterEach, beforeEach, describe, expect, onTestFinished, test, vi} from 'vitest';
import type {Gatepass} from '../../src/index.ts';
import {answerJson, startServer, type TestServer} from '../../src/testing/server.ts';
import {createClient} from './client.ts';
import {TokenEndpoint} from './token-endpoint.ts';

/** An API that accepts every token but those that were revoked, and can wait until many requests have come. */
class Api {
	/** How many requests are to come before any is answered. */
	gathers = 1;
	readonly shown: string[] = [];
	readonly revoked = new Set<string>();
	refusesAll = false;
	#server: TestServer | undefined;
	#waiting: (() => void)[] = [];

	get url(): string {
		return this.#server?.url ?? '';
	}

	async start(): Promise<void> {
		this.#server = await startServer(({headers}, response) => {
			const token = String(headers.authorization).replace('Bearer ', '');
			this.shown.push(token);
			this.#waiting.push(() => this.#answer(token, response));
			if (this.#waiting.length < this.gathers) return;
			this.gathers = 1;
			for (const answer of this.#waiting.splice(0)) answer();
		});
	}

	async close(): Promise<void> {
		await this.#server?.close();
	}

	#answer(token: string, response: ServerResponse): void {
		if (this.refusesAll || this.revoked.has(token)) answerJson(response, 401, {error: 'invalid_token'});
		else answerJson(response, 200, {token});
	}
}

let endpoint: TokenEndpoint;
let api: Api;
beforeEach(async () => {
	endpoint = await TokenEndpoint.start();
	api = new Api();
	await api.start();
});
afterEach(() => Promise.all([endpoint.close(), api.close()]));

/** So many requests at once, all of which are under way before the first is answered. The tokens that they ended with. */
async function request(gatepasses: Gatepass[], each: number): Promise<string[]> {
	api.gathers = gatepasses.length * each;
	const requests = gatepasses.flatMap(({got}) =>
		Array.from({length: each}, () => got(api.url, {retry: {limit: 0}}).json<{token: string}>()),
	);
	return (await Promise.all(requests)).map(({token}) => token);
}

async function temporaryFolder(): Promise<string> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-refused-'));
	onTestFinished(() => rm(folder, {recursive: true, force: true}));
	return folder;
}

test('fifty requests in flight that are all refused fetch one token, and all succeed', async () => {
	const gatepass = await createClient(endpoint);
	expect(await request([gatepass], 50)).toEqual(Array(50).fill('token-1'));
	expect(endpoint.requests).toBe(1);
	api.revoked.add('token-1');
	expect(await request([gatepass], 50)).toEqual(Array(50).fill('token-2'));
	expect(endpoint.requests).toBe(2);
	expect(api.shown.filter(token => token === 'token-1')).toHaveLength(100);
});

test.each(['sqlite', 'a keyv adapter'])('also where they belong to five that share %s', async kind => {
	const folder = await temporaryFolder();
	const map = new Map<string, unknown>();
	const settings =
		kind === 'sqlite' ? {cacheUrl: `sqlite:${folder}/tokens.sqlite`} : {cache: new Keyv({store: map})};
	const gatepasses = await Promise.all(Array.from({length: 5}, () => createClient(endpoint, settings)));
	const [first, ...others] = gatepasses as [Gatepass, ...Gatepass[]];
	await request([first], 1);
	expect(await request(others, 2)).toEqual(Array(8).fill('token-1'));
	api.revoked.add('token-1');
	const tokens = await request(gatepasses, 10);
	expect(tokens).not.toContain('token-1');
	// A lease makes it one for all; without, it is one in each of them.
	if (kind === 'sqlite') {
		expect(new Set(tokens)).toEqual(new Set(['token-2']));
		expect(endpoint.requests).toBe(2);
	} else {
		expect(endpoint.requests).toBeLessThanOrEqual(6);
	}
});

test('requests that come meanwhile do not bring the refused token back from the store', async () => {
	const gatepass = await createClient(endpoint, {
		cacheUrl: `sqlite:${await temporaryFolder()}/tokens.sqlite`,
	});
	await request([gatepass], 1);
	api.revoked.add('token-1');
	let isOver = false;
	const failures: unknown[] = [];
	const load = async (): Promise<void> => {
		while (!isOver) await gatepass.got(api.url, {retry: {limit: 0}}).catch(error => failures.push(error));
	};
	const loads = Array.from({length: 10}, load);
	endpoint.holdsBack = true;
	await endpoint.untilRequest(2);
	endpoint.holdsBack = false;
	endpoint.answer();
	await expect.poll(() => api.shown.slice(-10)).toEqual(Array(10).fill('token-2'));
	isOver = true;
	await Promise.all(loads);
	expect(failures).toEqual([]);
	expect(endpoint.requests).toBe(2);
});

test('a store that cannot delete does not bring it back either', async () => {
	const map = new Map<string, unknown>();
	const readOnly = Object.assign(new Map(map), {delete: () => false});
	const gatepass = await createClient(endpoint, {cache: readOnly as never});
	await request([gatepass], 1);
	api.revoked.add('token-1');
	expect(await request([gatepass], 5)).toEqual(Array(5).fill('token-2'));
	expect(endpoint.requests).toBe(2);
});

test('an API that refuses every token costs a request one new token, no more', async () => {
	const gatepass = await createClient(endpoint);
	for (let count = 1; count <= 10; count++) api.revoked.add(`token-${count}`);
	const response = await gatepass.got(api.url, {throwHttpErrors: false, retry: {limit: 0}});
	expect(response.statusCode).toBe(401);
	expect(api.shown).toEqual(['token-1', 'token-2']);
	expect(endpoint.requests).toBe(2);
});

describe('an API that refuses every token', () => {
	/** So many requests, one after the other. All are answered 401. */
	async function refusedRequests(gatepass: Gatepass, count: number): Promise<void> {
		for (let request = 0; request < count; request++) {
			const response = await gatepass.got(api.url, {throwHttpErrors: false, retry: {limit: 0}});
			expect(response.statusCode).toBe(401);
		}
	}

	beforeEach(() => {
		api.refusesAll = true;
		vi.useFakeTimers({toFake: ['Date'], now: 1_800_000_000_000});
	});
	afterEach(() => {
		vi.useRealTimers();
	});
	const later = (milliseconds: number) => vi.setSystemTime(Date.now() + milliseconds);

	test('costs a few token requests, and then one after a second, after two, after four, and so on', async () => {
		const gatepass = await createClient(endpoint);
		await refusedRequests(gatepass, 20);
		expect(endpoint.requests).toBe(3);
		for (const [index, pause] of [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000].entries()) {
			later(pause - 1);
			await refusedRequests(gatepass, 5);
			expect(endpoint.requests).toBe(3 + index);
			later(1);
			await refusedRequests(gatepass, 5);
			expect(endpoint.requests).toBe(4 + index);
		}
	});

	test('gets a new one at once where a token was good for a while, or forget was called, or the request is fresh', async () => {
		const gatepass = await createClient(endpoint);
		await refusedRequests(gatepass, 10);
		expect(endpoint.requests).toBe(3);
		await gatepass.got(api.url, {
			context: {gatepass: {fresh: true}},
			throwHttpErrors: false,
			retry: {limit: 0},
		});
		expect(endpoint.requests).toBe(4);
		await gatepass.forget();
		await refusedRequests(gatepass, 1);
		expect(endpoint.requests).toBeGreaterThan(4);
		const before = endpoint.requests;
		api.refusesAll = false;
		later(121_000);
		const token = (await request([gatepass], 1))[0] as string;
		api.revoked.add(token);
		await request([gatepass], 3);
		expect(endpoint.requests).toBe(before + 1);
	});

	test('also where its issuer hands out the same token again and again', async () => {
		endpoint.repeatsItself = true;
		const gatepass = await createClient(endpoint);
		await refusedRequests(gatepass, 20);
		expect(endpoint.requests).toBe(3);
	});
});

test('a token that comes again from the issuer, although it was refused, is used', async () => {
	endpoint.repeatsItself = true;
	const gatepass = await createClient(endpoint);
	await request([gatepass], 1);
	api.revoked.add('token-1');
	const response = await gatepass.got(api.url, {throwHttpErrors: false, retry: {limit: 0}});
	expect(response.statusCode).toBe(401);
	api.revoked.clear();
	expect(await request([gatepass], 3)).toEqual(Array(3).fill('token-1'));
	expect(endpoint.requests).toBe(2);
});
