/** What a strategy can do in a conversation over real connections, and what it cannot. */
import {describe, expect, test} from 'vitest';
import {startServer} from '../../src/testing/server.ts';
import {failure, type Stage, setUpStage, untilAccepted} from './scripted-stage.ts';

const stage = setUpStage();

/** Refuses until leg `last`. */
const acceptLeg =
	(last: number): Stage['answer'] =>
	({headers}, response) => {
		response.statusCode = Number(headers['x-leg']) < last ? 401 : 200;
		response.end(`leg ${headers['x-leg']}`);
	};

describe('legs', () => {
	test.each([1, 2, 3, 10])('%i of them', async legs => {
		stage.script = untilAccepted;
		stage.answer = acceptLeg(legs);
		expect(await stage.gatepass.got.post(stage.server.url, {body: 'payload'}).text()).toBe(`leg ${legs}`);
		expect(stage.server.requests.slice(-legs).map(({body}) => body)).toEqual(Array(legs).fill('payload'));
	});

	test('more than ten are a StrategyError', async () => {
		stage.script = untilAccepted;
		stage.answer = acceptLeg(11);
		const before = stage.server.requests.length;
		const error = await failure(stage.gatepass.got(stage.server.url));
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
		expect(await stage.gatepass.got(stage.server.url).text()).toBe('leg 1');
	});

	test('a header that is deleted, of the caller and of an earlier leg', async () => {
		stage.script = async function* (request) {
			request.headers.delete('X-Own');
			request.headers.set('x-first', '1');
			yield;
			request.headers.delete('x-first');
			yield;
		};
		await stage.gatepass.got(stage.server.url, {headers: {'x-own': 'own'}});
		const [first, second] = stage.server.requests.slice(-2).map(({headers}) => headers);
		expect(first).toHaveProperty('x-first', '1');
		expect(first).not.toHaveProperty('x-own');
		expect(second).not.toHaveProperty('x-first');
		expect(second).not.toHaveProperty('x-own');
	});
});

describe('a strategy that fails', () => {
	test.each(['before', 'after'])('%s the first yield', async when => {
		stage.script = async function* () {
			if (when === 'before') throw new Error('no ticket');
			yield;
			throw new Error('no ticket');
		};
		const error = await failure(stage.gatepass.got(stage.server.url));
		expect(error.message).toBe('no ticket');
		expect(
			await stage.gatepass.got
				.stream(stage.server.url)
				.toArray()
				.catch(({message}) => message),
		).toBe('no ticket');
	});

	test.each(['first', 'second'])('changes the origin for the %s leg', async leg => {
		const other = await startServer((_request, response) => void response.end());
		stage.script = async function* (request) {
			if (leg === 'second') yield;
			request.headers.set('authorization', 'secret');
			request.url.host = new URL(other.url).host;
			yield;
		};
		const error = await failure(stage.gatepass.got(stage.server.url));
		expect(error).toMatchObject({name: 'StrategyError', code: 'ERR_GATEPASS_STRATEGY'});
		expect(error.message).toContain("'scripted'");
		expect(other.requests).toEqual([]);
		await other.close();
	});

	test('changes the path', async () => {
		stage.script = async function* (request) {
			request.url.pathname = '/elsewhere';
			yield;
		};
		expect(await failure(stage.gatepass.got(stage.server.url))).toMatchObject({name: 'StrategyError'});
	});

	test('sets a header that cannot be sent', async () => {
		stage.script = async function* (request) {
			request.headers.set('x-leg', 'secret\nline');
			yield;
		};
		const error = await failure(stage.gatepass.got(stage.server.url));
		expect(error.message).toContain('x-leg');
		expect(error.message).not.toContain('secret');
	});
});

test('a query parameter is sent, and seen by the server only', async () => {
	stage.script = async function* (request) {
		request.url.searchParams.set('key', 'secret');
		yield;
	};
	const url = `${stage.server.url}/page?own=1`;
	const response = await stage.gatepass.got(url);
	expect(stage.server.requests.at(-1)?.url).toBe('/page?own=1&key=secret');
	expect(response.url).toBe(url);
	expect(JSON.stringify(response.request.options.url)).not.toContain('secret');
	stage.answer = (_incoming, answered) => answered.writeHead(500).end();
	const error = await failure(stage.gatepass.got(url));
	expect(error.message).toContain('/page?own=1');
	expect(error.message).not.toContain('secret');
	// A redirect by a relative path starts from the URL without it.
	stage.answer = ({url: seen = ''}, answered) => {
		if (seen.includes('own')) answered.writeHead(302, {location: '?other=1'}).end();
		else answered.end(seen);
	};
	expect(await stage.gatepass.got(url).text()).toBe('/page?other=1&key=secret');
});

test('many at once at three hosts, each conversation by itself', async () => {
	stage.script = async function* (request) {
		const own = `${request.url.host}${request.url.pathname}`;
		const response = yield;
		// Others run meanwhile; what belongs to this request must still be its own.
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
	const seen = await Promise.all(
		Array.from({length: 200}, async (_, index) => {
			const {url} = hosts[index % 3] as (typeof hosts)[number];
			const text = await stage.gatepass.got(`${url}/${index}`).text();
			return [text, `${new URL(url).host}/${index} after /${index}`];
		}),
	);
	for (const [text, expected] of seen) expect(text).toBe(expected);
	expect(hosts.map(({requests}) => requests.length)).toEqual([134, 134, 132]);
	await Promise.all(hosts.map(host => host.close()));
});
