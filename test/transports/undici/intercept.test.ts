/** gatepass over a dispatcher of the caller's, and what other interceptors do above and below it. */
import {createServer, type Server} from 'node:http';
import {type AddressInfo, connect, type Socket} from 'node:net';
import {
	Agent,
	BalancedPool,
	Client,
	type Dispatcher,
	getGlobalDispatcher,
	interceptors,
	MockAgent,
	Pool,
	ProxyAgent,
	request,
} from 'undici';
import {Agent as Agent7, interceptors as interceptors7, MockAgent as MockAgent7} from 'undici7';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {createGatepass, type Gatepass} from '../../../src/index.ts';
import {startServer, type TestServer} from '../../../src/testing/server.ts';
import {failure, setUpStage} from '../scripted-stage.ts';

const stage = setUpStage();
const open: {close(): Promise<unknown>}[] = [];
const opened = <One extends {close(): Promise<unknown>}>(one: One): One => {
	open.push(one);
	return one;
};
afterEach(async () => {
	for (const one of open.splice(0)) await one.close();
});

/** Who asks is the tenant. */
beforeEach(() => {
	stage.script = async function* ({headers, tenant}) {
		headers.set('authorization', `Bearer of ${tenant}`);
		yield;
	};
	stage.answer = ({headers}, response) => {
		response.writeHead(200, {'cache-control': 'max-age=1000'}).end(headers.authorization);
	};
});

type Options = {readonly tenant?: string; readonly path?: string; readonly dispatcher: unknown};
async function ask({tenant, path = '/', dispatcher}: Options): Promise<string> {
	const {body} = await request(stage.server.url + path, {
		dispatcher: dispatcher as Dispatcher,
		...(tenant !== undefined && {gatepass: {tenant}}),
	});
	return body.text();
}

describe.each([
	['undici 8', interceptors.cache, () => new Agent()],
	['undici 7', interceptors7.cache as unknown as typeof interceptors.cache, () => new Agent7() as never],
])("a cache of %s's", (_name, cache, makeAgent: () => Dispatcher) => {
	test('outside of gatepass gives nobody the answer of somebody else', async () => {
		const dispatcher = stage.gatepass.dispatcher.compose(cache());
		for (const tenant of ['alice', 'bob', 'alice']) {
			expect(await ask({tenant, dispatcher})).toBe(`Bearer of ${tenant}`);
		}
	});

	test('outside of gatepass keeps answers without a credential', async () => {
		const own = await startServer((_request, response) => {
			response.writeHead(200, {'cache-control': 'max-age=1000'}).end('the same for all');
		});
		opened(own);
		const dispatcher = stage.gatepass.dispatcher.compose(cache());
		for (let round = 0; round < 3; round += 1) {
			const {body} = await request(own.url, {dispatcher, gatepass: false} as never);
			expect(await body.text()).toBe('the same for all');
		}
		expect(own.requests).toHaveLength(1);
	});

	test('inside of gatepass sees whose the answers are', async () => {
		const agent = opened(makeAgent());
		const dispatcher = stage.gatepass.intercept(agent.compose(cache()));
		for (const tenant of ['alice', 'bob', 'alice']) {
			expect(await ask({tenant, dispatcher})).toBe(`Bearer of ${tenant}`);
		}
	});
});

test('requests that are merged inside of gatepass are those of one credential only', async () => {
	const agent = opened(new Agent());
	const dispatcher = stage.gatepass.intercept(agent.compose(interceptors.deduplicate()));
	const asked = ['alice', 'bob', 'alice', 'bob'].map(tenant => ask({tenant, dispatcher}));
	expect(await Promise.all(asked)).toEqual(
		['alice', 'bob', 'alice', 'bob'].map(tenant => `Bearer of ${tenant}`),
	);
});

describe.each([
	['undici 8', () => new MockAgent()],
	['undici 7', () => new MockAgent7()],
])('a mock of %s', (_name, make) => {
	test('stays, and sees the conversation', async () => {
		const mock = make() as MockAgent;
		mock.disableNetConnect();
		opened(mock);
		const {url} = stage.server;
		const before = stage.server.requests.length;
		stage.script = async function* ({headers}) {
			for (const leg of ['1', '2']) {
				headers.set('x-leg', leg);
				if ((yield).status === 200) return;
			}
		};
		const on = (leg: string): ReturnType<ReturnType<MockAgent['get']>['intercept']> =>
			mock.get(url).intercept({path: '/runs', method: 'POST', headers: {'x-leg': leg}, body: 'payload'});
		on('1').reply(401, 'refused');
		on('2').reply(200, {runs: 2});
		const {statusCode, body} = await request(`${url}/runs`, {
			dispatcher: stage.gatepass.intercept(mock),
			method: 'POST',
			body: 'payload',
		});
		expect([statusCode, await body.json()]).toEqual([200, {runs: 2}]);
		on('1').reply(401, 'refused');
		on('2').reply(200, {runs: 3});
		const init = {method: 'POST', body: 'payload', dispatcher: mock} as const;
		expect(await (await stage.gatepass.fetch(`${url}/runs`, init)).json()).toEqual({runs: 3});
		mock.assertNoPendingInterceptors();
		expect(stage.server.requests).toHaveLength(before);
	});
});

describe('a proxy of the caller’s', () => {
	let proxy: Server;
	let asked: string[];
	const sockets = new Set<Socket>();

	beforeEach(async () => {
		asked = [];
		proxy = createServer();
		proxy.on('connect', ({url = '', headers}, socket: Socket) => {
			asked.push(`${url} ${headers.authorization ?? 'without credential'}`);
			const [host, port] = url.split(':');
			const other = connect(Number(port), host, () => {
				socket.write('HTTP/1.1 200 OK\r\n\r\n');
				socket.pipe(other).pipe(socket);
			});
			for (const one of [socket, other]) sockets.add(one.on('error', () => {}));
		});
		await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve));
	});
	afterEach(async () => {
		for (const socket of sockets) socket.destroy();
		await new Promise(resolve => proxy.close(resolve));
	});
	const agent = (): ProxyAgent =>
		opened(
			new ProxyAgent({uri: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, proxyTunnel: true}),
		);

	/** Away from this machine: what is for it alone is sent directly. */
	const elsewhere = async (use: (gatepass: Gatepass) => Promise<void>): Promise<void> => {
		await using gatepass = await createGatepass({
			strategies: [stage.strategy],
			config: {
				cache: {url: 'memory:'},
				hostRules: [{match: 'http://127.0.0.1:*', strategy: 'scripted', allowInsecure: true}],
			},
		});
		await use(gatepass);
	};

	test('is not asked for what is safe over plain http only because it stays here', async () => {
		const dispatcher = stage.gatepass.intercept(agent());
		expect(await ask({tenant: 'alice', dispatcher})).toBe('Bearer of alice');
		expect(asked).toEqual([]);
	});

	test('carries what is authenticated, and sees no credential', async () => {
		await elsewhere(async gatepass => {
			const dispatcher = gatepass.intercept(agent());
			expect(await ask({tenant: 'alice', dispatcher})).toBe('Bearer of alice');
		});
		expect(asked).toEqual([`${new URL(stage.server.url).host} without credential`]);
	});

	test('is not left out where a connection of its owner is wanted: an error says so', async () => {
		stage.script = async function* (request) {
			request.connectionOwner = 'alice';
			yield;
		};
		const before = stage.server.requests.length;
		await elsewhere(async gatepass => {
			const error = await failure(ask({dispatcher: gatepass.intercept(agent())}));
			expect(error).toMatchObject({name: 'StrategyError'});
			expect(error.message).toContain('goes through a proxy');
			expect(error.message).toContain('gatepass.dispatcher');
		});
		expect(stage.server.requests).toHaveLength(before);
		expect(asked).toEqual([]);
	});
});

describe('the rule is that of the server which gets the request', () => {
	let other: TestServer;
	beforeEach(async () => {
		other = opened(await startServer((_request, response) => void response.end('other')));
	});

	test.each<[string, (url: string) => Dispatcher]>([
		['a Client', url => new Client(url)],
		['a Pool', url => new Pool(url)],
	])('%s, whatever is asked for', async (_name, make) => {
		let seen: string | undefined;
		stage.script = async function* ({url}) {
			seen = url.origin;
			yield;
		};
		const dispatcher = stage.gatepass.intercept(opened(make(other.url)));
		expect(await ask({dispatcher})).toBe('other');
		expect(seen).toBe(other.url);
	});

	test('one that balances between servers is not taken', () => {
		const balanced = opened(new BalancedPool([other.url, stage.server.url]));
		expect(() => stage.gatepass.intercept(balanced)).toThrow(/balances between servers/);
	});

	test.each([[undefined], [null], [{}], ['http://127.0.0.1']])('%j is no dispatcher', given => {
		if (given === undefined) return;
		expect(() => stage.gatepass.intercept(given as never)).toThrow(/no dispatcher of undici/);
	});
});

test("an Agent of the caller's is what sends, but for connections of an owner", async () => {
	const connections: unknown[] = [];
	const agent = opened(new Agent());
	agent.on('connect', url => connections.push(url));
	const dispatcher = stage.gatepass.intercept(agent);
	await ask({dispatcher});
	expect(connections).toHaveLength(1);
	stage.script = async function* (request) {
		request.connectionOwner = 'alice';
		yield;
	};
	await ask({dispatcher});
	expect(connections).toHaveLength(1);
});

test("to close it closes the caller's, and no other", async () => {
	const agent = new Agent();
	const dispatcher = stage.gatepass.intercept(agent);
	await ask({dispatcher});
	await dispatcher.close();
	expect((await failure(request(stage.server.url, {dispatcher: agent}))).name).toMatch(/Closed|Destroyed/);
	expect((await failure(ask({dispatcher}))).name).toBe('ClientClosedError');
	expect(await ask({tenant: 'bob', dispatcher: stage.gatepass.dispatcher})).toBe('Bearer of bob');
});

test('the global dispatcher stays as it is', async () => {
	const before = getGlobalDispatcher();
	await (await stage.gatepass.fetch(stage.server.url)).text();
	await ask({dispatcher: stage.gatepass.dispatcher});
	expect(getGlobalDispatcher()).toBe(before);
});
