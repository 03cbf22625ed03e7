/** What a strategy can do in a conversation, for each way to send by undici, of versions 7 and 8 and Node's own. */
import {once} from 'node:events';
import {PassThrough} from 'node:stream';
import {text} from 'node:stream/consumers';
import {fetch as fetch8, interceptors, request as request8} from 'undici';
import {fetch as fetch7, interceptors as interceptors7, request as request7} from 'undici7';
import {describe, expect, test} from 'vitest';
import {startServer} from '../../../src/testing/server.ts';
import {failure, type Stage, setUpStage} from '../scripted-stage.ts';

const stage = setUpStage();

interface Options {
	readonly method?: string;
	readonly headers?: Record<string, string>;
	readonly body?: string;
	readonly gatepass?: unknown;
}
interface Answer {
	readonly status: number;
	readonly headers: Headers;
	readonly body: string;
}

const ofFetch = async (response: {
	status: number;
	headers: unknown;
	text(): Promise<string>;
}): Promise<Answer> => ({
	status: response.status,
	headers: response.headers as Headers,
	body: await response.text(),
});
type Raw = {statusCode: number; headers: object; body: {text(): Promise<string>}};
const ofRequest = async ({statusCode, headers, body}: Raw): Promise<Answer> => ({
	status: statusCode,
	headers: new Headers(
		Object.entries(headers).flatMap(([name, values]) => [values].flat().map(one => [name, one])),
	),
	body: await body.text(),
});

/** Each under the interface of the first. Their types take only dispatchers of their own version for one. */
const ways: Record<string, (url: string, options?: Options) => Promise<Answer>> = {
	'gatepass.fetch': async (url, options) => ofFetch(await stage.gatepass.fetch(url, options as never)),
	"Node's fetch": async (url, options) =>
		ofFetch(await fetch(url, {...options, dispatcher: stage.gatepass.dispatcher} as never)),
	"undici 8's fetch": async (url, options) =>
		ofFetch(await fetch8(url, {...options, dispatcher: stage.gatepass.dispatcher} as never)),
	"undici 7's fetch": async (url, options) =>
		ofFetch(await fetch7(url, {...options, dispatcher: stage.gatepass.dispatcher} as never)),
	"undici 8's request": async (url, options) =>
		ofRequest(await request8(url, {...options, dispatcher: stage.gatepass.dispatcher} as never)),
	"undici 7's request": async (url, options) =>
		ofRequest(await request7(url, {...options, dispatcher: stage.gatepass.dispatcher} as never)),
};

/** Refuses until leg `last`. */
const acceptLeg =
	(last: number): Stage['answer'] =>
	({headers}, response) => {
		response.statusCode = Number(headers['x-leg']) < last ? 401 : 200;
		response.end(`leg ${headers['x-leg']}`);
	};

/** fetch says only that it failed, and why as the cause. */
async function reasonOf(promise: Promise<unknown>): Promise<Error> {
	const error = await failure(promise);
	return error.message === 'fetch failed' ? (error.cause as Error) : error;
}

describe.each(Object.entries(ways))('%s', (name, send) => {
	test.each([1, 2, 3, 10])('%i legs, each with the whole body', async legs => {
		stage.answer = acceptLeg(legs);
		const {body} = await send(stage.server.url, {method: 'POST', body: 'payload'});
		expect(body).toBe(`leg ${legs}`);
		expect(stage.server.requests.slice(-legs).map(({body}) => body)).toEqual(Array(legs).fill('payload'));
	});

	test('more than ten are a StrategyError', async () => {
		stage.answer = acceptLeg(11);
		const before = stage.server.requests.length;
		const error = await reasonOf(send(stage.server.url));
		expect(error).toMatchObject({name: 'StrategyError', code: 'ERR_GATEPASS_STRATEGY'});
		expect(error.message).toContain('more than 10 times');
		expect(stage.server.requests).toHaveLength(before + 10);
	});

	test('a strategy that never yields is done', async () => {
		stage.script = async function* (request) {
			request.headers.set('x-leg', '1');
			if (request.method !== 'GET') yield;
		};
		stage.answer = acceptLeg(1);
		expect((await send(stage.server.url)).body).toBe('leg 1');
	});

	test('a header that is deleted, of the caller and of an earlier leg', async () => {
		stage.script = async function* (request) {
			request.headers.delete('X-Own');
			request.headers.set('x-first', '1');
			yield;
			request.headers.delete('x-first');
			yield;
		};
		await send(stage.server.url, {headers: {'x-Own': 'own', 'x-other': 'other'}});
		const [first, second] = stage.server.requests.slice(-2).map(({headers}) => headers);
		expect(first).toMatchObject({'x-first': '1', 'x-other': 'other'});
		expect(first).not.toHaveProperty('x-own');
		expect(second).not.toHaveProperty('x-first');
		expect(second).not.toHaveProperty('x-own');
	});

	test.each(['before', 'after'])('a strategy that fails %s the first yield', async when => {
		stage.script = async function* () {
			if (when === 'before') throw new Error('no ticket');
			yield;
			throw new Error('no ticket');
		};
		expect((await reasonOf(send(stage.server.url))).message).toBe('no ticket');
	});

	test.each(['first', 'second'])('a strategy that changes the origin for the %s leg', async leg => {
		const other = await startServer((_request, response) => void response.end());
		stage.script = async function* (request) {
			if (leg === 'second') yield;
			request.headers.set('authorization', 'secret');
			request.url.host = new URL(other.url).host;
			yield;
		};
		const error = await reasonOf(send(stage.server.url));
		expect(error).toMatchObject({name: 'StrategyError', code: 'ERR_GATEPASS_STRATEGY'});
		expect(other.requests).toEqual([]);
		await other.close();
	});

	test('a header that cannot be sent', async () => {
		stage.script = async function* (request) {
			request.headers.set('x-leg', 'secret\nline');
			yield;
		};
		const error = await reasonOf(send(stage.server.url));
		expect(error.message).toContain('x-leg');
		expect(error.message).not.toContain('secret');
	});

	test("a query parameter is added behind the caller's, as written", async () => {
		stage.script = async function* (request) {
			request.url.searchParams.set('key', 'secret');
			yield;
		};
		await send(`${stage.server.url}/page?own=%E9`);
		expect(stage.server.requests.at(-1)?.url).toBe('/page?own=%E9&key=secret');
	});

	test('the answer comes with its headers, each line of them, and marked as not to be kept', async () => {
		stage.answer = (_incoming, response) => {
			response.setHeader('set-cookie', ['a=1', 'b=2']);
			response.setHeader('cache-control', 'max-age=60');
			response.writeHead(201).end('made');
		};
		stage.script = async function* () {
			yield;
		};
		const {status, headers, body} = await send(stage.server.url);
		expect([status, body]).toEqual([201, 'made']);
		expect(headers.getSetCookie()).toEqual(['a=1', 'b=2']);
		expect(headers.get('cache-control')).toBe('max-age=60, no-store');
	});

	test('an answer that is withheld has a status and harmless headers, and no body', async () => {
		stage.answer = (_incoming, response) =>
			void response.writeHead(403, {'set-cookie': 'a=1', server: 's', 'content-length': '2'}).end('no');
		stage.script = async function* () {
			const response = yield;
			response.withhold(['server', 'content-length']);
		};
		const {status, headers, body} = await send(stage.server.url);
		expect([status, body]).toEqual([403, '']);
		expect(Object.fromEntries(headers)).toEqual({server: 's', 'content-length': '0'});
	});

	test('HEAD, 204 and 304 have no body', async () => {
		stage.answer = ({method, url}, response) => {
			response.statusCode = method === 'HEAD' ? 200 : Number(url?.slice(1));
			response.end();
		};
		stage.script = async function* () {
			yield;
		};
		expect(await send(stage.server.url, {method: 'HEAD'})).toMatchObject({status: 200, body: ''});
		for (const status of [204, 304]) {
			expect(await send(`${stage.server.url}/${status}`)).toMatchObject({status, body: ''});
		}
	});

	test('what the caller says to gatepass', async () => {
		// Other fetches take no options but their own.
		const takesSetting = name === 'gatepass.fetch' || name.endsWith('request');
		if (!takesSetting) return;
		let seen: unknown;
		stage.script = async function* ({fresh, tenant}) {
			seen = {fresh, tenant};
			yield;
		};
		await send(stage.server.url, {gatepass: {fresh: true, tenant: 'alice'}});
		expect(seen).toEqual({fresh: true, tenant: 'alice'});
		seen = undefined;
		await send(stage.server.url, {gatepass: false});
		expect(seen).toBeUndefined();
		const before = stage.server.requests.length;
		for (const wrong of [true, null, 0, [], {fersh: true}, {fresh: 1}]) {
			const error = await reasonOf(send(stage.server.url, {gatepass: wrong}));
			expect(error).toMatchObject({name: 'StrategyError'});
			expect(error.message).toMatch(/^gatepass[. ]/);
		}
		expect(stage.server.requests).toHaveLength(before);
	});
});

test('many at once at three hosts, each conversation by itself', async () => {
	stage.script = async function* (request) {
		const own = `${request.url.host}${request.url.pathname}`;
		const response = yield;
		await new Promise(resolve => setTimeout(resolve, Math.random() * 10));
		request.headers.set('x-own', `${own} after ${response.headers['x-challenge']}`);
		yield;
	};
	const hosts = await Promise.all(
		Array.from({length: 3}, async () =>
			startServer(({url, headers}, response) => {
				if (headers['x-own'] === undefined) response.writeHead(401, {'x-challenge': url}).end();
				else response.end(headers['x-own']);
			}),
		),
	);
	const senders = [ways['gatepass.fetch'], ways["undici 8's request"], ways["undici 7's request"]];
	const seen = await Promise.all(
		Array.from({length: 200}, async (_, index) => {
			const {url} = hosts[index % 3] as (typeof hosts)[number];
			const answer = await senders[index % senders.length]?.(`${url}/${index}`);
			return [answer?.body, `${new URL(url).host}/${index} after /${index}`];
		}),
	);
	for (const [answered, expected] of seen) expect(answered).toBe(expected);
	await Promise.all(hosts.map(host => host.close()));
});

describe('the target', () => {
	const dispatch = (options: object): Promise<unknown> =>
		stage.gatepass.dispatcher.request({method: 'GET', origin: stage.server.url, ...options} as never);

	test('a path that looks like another host stays behind the origin', async () => {
		const other = await startServer((_request, response) => void response.end());
		await dispatch({path: `//${new URL(other.url).host}/x`});
		expect(stage.server.requests.at(-1)).toMatchObject({headers: {'x-leg': '1'}});
		expect(other.requests).toEqual([]);
		await other.close();
	});

	test.each([
		['/a/../b', '/b'],
		['/a/%2e%2e/b', '/b'],
		['/a\\b', '/a/b'],
		['/a?', '/a?'],
		['/a?b#c', '/a?b'],
	])('%s is sent as what its rule was chosen for: %s', async (path, sent) => {
		await dispatch({path});
		expect(stage.server.requests.at(-1)?.url).toBe(sent);
	});

	test('the query of the options', async () => {
		await dispatch({path: '/a', query: {b: 'c d', e: ['f', 'g']}});
		expect(stage.server.requests.at(-1)?.url).toBe('/a?b=c%20d&e=f&e=g');
		const error = await failure(dispatch({path: '/a?b', query: {c: 'd'}}));
		expect(error.message).toContain('Query params cannot be passed');
	});

	test.each([
		['a list', ['x-a', '1', 'X-A', '2', 'x-b', '3']],
		[
			'pairs',
			[
				['x-a', ['1', '2']],
				['x-b', '3'],
			].values(),
		],
		[
			'a map',
			new Map<string, unknown>([
				['x-a', ['1', '2']],
				['x-b', 3],
			]),
		],
		['an object', {'x-a': ['1', '2'], 'x-b': 3, 'x-c': undefined}],
	])('headers as %s', async (_name, headers) => {
		await dispatch({path: '/', headers});
		expect(stage.server.requests.at(-1)?.headers).toMatchObject({'x-a': '1, 2', 'x-b': '3', 'x-leg': '1'});
	});

	test('port 0', async () => {
		const error = await failure(dispatch({origin: 'http://127.0.0.1:0', path: '/'}));
		expect(error).toMatchObject({name: 'InsecureTransportError'});
	});
});

describe('interceptors above gatepass', () => {
	test.each([
		[
			'undici 8',
			() =>
				request8(stage.server.url, {
					dispatcher: stage.gatepass.dispatcher.compose(
						interceptors.redirect({maxRedirections: 3}),
						interceptors.retry({minTimeout: 1, maxRetries: 3}),
					),
				}),
		],
		[
			'undici 7',
			() =>
				request7(stage.server.url, {
					dispatcher: stage.gatepass.dispatcher.compose(
						interceptors7.redirect({maxRedirections: 3}) as never,
						interceptors7.retry({minTimeout: 1, maxRetries: 3}) as never,
					) as never,
				}),
		],
	])('redirects and retries of %s are hops of their own', async (_name, send) => {
		let asked = 0;
		stage.answer = ({url, headers}, response) => {
			asked += 1;
			if (headers['x-leg'] === '1') response.writeHead(401).end('refused');
			else if (url === '/') response.writeHead(302, {location: '/there'}).end();
			else if (asked < 6) response.writeHead(503).end();
			else response.end('there');
		};
		stage.script = async function* (request) {
			for (const leg of ['1', '2']) {
				request.headers.set('x-leg', leg);
				yield;
			}
		};
		const {body} = await send();
		expect(await body.text()).toBe('there');
		// Retried from its beginning: to where it led, twice.
		expect(stage.begun).toBe(4);
	});
});

test('undici.stream and undici.pipeline', async () => {
	stage.answer = acceptLeg(2);
	const sink = new PassThrough();
	const content = text(sink);
	await stage.gatepass.dispatcher.stream({origin: stage.server.url, path: '/', method: 'GET'}, () => sink);
	expect(await content).toBe('leg 2');
	// What is written into a pipeline can be sent once.
	stage.answer = acceptLeg(1);
	const pipeline = stage.gatepass.dispatcher.pipeline(
		{origin: stage.server.url, path: '/', method: 'POST'},
		({body}) => body,
	);
	pipeline.end('payload');
	expect(await text(pipeline)).toBe('leg 1');
	expect(stage.server.requests.at(-1)?.body).toBe('payload');
	if (!pipeline.closed) await once(pipeline, 'close');
});
