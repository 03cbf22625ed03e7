/** Clocks that differ by ten minutes: a token's end is judged by the clock of whoever issued it, as its `Date` says. */
import {afterEach, beforeEach, describe, expect, test, vi} from 'vitest';
import type {Gatepass} from '../../src/index.ts';
import {type ClientSettings, createClient} from './client.ts';
import {TokenEndpoint} from './token-endpoint.ts';

const second = 1000;
const minute = 60 * second;
/** Shorter than the clocks differ: whoever passes over the difference takes it for ended, or for valid too long. */
const lifetime = 5 * minute;

let endpoint: TokenEndpoint;
let begun: number;
beforeEach(async () => {
	endpoint = await TokenEndpoint.start();
	endpoint.lifetime = lifetime;
	// The clock alone: everything else goes over real connections.
	vi.useFakeTimers({toFake: ['Date'], now: 1_800_000_000_000});
	begun = Date.now();
});
afterEach(async () => {
	vi.useRealTimers();
	await endpoint.close();
});

/** So long after the beginning. */
const at = (milliseconds: number) => vi.setSystemTime(begun + milliseconds);

async function tokenOf(gatepass: Gatepass): Promise<string | undefined> {
	return (await gatepass.authorize(endpoint.url)).headers.authorization;
}

/** Two that share a store, of which the second has never asked the issuer itself. */
async function two(): Promise<[Gatepass, Gatepass]> {
	const settings: ClientSettings = {cache: new Map() as never};
	return [await createClient(endpoint, settings), await createClient(endpoint, settings)];
}

describe.each([
	['ahead', 10 * minute],
	['behind', -10 * minute],
	['right', 0],
])('an issuer whose clock is %s', (_, clockAhead) => {
	beforeEach(() => {
		endpoint.clockAhead = clockAhead;
	});

	test('a token is used as long as it lives, and no longer', async () => {
		const gatepass = await createClient(endpoint);
		for (const time of [0, second, minute, 3 * minute]) {
			at(time);
			expect(await tokenOf(gatepass)).toBe('Bearer token-1');
		}
		expect(endpoint.requests).toBe(1);
		at(lifetime);
		expect(await tokenOf(gatepass)).toBe('Bearer token-2');
		expect(endpoint.requests).toBe(2);
	});

	test('it is renewed ahead of its end', async () => {
		const gatepass = await createClient(endpoint);
		await tokenOf(gatepass);
		at(0.8 * lifetime);
		expect(await tokenOf(gatepass)).toBe('Bearer token-1');
		await expect.poll(() => tokenOf(gatepass)).toBe('Bearer token-2');
		expect(endpoint.requests).toBe(2);
	});

	test('whoever finds it in the store uses it as long, and no longer', async () => {
		const [first, second] = await two();
		await tokenOf(first);
		at(minute);
		expect(await tokenOf(second)).toBe('Bearer token-1');
		at(3 * minute);
		expect(await tokenOf(second)).toBe('Bearer token-1');
		expect(endpoint.requests).toBe(1);
		at(lifetime);
		expect(await tokenOf(second)).toBe('Bearer token-2');
	});

	test('it is not kept in the store past its end', async () => {
		const [first, second] = await two();
		await tokenOf(first);
		at(lifetime);
		expect(await tokenOf(second)).toBe('Bearer token-2');
	});
});

test('a machine whose clock is wrong goes by what the issuer told it, also for a token of another machine', async () => {
	const [right, wrong] = await two();
	// Ten minutes behind, on this one alone.
	const behind = -10 * minute;
	at(behind);
	endpoint.clockAhead = -behind;
	expect(await tokenOf(wrong)).toBe('Bearer token-1');

	at(lifetime);
	endpoint.clockAhead = 0;
	expect(await tokenOf(right)).toBe('Bearer token-2');

	at(lifetime + minute + behind);
	endpoint.clockAhead = -behind;
	expect(await tokenOf(wrong)).toBe('Bearer token-2');
	at(2 * lifetime + behind);
	expect(await tokenOf(wrong)).toBe('Bearer token-3');
});

test('a slow issuer: the time that it took counts as part of the life of the token', async () => {
	const gatepass = await createClient(endpoint);
	endpoint.lifetime = 20 * second;
	endpoint.holdsBack = true;
	const first = tokenOf(gatepass);
	await endpoint.untilRequest(1);
	at(9 * second);
	endpoint.holdsBack = false;
	endpoint.answer();
	expect(await first).toBe('Bearer token-1');
	at(20 * second);
	expect(await tokenOf(gatepass)).toBe('Bearer token-2');
});
