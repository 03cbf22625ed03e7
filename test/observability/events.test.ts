/** The events on `diagnostics_channel`: each with its payload, each as often as it should be. */
import {Readable} from 'node:stream';
import {text} from 'node:stream/consumers';
import type {OptionsInit, StreamOptions} from 'got';
import {afterEach, beforeEach, describe, expect, test, vi} from 'vitest';
import {TokenCacheError, TokenRequestError} from '../../src/index.ts';
import {eventNames, listenTo, type PublishedEvent, type Stage, setStage} from './setup.ts';

let stage: Stage;
beforeEach(async () => {
	stage = await setStage();
});
afterEach(() => {
	vi.useRealTimers();
});

const duration = expect.any(Number);
const named = (events: PublishedEvent[], name: (typeof eventNames)[number]) =>
	events.filter(event => event.name === name).map(({payload}) => payload);

describe('about tokens', () => {
	const key = expect.stringMatching(/"client","reports"/);
	const expiresAt = expect.any(Number);

	test('one that is issued, served, renewed, refused and fetched again', async () => {
		vi.useFakeTimers({toFake: ['Date']});
		const {got} = await stage.createClient();
		const events = listenTo(eventNames.slice(0, 5));
		const url = `${stage.api.url}/sso/200`;

		await got(url);
		expect(events.splice(0)).toEqual([{name: 'gatepass:token:issue', payload: {key, duration, expiresAt}}]);
		await got(url);
		expect(events.splice(0)).toEqual([{name: 'gatepass:token:hit', payload: {key, from: 'memory'}}]);
		vi.setSystemTime(Date.now() + 0.8 * stage.endpoint.lifetime);
		await got(url);
		await expect.poll(() => events.length).toBe(2);
		expect(events.splice(0)).toEqual([
			{name: 'gatepass:token:hit', payload: {key, from: 'memory'}},
			{name: 'gatepass:token:refresh', payload: {key, duration, expiresAt}},
		]);
		stage.refused.add('token-2');
		await got(url);
		expect(events.splice(0)).toEqual([
			{name: 'gatepass:token:hit', payload: {key, from: 'memory'}},
			{name: 'gatepass:token:invalidate', payload: {key}},
			{name: 'gatepass:token:issue', payload: {key, duration, expiresAt}},
		]);
	});

	test('one that is found in the store', async () => {
		const cache = new Map() as never;
		await (await stage.createClient({cache})).got(`${stage.api.url}/sso/200`);
		const {got} = await stage.createClient({cache});
		const events = listenTo(eventNames.slice(0, 5));
		await got(`${stage.api.url}/sso/200`);
		expect(events).toEqual([{name: 'gatepass:token:hit', payload: {key, from: 'store'}}]);
	});

	test('one that cannot be had', async () => {
		stage.endpoint.failure = {status: 400, error: 'invalid_client'};
		const {got} = await stage.createClient();
		const events = listenTo(eventNames.slice(0, 5));
		const thrown = await got(`${stage.api.url}/sso/200`).catch(error => error);
		expect(thrown).toBeInstanceOf(TokenRequestError);
		expect(events).toEqual([{name: 'gatepass:token:error', payload: {key, error: thrown, duration}}]);
		expect(events[0]?.payload.error).toBe(thrown);
	});

	test('a store that fails, though no request does', async () => {
		const broken = Object.assign(new Map(), {
			get() {
				throw new Error('the store is down');
			},
		});
		const {got} = await stage.createClient({cache: broken as never});
		const events = listenTo(eventNames.slice(0, 5));
		await got(`${stage.api.url}/sso/200`);
		expect(events.map(({name}) => name)).toEqual(['gatepass:token:error', 'gatepass:token:issue']);
		const [failure] = named(events, 'gatepass:token:error');
		const error = failure?.error as TokenCacheError;
		expect(error).toBeInstanceOf(TokenCacheError);
		expect(error.cause).toMatchObject({message: 'the store is down'});
		expect(failure).toEqual({error});
	});
});

describe('gatepass:request', () => {
	interface Told {
		readonly path: string;
		readonly status?: number;
		readonly legs: number;
		readonly method?: string;
	}
	const strategies: Record<string, string> = {
		sso: 'sso-client-credentials',
		key: 'static-token',
		kerberos: 'kerberos-stub',
	};
	const payloadOf = ({path, legs, method = 'GET', ...status}: Told) => {
		const [, name = ''] = path.split('/');
		const match = `${stage.api.url}/${name}`;
		const source = `hostRules[${Object.keys(strategies).indexOf(name)}]`;
		const rule = {match, strategy: strategies[name], source};
		return {method, url: stage.api.url + path, rule, legs, duration, ...status};
	};

	const cases: [
		title: string,
		path: string,
		options: OptionsInit,
		told: Told[],
		interruption?: () => void,
	][] = [
		['an answer', '/key/200', {}, [{path: '/key/200', status: 200, legs: 1}]],
		['a refusal', '/key/403', {}, [{path: '/key/403', status: 403, legs: 1}]],
		[
			'a body',
			'/key/201',
			{method: 'POST', json: {}},
			[{path: '/key/201', status: 201, legs: 1, method: 'POST'}],
		],
		['a challenge', '/kerberos/200', {}, [{path: '/kerberos/200', status: 200, legs: 2}]],
		[
			'a redirect',
			'/key/to-sso',
			{},
			[
				{path: '/key/to-sso', status: 302, legs: 1},
				{path: '/sso/200', status: 200, legs: 1},
			],
		],
		[
			'a redirect after a challenge',
			'/kerberos/to-kerberos',
			{},
			[
				{path: '/kerberos/to-kerberos', status: 302, legs: 2},
				{path: '/kerberos/200', status: 200, legs: 2},
			],
		],
		[
			'a redirect that is not followed',
			'/key/to-sso',
			{followRedirect: false},
			[{path: '/key/to-sso', status: 302, legs: 1}],
		],
		[
			'a retry',
			'/key/503',
			{retry: {limit: 1, calculateDelay: ({computedValue}) => Math.min(computedValue, 1)}},
			[
				{path: '/key/503', status: 503, legs: 1},
				{path: '/key/503', status: 503, legs: 1},
			],
		],
		['a connection that is cut off', '/sso/cut-off', {retry: {limit: 0}}, [{path: '/sso/cut-off', legs: 1}]],
		[
			'one that is cut off after a challenge',
			'/kerberos/cut-off',
			{retry: {limit: 0}},
			[{path: '/kerberos/cut-off', legs: 2}],
		],
		[
			'a timeout',
			'/key/never',
			{retry: {limit: 0}, timeout: {request: 300}},
			[{path: '/key/never', legs: 1}],
			() => vi.advanceTimersByTime(300),
		],
		[
			'an abort',
			'/kerberos/never',
			{},
			[{path: '/kerberos/never', legs: 2}],
			() => controller.abort(new Error('enough')),
		],
	];

	/** Of the requests of a test. */
	let controller: AbortController;
	beforeEach(() => {
		controller = new AbortController();
	});

	/** Have a request interrupted as soon as the server has all its legs. */
	async function interruptOnceThere(told: readonly Told[], interruption: () => void): Promise<void> {
		vi.useFakeTimers({toFake: ['setTimeout', 'clearTimeout']});
		const before = stage.api.requests.length;
		await expect.poll(() => stage.api.requests.length).toBe(before + (told[0]?.legs as number));
		interruption();
	}

	test.each(cases)('%s', async (_, path, options, told, interruption) => {
		const {got} = await stage.createClient();
		const events = listenTo(['gatepass:request']);
		const interrupted = interruption && interruptOnceThere(told, interruption);
		await got(`${stage.api.url}${path}`, {
			...options,
			...(interruption && {signal: controller.signal}),
		}).catch(() => {});
		await interrupted;
		await expect.poll(() => events.length).toBeGreaterThanOrEqual(told.length);
		expect(events.map(({payload}) => payload)).toEqual(told.map(payloadOf));
	});

	test.each(cases)('%s, as a stream', async (_, path, options, told, interruption) => {
		if (path === '/key/503') return;
		const {got} = await stage.createClient();
		const events = listenTo(['gatepass:request']);
		const interrupted = interruption && interruptOnceThere(told, interruption);
		const stream = got.stream(`${stage.api.url}${path}`, {
			...options,
			...(interruption && {signal: controller.signal}),
		} as StreamOptions);
		await text(stream).catch(() => {});
		await interrupted;
		await expect.poll(() => events.length).toBeGreaterThanOrEqual(told.length);
		expect(events.map(({payload}) => payload)).toEqual(told.map(payloadOf));
	});

	test('a token that is refused, and fetched again', async () => {
		const {got} = await stage.createClient();
		stage.refused.add('token-1');
		const events = listenTo(['gatepass:request']);
		await got(`${stage.api.url}/sso/200`);
		expect(named(events, 'gatepass:request')).toEqual([payloadOf({path: '/sso/200', status: 200, legs: 2})]);
	});

	test('a token that cannot be had: nothing is sent', async () => {
		stage.endpoint.failure = {status: 500};
		const {got} = await stage.createClient();
		const events = listenTo(['gatepass:request']);
		await expect(got(`${stage.api.url}/sso/200`)).rejects.toThrow(TokenRequestError);
		expect(named(events, 'gatepass:request')).toEqual([payloadOf({path: '/sso/200', legs: 0})]);
	});

	test('a server that is not there', async () => {
		const {got} = await stage.createClient();
		await stage.api.close();
		const events = listenTo(['gatepass:request']);
		await expect(got(`${stage.api.url}/key/200`, {retry: {limit: 0}})).rejects.toThrow('ECONNREFUSED');
		expect(named(events, 'gatepass:request')).toEqual([payloadOf({path: '/key/200', legs: 1})]);
	});

	test('a function of the caller’s that answers by itself', async () => {
		const {got} = await stage.createClient();
		const events = listenTo(['gatepass:request']);
		const request = () => Object.assign(Readable.from(['{}']), {statusCode: 203, headers: {}}) as never;
		await got(`${stage.api.url}/key/200`, {request});
		expect(named(events, 'gatepass:request')).toEqual([payloadOf({path: '/key/200', status: 203, legs: 1})]);
	});

	test('has neither user information nor query nor fragment in its URL', async () => {
		const {got} = await stage.createClient();
		const events = listenTo(['gatepass:request']);
		const url = stage.api.url.replace('//', '//alice:a-password@');
		await got(`${url}/key/200?token=secret#fragment`);
		expect(named(events, 'gatepass:request')).toEqual([payloadOf({path: '/key/200', status: 200, legs: 1})]);
	});

	test('is not told of requests that gatepass has nothing to do with', async () => {
		const {got} = await stage.createClient();
		const events = listenTo();
		await got(`${stage.api.url}/200`);
		await got(`${stage.api.url}/key/200`, {context: {gatepass: false}});
		expect(events).toEqual([]);
	});
});
