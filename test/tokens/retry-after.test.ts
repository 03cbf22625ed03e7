/** An authorization server that asks to be left alone (`Retry-After`), as a request through gatepass meets it. */
import {afterEach, beforeEach, describe, expect, test, vi} from 'vitest';
import {type Gatepass, TokenRequestError} from '../../src/index.ts';
import {createClient} from './client.ts';
import {TokenEndpoint} from './token-endpoint.ts';

const minute = 60_000;

let endpoint: TokenEndpoint;
beforeEach(async () => {
	endpoint = await TokenEndpoint.start();
	// The clock alone: everything else goes over real connections.
	vi.useFakeTimers({toFake: ['Date'], now: 1_800_000_000_000});
});
afterEach(async () => {
	vi.useRealTimers();
	await endpoint.close();
});

const later = (milliseconds: number) => vi.setSystemTime(Date.now() + milliseconds);

/** What a request fails with. Nothing is sent to it without a token. */
async function failureOf(gatepass: Gatepass, fresh = false): Promise<TokenRequestError> {
	const error = await gatepass.authorize(endpoint.url, {fresh}).catch((error: unknown) => error);
	expect(error).toBeInstanceOf(TokenRequestError);
	return error as TokenRequestError;
}

describe.each([
	['429 with seconds', {status: 429, retryAfter: 120}],
	['503 with seconds', {status: 503, retryAfter: 120}],
	['503 with a date', {status: 503, retryAfter: new Date(1_800_000_000_000 + 2 * minute).toUTCString()}],
	['400 with seconds', {status: 400, retryAfter: 120}],
])('%s', (_, failure) => {
	test('a cold call fails at once, and nobody asks again before that time', async () => {
		const gatepass = await createClient(endpoint);
		endpoint.failure = failure;
		const first = await failureOf(gatepass);
		expect(first).toMatchObject({status: failure.status, retryAfter: 2 * minute});
		expect(endpoint.requests).toBe(1);

		endpoint.failure = undefined;
		later(minute);
		const second = await failureOf(gatepass);
		expect(second).toMatchObject({status: failure.status, retryAfter: minute});
		expect(second.message).toContain('for another 60 s');
		later(minute - 1);
		expect(await failureOf(gatepass)).toMatchObject({retryAfter: 1});
		// Not even whoever passes the cache over.
		expect(await failureOf(gatepass, true)).toMatchObject({retryAfter: 1});
		expect(endpoint.requests).toBe(1);

		later(1);
		await expect(gatepass.authorize(endpoint.url)).resolves.toEqual({
			headers: {authorization: 'Bearer token-2'},
		});
	});
});

test('others who share the store do not ask either, and know why', async () => {
	const cache = new Map<string, unknown>() as never;
	const [first, second] = [await createClient(endpoint, {cache}), await createClient(endpoint, {cache})];
	endpoint.failure = {status: 429, retryAfter: 120, error: 'slow_down'};
	await failureOf(first);
	endpoint.failure = undefined;
	expect(await failureOf(second)).toMatchObject({
		status: 429,
		error: 'slow_down',
		retryAfter: 2 * minute,
	});
	expect(endpoint.requests).toBe(1);
	later(2 * minute);
	await second.authorize(endpoint.url);
	await first.authorize(endpoint.url);
	expect(endpoint.requests).toBe(2);
});

test('only whoever wants the same token is kept from asking', async () => {
	const gatepass = await createClient(endpoint);
	endpoint.failure = {status: 429, retryAfter: 120};
	await failureOf(gatepass);
	endpoint.failure = undefined;
	await expect(gatepass.authorize(endpoint.url, {tenant: 'another'})).resolves.toBeDefined();
});

test('without it, a failure keeps nobody from asking', async () => {
	const gatepass = await createClient(endpoint);
	endpoint.failure = {status: 500};
	for (let asked = 1; asked <= 3; asked++) {
		await failureOf(gatepass);
		expect(endpoint.requests).toBe(asked);
	}
});

test.each([
	['an hour', 3600],
	['a week', 604_800],
	['sixty years', 1_892_160_000],
	['a date in sixty years', new Date(1_800_000_000_000 + 60 * 365 * 86_400_000).toUTCString()],
])(
	'it is heeded for ten minutes at most, be it %s, also by others who share the store',
	async (_, retryAfter) => {
		const cache = new Map<string, unknown>() as never;
		const [first, second] = [await createClient(endpoint, {cache}), await createClient(endpoint, {cache})];
		endpoint.failure = {status: 503, retryAfter};
		await failureOf(first);
		endpoint.failure = undefined;
		expect(await failureOf(first)).toMatchObject({retryAfter: 10 * minute});
		expect(await failureOf(second)).toMatchObject({retryAfter: 10 * minute});
		later(10 * minute - 1);
		await failureOf(first);
		await failureOf(second);
		expect(endpoint.requests).toBe(1);
		later(1);
		await Promise.all([first.authorize(endpoint.url), second.authorize(endpoint.url)]);
	},
);

test('a renewal heeds it no longer either', async () => {
	const gatepass = await createClient(endpoint);
	await gatepass.authorize(endpoint.url);
	later(0.8 * 60 * minute);
	endpoint.failure = {status: 503, retryAfter: 604_800};
	await gatepass.authorize(endpoint.url);
	await endpoint.untilRequest(2);
	endpoint.failure = undefined;
	// The answer has been dealt with when the issuer is asked again.
	await expect
		.poll(async () => {
			later(10 * minute);
			await gatepass.authorize(endpoint.url);
			return endpoint.requests;
		})
		.toBe(3);
});

test('forget ends it, here and for others who share the store', async () => {
	const cache = new Map<string, unknown>() as never;
	const [first, second] = [await createClient(endpoint, {cache}), await createClient(endpoint, {cache})];
	endpoint.failure = {status: 429, retryAfter: 500};
	expect((await failureOf(first)).message).not.toContain('forget');
	expect((await failureOf(first)).message).toContain("run 'gatepass forget', which ends that");
	endpoint.failure = undefined;
	await first.forget();
	await expect(second.authorize(endpoint.url)).resolves.toEqual({headers: {authorization: 'Bearer token-2'}});
	await expect(first.authorize(endpoint.url)).resolves.toEqual({headers: {authorization: 'Bearer token-2'}});
});
