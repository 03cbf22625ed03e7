/** A strategy's own request that another strategy authenticates: by the one loop, with all that it holds. */
import {afterAll, beforeAll, expect, test} from 'vitest';
import {z} from 'zod';
import {type AuthStrategy, createGatepass, defineStrategy, type NestedStrategy} from '../../src/index.ts';
import {conformance} from '../../src/testing/index.ts';
import {startServer, type TestServer} from '../../src/testing/server.ts';

let server: TestServer;
let passed: readonly string[] = [];

beforeAll(async () => {
	server = await startServer(({url, headers, body}, response) => {
		if (url !== '/login') response.end(headers['x-session']);
		else if (headers.authorization !== 'Basic second') response.writeHead(401).end('not that one');
		else response.setHeader('x-proof', 'none').end(`session of ${body}`);
	});
});
afterAll(() => server.close());

/** Shows another credential once the first is refused, and needs the body and the answers' bodies. */
const twoLegged = defineStrategy({
	name: 'two-legged',
	options: z.object({forever: z.boolean().default(false), withholds: z.boolean().default(false)}),
	requiresRequestBody: true,
	requiresResponseBody: true,
	async *authenticate(request, {options}) {
		const seen: (string | undefined)[] = [Buffer.from(request.body ?? []).toString()];
		for (const value of ['first', 'second']) {
			request.headers.set('authorization', `Basic ${value}`);
			const response = yield;
			seen.push(Buffer.from(response.body ?? []).toString());
			if (options.withholds) response.withhold(['date']);
		}
		while (options.forever) yield;
		passed = seen as string[];
	},
});

const session = defineStrategy({
	name: 'session',
	options: z.object({login: z.string(), of: z.custom<NestedStrategy>()}),
	nested: () => [['of']],
	async *authenticate(request, {options, strategies}) {
		const built: AuthStrategy = strategies.build(options.of);
		const {response, secrets} = await strategies.send(built, {
			url: new URL(options.login),
			method: 'POST',
			headers: {'Content-Type': 'text/plain'},
			body: 'somebody',
		});
		request.headers.set(
			'x-session',
			`${await response.text()} ${response.headers.get('x-proof')} ${secrets}`,
		);
		yield;
	},
});

const rule = (options: object) => ({
	strategies: [session, twoLegged],
	config: {
		cache: {url: 'memory:'},
		hostRules: [
			{
				match: server.url,
				strategy: 'session',
				options: {login: `${server.url}/login`, of: {strategy: 'two-legged', options}},
			},
		],
	},
});

test('it is sent in as many legs as the strategy wants, with its body, and what was shown is told', async () => {
	await using gatepass = await createGatepass(rule({}));
	const text = await gatepass.got(server.url).text();
	expect(text).toBe('session of somebody none first,second');
	expect(passed).toEqual(['somebody', 'not that one', 'session of somebody']);
	const logins = server.requests.filter(({url}) => url === '/login');
	expect(logins.map(({headers}) => [headers.authorization, headers['content-type']])).toEqual([
		['Basic first', 'text/plain'],
		['Basic second', 'text/plain'],
	]);
});

test('one that never ends is ended', async () => {
	await using gatepass = await createGatepass(rule({forever: true}));
	await expect(gatepass.got(server.url)).rejects.toMatchObject({
		message: expect.stringMatching(/more than 10 times/),
	});
});

test('what it withholds, the strategy around it does not see', async () => {
	await using gatepass = await createGatepass(rule({withholds: true}));
	expect(await gatepass.got(server.url).text()).toBe('null first,second');
});

test('such a strategy passes the conformance kit', async () => {
	const plain = defineStrategy({
		name: 'session-by-token',
		options: z.object({login: z.string(), of: z.custom<NestedStrategy>()}),
		nested: () => [['of']],
		async *authenticate(request, {options, strategies}) {
			const {response} = await strategies.send(strategies.build(options.of), {url: new URL(options.login)});
			request.headers.set('x-session', `${response.status}`);
			yield;
		},
	});
	const of = {strategy: 'static-token', options: {token: 'canary-of-the-token'}};
	await expect(conformance(plain, {options: {login: `${server.url}/login`, of}})).resolves.toHaveLength(14);
});
