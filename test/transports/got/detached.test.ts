/** What is kept of one request leads to nothing of any other, whatever connection both went over. */

import {readFile} from 'node:fs/promises';
import {createServer, type IncomingMessage, type ServerResponse} from 'node:http';
import {createServer as createSecureServer} from 'node:https';
import type {AddressInfo} from 'node:net';
import got from 'got';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {z} from 'zod';
import {createGatepass, defineStrategy, type Gatepass} from '../../../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../../../src/testing/authority.ts';
import {findSecrets} from '../find-secrets.ts';

const TenantStrategy = defineStrategy({
	name: 'tenant',
	options: z.object({}),
	async *authenticate(request) {
		request.headers.set('x-token', `CANARY-of-${request.tenant}`);
		const {status} = yield;
		if (status === 401) yield;
	},
});

let authority: TestAuthority;
let connections: Set<unknown>;
/** Answers that wait: what is to be hidden is under way then. */
let held: ServerResponse[] = [];
let holdsTokens = false;
let arrived: PromiseWithResolvers<void> | undefined;
const servers: {close(callback: () => void): unknown; closeAllConnections(): void}[] = [];

const answer = (incoming: IncomingMessage, response: ServerResponse): void => {
	connections.add(incoming.socket);
	if (incoming.url?.startsWith('/held') || (incoming.url === '/token' && holdsTokens)) {
		held.push(response);
		arrived?.resolve();
		return;
	}
	incoming.resume().on('end', () => {
		if (incoming.url === '/token') {
			response.setHeader('content-type', 'application/json');
			response.end(JSON.stringify({access_token: 'CANARY-token', token_type: 'Bearer', expires_in: 300}));
			return;
		}
		response.writeHead(Number(/\d{3}/.exec(incoming.url ?? '')?.[0] ?? 200)).end('{}');
	});
};

beforeAll(async () => {
	authority = await createTestAuthority();
});
afterAll(async () => {
	for (const server of servers) {
		server.closeAllConnections();
		await new Promise<void>(resolve => server.close(resolve));
	}
	await authority.close();
});

async function start(scheme: 'http' | 'https'): Promise<string> {
	connections = new Set();
	const {certificate, key} = await authority.issue('server', {subject: 'CN=server', hosts: ['127.0.0.1']});
	const tls = {cert: await readFile(certificate), key: await readFile(key)};
	const server = scheme === 'http' ? createServer(answer) : createSecureServer(tls, answer);
	servers.push(server);
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	return `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Look at something while a request is under way. */
async function whileHeld(send: () => Promise<unknown>, look: () => unknown): Promise<void> {
	arrived = Promise.withResolvers();
	const sent = send();
	await Promise.race([arrived.promise, sent]);
	const mine = held.at(-1) as ServerResponse;
	try {
		await look();
	} finally {
		held = held.filter(one => one !== mine);
		mine.writeHead(200, {'content-type': 'application/json'});
		mine.end(JSON.stringify({access_token: 'CANARY-token', token_type: 'Bearer', expires_in: 300}));
		await sent;
	}
}

describe.each(['http', 'https'] as const)('over %s', scheme => {
	const make = async (origin: string, rule: object): Promise<Gatepass> =>
		createGatepass({
			got: got.extend({retry: {limit: 0}}),
			strategies: [TenantStrategy],
			config: {
				cache: {url: 'memory:'},
				trust: scheme === 'https' ? [{match: origin, ca: authority.ca, only: true}] : [],
				hostRules: [{match: origin, ...(rule as {strategy: string})}],
			},
		});

	test.each(['200', '404', '401', 'stream', 'parse'])('the next request of another: %s', async kind => {
		const origin = await start(scheme);
		const gatepass = await make(origin, {strategy: 'tenant'});
		const as = (tenant: string) => ({context: {gatepass: {tenant}}});
		const kept =
			kind === 'stream'
				? gatepass.got.stream(`${origin}/200`, as('alice'))
				: await (kind === 'parse'
						? gatepass.got(`${origin}/200`, {...as('alice'), parseJson: () => expect.unreachable()}).json()
						: gatepass.got(`${origin}/${kind}`, as('alice'))
					).catch((error: unknown) => error);
		if (kind === 'stream') await (kept as ReturnType<typeof gatepass.got.stream>).toArray();
		const count = connections.size;
		const others = ['CANARY-of-bob', 'CANARY-of-carol', 'CANARY-own'];
		await whileHeld(
			() => gatepass.got(`${origin}/held`, {...as('bob'), headers: {'x-own': 'CANARY-own'}}),
			() =>
				whileHeld(
					() => gatepass.got(`${origin}/held/2`, as('carol')),
					() => expect(findSecrets(kept, others)).toEqual([]),
				),
		);
		// One of them went over the same connection.
		expect(connections.size).toBeLessThanOrEqual(count + 1);
		expect(findSecrets(kept, others)).toEqual([]);
		await gatepass.close();
	});

	test('a token request at the same origin', async () => {
		const origin = await start(scheme);
		const gatepass = await make(origin, {
			strategy: 'sso-client-credentials',
			options: {clientId: 'id', clientSecret: 'CANARY-secret', tokenEndpoint: `${origin}/token`},
		});
		const kept = await gatepass.got(`${origin}/404`).catch((error: unknown) => error);
		const basic = Buffer.from('id:CANARY-secret').toString('base64');
		holdsTokens = true;
		await whileHeld(
			() => gatepass.got(`${origin}/200`, {context: {gatepass: {fresh: true}}}),
			() => expect(findSecrets(kept, ['CANARY', basic])).toEqual([]),
		);
		holdsTokens = false;
		await gatepass.close();
	});

	test('an answer that is still being read', async () => {
		const origin = await start(scheme);
		const gatepass = await make(origin, {strategy: 'tenant'});
		const stream = gatepass.got.stream(`${origin}/200`, {context: {gatepass: {tenant: 'alice'}}});
		const response = await new Promise<IncomingMessage>(resolve => stream.once('response', resolve));
		await whileHeld(
			() => gatepass.got(`${origin}/held`, {context: {gatepass: {tenant: 'bob'}}}),
			() => {
				expect(findSecrets(response, ['CANARY-of-bob'])).toEqual([]);
				expect(findSecrets(stream, ['CANARY-of-bob'])).toEqual([]);
			},
		);
		stream.resume();
		await gatepass.close();
	});
});
