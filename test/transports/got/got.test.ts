/** What got can do, it can do through gatepass: with a strategy of one leg, and with one of two. */
import {Readable} from 'node:stream';
import {pipeline} from 'node:stream/promises';
import {gzipSync} from 'node:zlib';
import got, {type BeforeRequestHook, HTTPError} from 'got';
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {createGatepass, type Gatepass} from '../../../src/index.ts';
import {answerJson, startServer, type TestServer} from '../../../src/testing/server.ts';
import {startTokenServer} from '../../../src/testing/token-server.ts';
import {ChallengedStrategy, EagerStrategy, type Echo, startEchoServer} from '../echo-server.ts';

let server: TestServer;
/** Free for every test to answer as it likes. */
let answer: Parameters<typeof startServer>[0];
let custom: TestServer;
let unruled: TestServer;

beforeAll(async () => {
	[server, custom, unruled] = await Promise.all([
		startEchoServer(),
		startServer((...parameters) => answer(...parameters)),
		startServer((_request, response) => {
			answerJson(response, 200, {}, {'cache-control': 'public, max-age=60'});
		}),
	]);
});

afterAll(async () => {
	await Promise.all([server.close(), custom.close(), unruled.close()]);
});

describe.each(['eager', 'challenged'])('through the strategy %s', strategy => {
	let gatepass: Gatepass;
	let since: number;
	const legs = strategy === 'eager' ? 1 : 2;

	beforeAll(async () => {
		gatepass = await createGatepass({
			strategies: [EagerStrategy, ChallengedStrategy],
			config: {
				cache: {url: 'memory:'},
				hostRules: [
					{match: server.url, strategy},
					{match: custom.url, strategy},
				],
			},
		});
	});

	afterAll(async () => gatepass.close());

	beforeEach(() => {
		since = server.requests.length;
	});

	const requests = () => server.requests.slice(since);

	test('json, text, buffer and the whole response', async () => {
		const url = `${server.url}/page`;
		expect(await gatepass.got(url).json<Echo>()).toMatchObject({method: 'GET', url: '/page'});
		expect(JSON.parse(await gatepass.got(url).text())).toMatchObject({url: '/page'});
		expect(JSON.parse(Buffer.from(await gatepass.got(url).buffer()).toString())).toMatchObject({
			url: '/page',
		});
		const response = await gatepass.got(url, {responseType: 'json'});
		expect(response).toMatchObject({statusCode: 200, ok: true, url, retryCount: 0, redirectUrls: []});
		expect(response.timings?.phases.total).toBeGreaterThanOrEqual(0);
		expect(requests()).toHaveLength(4 * legs);
	});

	test.each([
		['a string', {body: 'payload'}, 'payload', undefined],
		['a Buffer', {body: Buffer.from('payload')}, 'payload', undefined],
		['json', {json: {a: 1}}, '{"a":1}', 'application/json'],
		['a form', {form: {a: '1 2'}}, 'a=1+2', 'application/x-www-form-urlencoded'],
		['an empty string', {body: ''}, '', undefined],
		['half a megabyte', {body: 'x'.repeat(512 * 1024)}, 'x'.repeat(512 * 1024), undefined],
	])('a body that can be sent again: %s', async (_name, options, body, contentType) => {
		const echo = await gatepass.got.post(server.url, options).json<Echo>();
		expect(echo).toEqual({method: 'POST', url: '/', body, ...(contentType && {contentType})});
		expect(requests().map(request => request.body)).toEqual(Array(legs).fill(body));
	});

	async function* generate() {
		yield 'pay';
		yield 'load';
	}

	test.each([
		['a stream', () => Readable.from(['pay', 'load'])],
		['a generator', () => generate()],
	])('a body that can be sent once: %s', async (_name, makeBody) => {
		const response = await gatepass.got.post(server.url, {body: makeBody(), throwHttpErrors: false});
		// A conversation that needs a second leg gets no further; the caller sees the refusal as it came.
		expect(response.statusCode).toBe(strategy === 'eager' ? 200 : 401);
		expect(requests()).toHaveLength(1);
		expect(requests()[0]?.body).toContain('pay');
		expect(response.body).toContain(strategy === 'eager' ? 'load' : 'no credential');
	});

	test('a stream to read', async () => {
		const stream = gatepass.got.stream(`${server.url}/page`);
		const chunks = await stream.toArray();
		expect(JSON.parse(Buffer.concat(chunks).toString())).toMatchObject({url: '/page'});
		expect(stream.response?.statusCode).toBe(200);
	});

	test('a stream to write', async () => {
		const stream = gatepass.got.stream.post(server.url, {throwHttpErrors: false});
		const read = stream.toArray();
		await pipeline(Readable.from(['pay', 'load']), stream);
		const text = Buffer.concat(await read).toString();
		expect(text).toContain(strategy === 'eager' ? 'payload' : 'no credential');
		expect(stream.response?.statusCode).toBe(strategy === 'eager' ? 200 : 401);
		expect(requests()).toHaveLength(1);
	});

	test('a retry of got holds the conversation again', async () => {
		let failures = 2;
		const credentials: unknown[] = [];
		answer = ({headers}, response) => {
			credentials.push(headers['x-credential']);
			if (headers['x-credential'] === undefined) answerJson(response, 401, {});
			else if (failures-- > 0) answerJson(response, 503, {});
			else answerJson(response, 200, {});
		};
		const response = await gatepass.got(custom.url, {retry: {limit: 2, calculateDelay: () => 1}});
		expect(response.retryCount).toBe(2);
		const one = strategy === 'eager' ? ['valid'] : [undefined, 'valid'];
		expect(credentials).toEqual([...one, ...one, ...one]);
	});

	test('HEAD', async () => {
		const response = await gatepass.got.head(`${server.url}/page`);
		expect(response.statusCode).toBe(200);
		expect(response.body).toBe('');
		expect(requests().map(({method}) => method)).toEqual(Array(legs).fill('HEAD'));
	});

	test('a prefix URL', async () => {
		const prefixed = gatepass.got.extend({prefixUrl: `${server.url}/api`});
		expect(await prefixed('page').json<Echo>()).toMatchObject({url: '/api/page'});
	});

	test('pages', async () => {
		answer = ({url, headers}, response) => {
			if (headers['x-credential'] === undefined) answerJson(response, 401, {});
			else {
				const next = url === '/1' ? {link: `<${custom.url}/2>; rel="next"`} : undefined;
				answerJson(response, 200, [url], next);
			}
		};
		expect(await gatepass.got.paginate.all(`${custom.url}/1`, {responseType: 'json'})).toEqual(['/1', '/2']);
	});

	test('an error of the server', async () => {
		answer = ({headers}, response) => {
			answerJson(response, headers['x-credential'] === undefined ? 401 : 404, {why: 'gone'});
		};
		const error = await gatepass.got(custom.url).catch((error: unknown) => error);
		expect(error).toBeInstanceOf(HTTPError);
		expect((error as HTTPError).response).toMatchObject({statusCode: 404, body: '{"why":"gone"}'});
		expect(await gatepass.got(custom.url, {throwHttpErrors: false}).json()).toEqual({why: 'gone'});
	});

	test('an answer that is compressed', async () => {
		answer = ({headers}, response) => {
			if (headers['x-credential'] === undefined) answerJson(response, 401, {});
			else {
				response.writeHead(200, {'content-encoding': 'gzip'}).end(gzipSync('{"a":"bar"}'));
			}
		};
		expect(await gatepass.got(custom.url).text()).toBe('{"a":"bar"}');
	});

	test('answers to authenticated requests are not kept in a cache', async () => {
		answer = ({headers}, response) => {
			const status = headers['x-credential'] === undefined ? 401 : 200;
			answerJson(response, status, {}, {'cache-control': 'public, max-age=60'});
		};
		const cache = new Map();
		const before = custom.requests.length;
		for (let round = 0; round < 2; round += 1) await gatepass.got(custom.url, {cache});
		expect(custom.requests).toHaveLength(before + 2 * legs);
		expect(cache.size).toBe(0);
	});

	test('extending an instance twice authenticates once', async () => {
		const twice = gatepass.extend(gatepass.got);
		await twice(server.url);
		expect(requests()).toHaveLength(legs);
	});

	test('another instance of got', async () => {
		const other = gatepass.extend(got.extend({headers: {'x-own': 'own'}, prefixUrl: server.url}));
		await other('page');
		expect(requests().at(-1)?.headers).toMatchObject({'x-own': 'own', 'x-credential': 'valid'});
	});

	test('without authentication', async () => {
		const context = {gatepass: false};
		const response = await gatepass.got(server.url, {context, throwHttpErrors: false});
		expect(response.statusCode).toBe(401);
		expect(requests()).toHaveLength(1);
	});

	test('many at once, each by itself', async () => {
		const seen = await Promise.all(
			Array.from({length: 100}, async (_, index) => {
				const body = `body-${index}`;
				return gatepass.got.post(`${server.url}/${index}`, {body, context: {index}}).json<Echo>();
			}),
		);
		expect(seen.map(({url, body}) => [url, body])).toEqual(
			seen.map((_, index) => [`/${index}`, `body-${index}`]),
		);
		expect(requests()).toHaveLength(100 * legs);
	});
});

describe('hooks and functions of the caller', () => {
	const leadTo =
		(url: string): BeforeRequestHook =>
		options => {
			options.url = new URL(url);
		};
	let gatepass: Gatepass;
	let another: TestServer;

	beforeAll(async () => {
		another = await startEchoServer();
		gatepass = await createGatepass({
			strategies: [EagerStrategy, ChallengedStrategy],
			config: {
				cache: {url: 'memory:'},
				hostRules: [
					{match: custom.url, strategy: 'eager', options: {value: 'secret of custom'}},
					{match: another.url, strategy: 'challenged'},
					{match: `${unruled.url}/none`, strategy: 'none'},
				],
			},
		});
	});

	afterAll(async () => {
		await gatepass.close();
		await another.close();
	});

	test.each(['another host with a rule', 'a host without a rule'])(
		'a hook that changes the URL after ours to %s',
		async kind => {
			const target = kind === 'another host with a rule' ? another : unruled;
			const before = [custom.requests.length, target.requests.length] as const;
			for (const cache of [undefined, new Map()]) {
				await gatepass.got(custom.url, {
					...(cache && {cache}),
					hooks: {beforeRequest: [leadTo(`${target.url}/moved`)]},
				});
			}
			expect(custom.requests).toHaveLength(before[0]);
			const seen = target.requests.slice(before[1]).map(({url, headers}) => [url, headers['x-credential']]);
			const once = target === another ? [undefined, 'valid'] : [undefined];
			expect(seen).toEqual([...once, ...once].map(value => ['/moved', value]));
		},
	);

	test('a cached URL that a hook turns into one with a rule keeps nothing', async () => {
		answer = (_request, response) => answerJson(response, 200, {}, {'cache-control': 'public, max-age=60'});
		const cache = new Map();
		const before = custom.requests.length;
		for (let round = 0; round < 2; round += 1) {
			await gatepass.got(`${unruled.url}/moving`, {
				cache,
				hooks: {beforeRequest: [leadTo(custom.url)]},
			});
		}
		expect(custom.requests.slice(before).map(({headers}) => headers['x-credential'])).toEqual([
			'secret of custom',
			'secret of custom',
		]);
	});

	test.each(['/page', '/none'])('a cache serves what carries no credential: %s', async path => {
		const cache = new Map();
		const before = unruled.requests.length;
		const responses = [];
		for (let round = 0; round < 2; round += 1)
			responses.push(await gatepass.got(`${unruled.url}${path}`, {cache}));
		expect(unruled.requests).toHaveLength(before + 1);
		expect(responses.map(({isFromCache}) => isFromCache)).toEqual([false, true]);
	});

	test('a request function of the caller sends each leg, with what the strategy adds', async () => {
		const http = await import('node:http');
		const sent: unknown[] = [];
		const credentials: unknown[] = [];
		const response = await gatepass.got(another.url, {
			request(url, options, callback) {
				sent.push(url.href);
				credentials.push((options.headers as Record<string, string>)['x-credential']);
				return http.request(url, options, callback);
			},
		});
		expect(response.statusCode).toBe(200);
		expect(sent).toEqual([`${another.url}/`, `${another.url}/`]);
		expect(credentials).toEqual([undefined, 'valid']);
	});

	test('a request function of the caller may leave it to got', async () => {
		let calls = 0;
		const response = await gatepass.got(another.url, {
			request: () => {
				calls += 1;
				return undefined;
			},
		});
		expect(response.statusCode).toBe(200);
		expect(calls).toBe(2);
	});

	test('a hook of the caller sees no credential', async () => {
		const seen: unknown[] = [];
		answer = (_request, response) => answerJson(response, 200, {});
		await gatepass.got(custom.url, {
			hooks: {
				beforeRequest: [options => void seen.push({...options.headers})],
				afterResponse: [
					response => {
						seen.push({...response.request.options.headers});
						return response;
					},
				],
			},
		});
		expect(seen).toHaveLength(2);
		expect(JSON.stringify(seen)).not.toContain('secret of custom');
	});
});

test('a fresh token', async () => {
	const tokens = await startTokenServer();
	const gatepass = await createGatepass({
		config: {
			cache: {url: 'memory:'},
			hostRules: [
				{
					match: tokens.url,
					strategy: 'sso-client-credentials',
					options: {clientId: 'a', clientSecret: 'b', tokenEndpoint: tokens.tokenEndpoint},
				},
			],
		},
	});
	try {
		await gatepass.got(tokens.url);
		await gatepass.got(tokens.url);
		expect(tokens.issued).toBe(1);
		await gatepass.got(tokens.url, {context: {gatepass: {fresh: true}}});
		expect(tokens.issued).toBe(2);
		await gatepass.got(tokens.url);
		expect(tokens.issued).toBe(2);
	} finally {
		await gatepass.close();
		await tokens.close();
	}
});
