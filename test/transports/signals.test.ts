/** `authorize`, `status` and `forget` wait no longer than their caller wants. */
import {getEventListeners} from 'node:events';
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {z} from 'zod';
import {
	type AuthRequest,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	type CredentialStatus,
	createGatepass,
	type Gatepass,
} from '../../src/index.ts';

/** What the strategy is busy with, until it is released. */
let busy: {reached: PromiseWithResolvers<void>; released: PromiseWithResolvers<void>};
let ended: number;

async function work(): Promise<void> {
	busy.reached.resolve();
	await busy.released.promise;
}

@authStrategy({name: 'busy', options: z.object({})})
class BusyStrategy implements AuthStrategy {
	async *authenticate(request: AuthRequest): Conversation {
		try {
			await work();
			request.headers.set('authorization', 'Bearer slow');
			yield;
		} finally {
			ended += 1;
		}
	}

	async status(): Promise<CredentialStatus> {
		await work();
		return {available: true, detail: 'at last'};
	}

	async forget(): Promise<void> {
		await work();
	}
}

const url = 'https://api.example.org/runs';
let gatepass: Gatepass;
beforeAll(async () => {
	gatepass = await createGatepass({
		strategies: [BusyStrategy],
		config: {cache: {url: 'memory:'}, hostRules: [{match: url, strategy: 'busy'}]},
	});
});
afterAll(() => gatepass.close());
beforeEach(() => {
	busy = {reached: Promise.withResolvers(), released: Promise.withResolvers()};
	ended = 0;
});

describe.each<[string, (signal?: AbortSignal) => Promise<unknown>, unknown]>([
	[
		'authorize',
		signal => gatepass.authorize(url, signal === undefined ? {} : {signal}),
		expect.objectContaining({headers: {authorization: 'Bearer slow'}}),
	],
	[
		'status',
		signal => gatepass.status(signal === undefined ? {} : {signal}),
		[expect.objectContaining({available: true, detail: 'at last'})],
	],
	['forget', signal => gatepass.forget(url, signal === undefined ? {} : {signal}), undefined],
	['forget, of all rules', signal => gatepass.forget(undefined, signal && {signal}), undefined],
])('%s', (name, call, result) => {
	test('without a signal', async () => {
		busy.released.resolve();
		expect(await call()).toEqual(result);
	});

	test('with one that is not aborted: nothing of it stays at the signal', async () => {
		const {signal} = new AbortController();
		const called = call(signal);
		await busy.reached.promise;
		expect(getEventListeners(signal, 'abort')).toHaveLength(1);
		busy.released.resolve();
		expect(await called).toEqual(result);
		expect(getEventListeners(signal, 'abort')).toEqual([]);
	});

	test('with one that is aborted already, nothing is begun', async () => {
		const reason = new Error('too late');
		await expect(call(AbortSignal.abort(reason))).rejects.toBe(reason);
		expect(await Promise.race([busy.reached.promise.then(() => 'begun'), Promise.resolve('not')])).toBe(
			'not',
		);
	});

	test('with one that is aborted meanwhile, at once and with its reason', async () => {
		const controller = new AbortController();
		const reason = new Error('no time left');
		const called = call(controller.signal);
		await busy.reached.promise;
		controller.abort(reason);
		await expect(called).rejects.toBe(reason);
		expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
		expect(ended).toBe(0);
		busy.released.resolve();
		// What was begun ends all the same.
		if (name === 'authorize') await expect.poll(() => ended).toBe(1);
	});
});
