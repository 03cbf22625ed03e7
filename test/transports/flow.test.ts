/** A flow tells any client what its legs are to have: whatever the client and its answers are like, it ends. */
import {request as httpRequest, type IncomingMessage} from 'node:http';
import {Readable} from 'node:stream';
import {AxiosHeaders} from 'axios';
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {createGatepass, type Flow, type Gatepass} from '../../src/index.ts';
import {type MtlsServer, startMtlsServer, startNegotiateServer} from '../../src/testing/index.ts';
import {failure, setUpStage} from './scripted-stage.ts';

const stage = setUpStage();
const url = (): string => `${stage.server.url}/runs`;
const refused = {status: 401, headers: {}};
const accepted = {status: 200, headers: {}};

test('the legs, from the first one, which is the flow itself, to the answer that counts', async () => {
	const flow = await stage.gatepass.flow(url());
	expect({...flow}).toMatchObject({url: url(), headers: {'x-leg': '1'}});
	expect(flow).not.toHaveProperty('tls');
	expect(await flow.next(refused)).toEqual({url: url(), headers: {'x-leg': '2'}});
	expect(await flow.next(refused)).toEqual({url: url(), headers: {'x-leg': '3'}});
	expect(stage.ended).toBe(0);
	expect(await flow.next(accepted)).toBeUndefined();
	expect(stage.ended).toBe(1);
	// Whoever asks once more is told the same, and ending it again does nothing.
	expect(await flow.next(refused)).toBeUndefined();
	await flow.end();
});

describe('the answer of', () => {
	let seen: unknown;
	beforeEach(() => {
		seen = undefined;
		stage.script = async function* () {
			const {status, headers} = yield;
			seen = {status, challenge: headers['www-authenticate']};
		};
	});
	const headers = {'WWW-Authenticate': 'Negotiate'};
	const several: [string, string][] = [
		['www-authenticate', 'Negotiate'],
		['WWW-Authenticate', 'Basic'],
	];

	test.each<[string, object, unknown]>([
		['fetch', new Response('', {status: 401, headers}), 'Negotiate'],
		['axios', {status: 401, headers: new AxiosHeaders(headers)}, 'Negotiate'],
		['a plain object', {statusCode: 401, headers}, 'Negotiate'],
		['a map', {status: 401, headers: new Map(Object.entries(headers))}, 'Negotiate'],
		['pairs', {status: 401, headers: several}, ['Negotiate', 'Basic']],
		['lists', {status: 401, headers: {'www-authenticate': ['Negotiate', 'Basic']}}, ['Negotiate', 'Basic']],
	])('%s', async (_name, response, challenge) => {
		const flow = await stage.gatepass.flow(url());
		expect(await flow.next(response as Response)).toBeUndefined();
		expect(seen).toEqual({status: 401, challenge});
	});

	test("Node's http", async () => {
		stage.answer = (_incoming, response) => response.writeHead(401, headers).end();
		const response = await new Promise<IncomingMessage>(resolve => {
			httpRequest(url(), resolve).end();
		});
		response.resume();
		const flow = await stage.gatepass.flow(url());
		await flow.next(response);
		expect(seen).toEqual({status: 401, challenge: 'Negotiate'});
	});

	test.each([[undefined], [null], [{}], [{status: '200', headers: {}}], [{status: 200}], [[]]])(
		'%j is none: the conversation waits for one',
		async wrong => {
			const flow = await stage.gatepass.flow(url());
			expect((await failure(flow.next(wrong as never))).name).toBe('TypeError');
			expect(stage.ended).toBe(0);
			expect(await flow.next(accepted)).toBeUndefined();
			expect(seen).toEqual({status: 200, challenge: undefined});
		},
	);
});

describe('what is told to the strategy', () => {
	test('method, tenant, and whether the token cache is passed over', async () => {
		let seen: unknown;
		stage.script = async function* ({method, tenant, fresh}) {
			seen = {method, tenant, fresh};
			yield;
		};
		await using _first = await stage.gatepass.flow(url(), {
			method: 'post',
			gatepass: {tenant: 'alice', fresh: true},
		});
		expect(seen).toEqual({method: 'POST', tenant: 'alice', fresh: true});
		await using _second = await stage.gatepass.flow(new URL(url()));
		expect(seen).toEqual({method: 'GET', tenant: undefined, fresh: false});
	});

	test('nothing, where gatepass is switched off', async () => {
		const flow = await stage.gatepass.flow(url(), {gatepass: false});
		expect(flow.headers).toEqual({});
		expect(await flow.next(refused)).toBeUndefined();
		expect(stage.begun).toBe(0);
		const wrong = stage.gatepass.flow(url(), {gatepass: 0 as never});
		expect(await failure(wrong)).toMatchObject({name: 'StrategyError'});
	});

	test.each<[string, unknown, boolean]>([
		['nothing', undefined, true],
		['text', 'text', true],
		['bytes', new Uint8Array(3), true],
		['a blob', new Blob(['text']), true],
		['a stream', Readable.from(['text']), false],
		['a web stream', new Blob(['text']).stream(), false],
	])('whether %s can be sent again', async (_name, body, again) => {
		let replayable: boolean | undefined;
		stage.script = async function* (request) {
			({replayable} = request);
			yield;
			yield;
		};
		const flow = await stage.gatepass.flow(url(), {method: 'POST', body});
		expect(replayable).toBe(again);
		// What is used up is the answer that counts, whatever the strategy says.
		expect((await flow.next(refused)) !== undefined).toBe(again);
		await flow.end();
	});
});

test('a query that the strategy adds is in the URL', async () => {
	stage.script = async function* (request) {
		request.url.searchParams.set('key', 'secret');
		yield;
	};
	await using flow = await stage.gatepass.flow(`${url()}?a=b%20c`);
	expect(flow.url).toBe(`${url()}?a=b%20c&key=secret`);
});

test('more than ten legs are a StrategyError', async () => {
	const flow = await stage.gatepass.flow(url());
	for (let leg = 2; leg <= 10; leg += 1) {
		expect(await flow.next(refused)).toMatchObject({headers: {'x-leg': `${leg}`}});
	}
	const error = await failure(flow.next(refused));
	expect(error).toMatchObject({name: 'StrategyError'});
	// What comes later does not pass for an answer that was accepted.
	expect(await failure(flow.next(accepted))).toBe(error);
});

describe('what fails', () => {
	test.each(['first', 'second'])('a strategy before the %s leg', async which => {
		stage.script = async function* () {
			if (which === 'first') throw new Error('no ticket');
			yield;
			throw new Error('no ticket');
		};
		const error =
			which === 'first'
				? await failure(stage.gatepass.flow(url()))
				: await failure((await stage.gatepass.flow(url())).next(refused));
		expect(error.message).toBe('no ticket');
	});

	test('a strategy that changes the origin', async () => {
		stage.script = async function* (request) {
			request.url.hostname = 'localhost';
			yield;
		};
		expect(await failure(stage.gatepass.flow(url()))).toMatchObject({name: 'StrategyError'});
	});

	test('what is no URL', async () => {
		expect((await failure(stage.gatepass.flow('runs'))).name).toBe('TypeError');
	});
});

describe('a flow that is left', () => {
	const begin = (signal?: AbortSignal): Promise<Flow> =>
		stage.gatepass.flow(url(), signal === undefined ? {} : {signal});

	test('ended by its user, once or often', async () => {
		const flow = await begin();
		await Promise.all([flow.end(), flow.end()]);
		expect(stage.ended).toBe(1);
		expect((await failure(flow.next(accepted))).message).toBe('The flow was ended by its user');
	});

	test('ended by its user, while the strategy prepares the second leg', async () => {
		const released = Promise.withResolvers<void>();
		stage.script = async function* () {
			yield;
			await released.promise;
			yield;
		};
		const flow = await begin();
		const next = failure(flow.next(refused));
		const ended = flow.end();
		released.resolve();
		await ended;
		expect((await next).message).toBe('The flow was ended by its user');
	});

	test('by await using', async () => {
		{
			await using _flow = await begin();
			expect(stage.ended).toBe(0);
		}
		expect(stage.ended).toBe(1);
	});

	test('by a signal that is aborted already', async () => {
		expect((await failure(begin(AbortSignal.abort()))).name).toBe('AbortError');
		expect(stage.begun).toBe(0);
	});

	test.each(['first', 'second'])('by a signal, while the strategy prepares the %s leg', async which => {
		const reached = Promise.withResolvers<void>();
		const released = Promise.withResolvers<void>();
		const pause = async (): Promise<void> => {
			reached.resolve();
			await released.promise;
		};
		stage.script = async function* () {
			if (which === 'first') await pause();
			yield;
			await pause();
			yield;
		};
		const controller = new AbortController();
		const begun = begin(controller.signal);
		const result = failure(which === 'first' ? begun : begun.then(flow => flow.next(refused)));
		await reached.promise;
		controller.abort();
		// At once, whatever the strategy is busy with.
		expect((await result).name).toBe('AbortError');
		expect(stage.ended).toBe(0);
		released.resolve();
		await expect.poll(() => stage.ended).toBe(1);
	});

	test('by a signal between two legs', async () => {
		const controller = new AbortController();
		const flow = await begin(controller.signal);
		controller.abort();
		// Also where nobody comes back.
		await expect.poll(() => stage.ended).toBe(1);
		expect((await failure(flow.next(refused))).name).toBe('AbortError');
	});
});

test('an answer that is not proven: what of it may be believed', async () => {
	stage.script = async function* () {
		(yield).withhold(['www-authenticate']);
		(yield).withhold(['content-length']);
		yield;
	};
	const flow = await stage.gatepass.flow(url());
	expect(flow.withheld).toBeUndefined();
	await flow.next(refused);
	expect(flow.withheld).toEqual(['www-authenticate']);
	await flow.next(refused);
	expect(flow.withheld).toEqual(['content-length']);
	expect(await flow.next(accepted)).toBeUndefined();
	expect(flow.withheld).toBeUndefined();
});

describe('with and without a rule', () => {
	let files: MtlsServer;
	let gatepass: Gatepass;
	beforeAll(async () => {
		files = await startMtlsServer();
		gatepass = await createGatepass({
			config: {
				cache: {url: 'memory:'},
				trust: [{match: files.url, ca: files.ca, only: true}],
				hostRules: [
					{match: `${files.url}/by-certificate`, strategy: 'grid-certificate', options: {...files.client}},
				],
			},
		});
	});
	afterAll(async () => {
		await gatepass.close();
		await files.close();
	});

	test('a client certificate and the CA certificates are in tls', async () => {
		await using flow = await gatepass.flow(`${files.url}/by-certificate`);
		expect(flow.tls?.cert).toContain('BEGIN CERTIFICATE');
		expect(flow.tls?.key).toContain('PRIVATE KEY');
		expect(flow.tls?.ca?.join('')).toContain('BEGIN CERTIFICATE');
		expect(await flow.next(accepted)).toBeUndefined();
	});

	test('without a rule, the trust store is told, and every answer counts', async () => {
		const flow = await gatepass.flow(`${files.url}/other`);
		expect(flow.headers).toEqual({});
		expect(flow.tls).not.toHaveProperty('key');
		expect(flow.tls?.ca?.join('')).toContain('BEGIN CERTIFICATE');
		expect(await flow.next(refused)).toBeUndefined();
		await flow.end();
	});

	test('none of it where nothing is configured', async () => {
		const flow = await gatepass.flow('http://127.0.0.1:1/');
		expect({url: flow.url, headers: flow.headers, tls: flow.tls}).toEqual({
			url: 'http://127.0.0.1:1/',
			headers: {},
			tls: undefined,
		});
		expect(await flow.next(refused)).toBeUndefined();
	});
});

test('a server that has to prove who it is', async () => {
	const [good, bad] = await Promise.all([startNegotiateServer(), startNegotiateServer({proof: 'invalid'})]);
	await using gatepass = await createGatepass({
		config: {
			cache: {url: 'memory:'},
			hostRules: [{match: [good.url, bad.url], strategy: 'kerberos-stub'}],
		},
	});
	const walk = async (to: string): Promise<number> => {
		await using flow = await gatepass.flow(to);
		for (let headers: Record<string, string> | undefined = flow.headers, legs = 1; ; legs += 1) {
			const response = await fetch(to, {headers});
			await response.body?.cancel();
			headers = (await flow.next(response))?.headers;
			if (headers === undefined) return legs;
		}
	};
	expect(await walk(`${good.url}/runs`)).toBe(2);
	expect(await failure(walk(`${bad.url}/runs`))).toMatchObject({name: 'MutualAuthenticationError'});
	await good.close();
	await bad.close();
});
