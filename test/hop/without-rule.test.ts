/** What a request meets that no rule matches, and one after `close()`; and a strategy that holds no conversation. */
import {subscribe, unsubscribe} from 'node:diagnostics_channel';
import {once} from 'node:events';
import {createServer, request as httpRequest, type RequestOptions, type Server} from 'node:http';
import type {AddressInfo} from 'node:net';
import {Agent, request as undiciRequest} from 'undici';
import {afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test} from 'vitest';
import {
	type ConfigurationInput,
	createGatepass,
	defineStrategy,
	type Gatepass,
	type StrategyClass,
} from '../../src/index.ts';

let server: Server;
let url: string;
let status: number;
let requests: number;

beforeAll(async () => {
	server = createServer((_request, response) => {
		requests += 1;
		response.writeHead(status).end('{}');
	});
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/runs`;
});
beforeEach(() => {
	status = 401;
	requests = 0;
});
afterAll(() => server?.close());

async function make(
	settings: ConfigurationInput = {},
	strategies: readonly StrategyClass[] = [],
): Promise<Gatepass> {
	const gatepass = await createGatepass({
		config: {cache: {url: 'memory:'}, hostRules: [], ...settings},
		strategies,
	});
	onTestFinished(() => gatepass.close());
	return gatepass;
}

type Send = (gatepass: Gatepass, url: string) => Promise<unknown>;

const clients: Record<string, Send> = {
	got: (gatepass, target) => gatepass.got(target, {retry: {limit: 0}}),
	'got, as a stream': (gatepass, target) => gatepass.got.stream(target, {retry: {limit: 0}}).toArray(),
	'got, without errors for statuses': (gatepass, target) => gatepass.got(target, {throwHttpErrors: false}),
	'got as a stream, without errors for statuses': (gatepass, target) =>
		gatepass.got.stream(target, {throwHttpErrors: false}).toArray(),
	'got with a cache, without errors for statuses': (gatepass, target) =>
		gatepass.got(target, {throwHttpErrors: false, cache: new Map()}),
	'got with a function of its caller': (gatepass, target) =>
		gatepass.got(target, {
			throwHttpErrors: false,
			request: (url: URL, options: RequestOptions) => httpRequest(url, options),
		}),
	fetch: (gatepass, target) => gatepass.fetch(target),
	'fetch with a dispatcher': (gatepass, target) => gatepass.fetch(target, {dispatcher: new Agent()}),
	'undici.request': (gatepass, target) => undiciRequest(target, {dispatcher: gatepass.dispatcher}),
	flow: async (gatepass, target) => {
		await using flow = await gatepass.flow(target);
		expect(await flow.next(await fetch(flow.url, {headers: flow.headers}))).toBeUndefined();
	},
};

/** What the process was warned of while `work` was done. */
async function warningsDuring(work: () => Promise<unknown>): Promise<string[]> {
	const warnings: string[] = [];
	const listen = (warning: Error): void => void warnings.push(`${warning.name}: ${warning.message}`);
	process.on('warning', listen);
	await work();
	// Warnings are emitted on the next tick.
	await new Promise(resolve => setImmediate(resolve));
	process.off('warning', listen);
	return warnings;
}

describe.each(Object.entries(clients))('%s', (_name, send) => {
	test.each<[number, ConfigurationInput]>([
		[401, {}],
		[403, {}],
		// A hop that is gatepass's business all the same.
		[401, {proxy: 'none'}],
	])('%i without a rule is explained, once: %j', async (refusal, settings) => {
		status = refusal;
		const gatepass = await make(settings);
		const warnings = await warningsDuring(async () => {
			for (let count = 0; count < 3; count += 1) await send(gatepass, `${url}?key=canary`).catch(() => {});
		});
		expect(warnings).toEqual([
			`GatepassWarning: ${new URL(url).origin} answered ${refusal}, and no host rule matches ${url}, so nothing was shown to it. 'gatepass explain URL' says why`,
		]);
	});

	test('another status, or a rule that matches, is not', async () => {
		const [bare, ruled] = [await make(), await make({hostRules: [{match: url, strategy: 'none'}]})];
		const warnings = await warningsDuring(async () => {
			await send(ruled, url).catch(() => {});
			status = 404;
			await send(bare, url).catch(() => {});
		});
		expect({warnings, requests}).toEqual({warnings: [], requests: 2});
	});

	test('whoever listens gets an event instead', async () => {
		const heard: unknown[] = [];
		const listen = (message: unknown): void => void heard.push(message);
		subscribe('gatepass:request:unmatched', listen);
		const gatepass = await make();
		expect(await warningsDuring(() => send(gatepass, url).catch(() => {}))).toEqual([]);
		unsubscribe('gatepass:request:unmatched', listen);
		expect(heard).toEqual([{url, status: 401}]);
	});

	test("with 'strict: true' nothing is sent", async () => {
		const gatepass = await make({strict: true});
		await expect(send(gatepass, url)).rejects.toMatchObject({
			code: 'ERR_GATEPASS_NO_RULE',
			message: `No host rule matches GET ${url}, and the configuration says 'strict: true'. Add a rule; 'gatepass explain' says why none matches`,
		});
		expect(requests).toBe(0);
	});

	test.each([{}, {hostRules: [{match: 'http://127.0.0.1:*', strategy: 'none'}]}])(
		'after close() there is one clear error: %j',
		async settings => {
			const gatepass = await make(settings);
			const {got, dispatcher, fetch} = gatepass;
			await gatepass.close();
			await expect(
				send({...gatepass, got, dispatcher, fetch, flow: gatepass.flow.bind(gatepass)} as Gatepass, url),
			).rejects.toMatchObject({
				code: 'ERR_GATEPASS_CLOSED',
				message: 'This gatepass is closed. Make requests before close(), or create another one',
			});
			expect(requests).toBe(0);
		},
	);

	test.each([
		['an async function', async () => {}],
		['a function', () => 'x'],
		['one that fails', async () => Promise.reject(new Error('canary'))],
	])('a strategy whose authenticate is %s is named', async (_what, authenticate) => {
		const broken = defineStrategy({name: 'broken', authenticate: authenticate as never});
		const gatepass = await make({hostRules: [{match: url, strategy: 'broken'}]}, [broken]);
		await expect(send(gatepass, url)).rejects.toMatchObject({
			code: 'ERR_GATEPASS_STRATEGY',
			message: expect.stringMatching(/'broken' \(hostRules\[0\]\) is no generator\..*\*authenticate/),
		});
		expect(requests).toBe(0);
	});
});

test('strict: what the caller wants without authentication is sent, and explain says what is refused', async () => {
	status = 200;
	const gatepass = await make({
		strict: true,
		hostRules: [{match: 'https://a.example.org', strategy: 'none'}],
	});
	await gatepass.got(url, {context: {gatepass: false}});
	expect(requests).toBe(1);
	expect(gatepass.explain(url)).toMatchObject({refused: true});
	expect(gatepass.explain('https://a.example.org')).not.toHaveProperty('refused');
	await expect(gatepass.authorize(url)).rejects.toMatchObject({code: 'ERR_GATEPASS_NO_RULE'});
});

test('after close() everything but explain and close itself says so', async () => {
	const gatepass = await make();
	await gatepass.close();
	await gatepass.close();
	for (const use of [
		() => gatepass.authorize(url),
		() => gatepass.flow(url),
		() => gatepass.status(),
		() => gatepass.forget(),
	]) {
		await expect(use()).rejects.toMatchObject({code: 'ERR_GATEPASS_CLOSED'});
	}
	expect(gatepass.explain(url)).toMatchObject({url});
});
