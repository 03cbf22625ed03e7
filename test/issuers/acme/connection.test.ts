/** What an ACME server may do besides its duty: pebble does none of it, so a scripted one does. */
import {createServer, type IncomingMessage, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import {expect, onTestFinished, test, vi} from 'vitest';
import type {AcmeError} from '../../../src/errors.ts';
import type {AcmeConnection} from '../../../src/issuers/acme/connection.ts';
import {AccountKey} from '../../../src/issuers/acme/jws.ts';
import {Orders} from '../../../src/issuers/acme/order.ts';
import {waitAskedFor} from '../../../src/issuers/acme/problem.ts';
import {connectTo} from './stage.ts';

type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;

interface Scripted {
	readonly origin: string;
	readonly connection: AcmeConnection;
	posts(): number;
	/** How many connections were made. */
	sockets(): number;
}

async function scripted(
	answer: Answer,
	nonceMethods: readonly string[] = ['GET', 'HEAD'],
): Promise<Scripted> {
	let posts = 0;
	let sockets = 0;
	const server = createServer((request, response) => {
		let body = '';
		request.on('data', chunk => {
			body += chunk;
		});
		request.on('end', () => {
			const nonce = `nonce-${Math.random().toString(36).slice(2)}`;
			if (request.url !== '/nonce') response.setHeader('replay-nonce', nonce);
			if (request.url === '/dir') {
				const at = (name: string): string => `${origin}/${name}`;
				response.setHeader('content-type', 'application/json');
				response.end(
					JSON.stringify({newNonce: at('nonce'), newAccount: at('account'), newOrder: at('order'), meta: {}}),
				);
			} else if (request.url === '/nonce') {
				if (!nonceMethods.includes(request.method ?? '')) response.writeHead(405).end();
				else response.writeHead(request.method === 'HEAD' ? 200 : 204, {'replay-nonce': nonce}).end();
			} else {
				posts += 1;
				answer(request, response, body);
			}
		});
	});
	server.on('connection', () => {
		sockets += 1;
	});
	await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
	const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
	onTestFinished(async () => {
		server.closeAllConnections();
		await new Promise(done => server.close(done));
	});
	const connection = connectTo({directoryUrl: `${origin}/dir`});
	return {origin, connection, posts: () => posts, sockets: () => sockets};
}

function problem(response: ServerResponse, status: number, type: string, detail: string, headers = {}): void {
	response.writeHead(status, {'content-type': 'application/problem+json', ...headers});
	response.end(JSON.stringify({type: `urn:ietf:params:acme:error:${type}`, detail}));
}

const what = {what: 'refused'};
const signer = {key: AccountKey.generate()};

test('all goes over one connection', async () => {
	const {connection, origin, posts, sockets} = await scripted((_, response) => response.end('{}'));
	for (let turn = 0; turn < 20; turn++) await connection.post(`${origin}/x`, {}, signer, what);
	expect([posts(), sockets()]).toEqual([20, 1]);
});

test.each(['GET', 'HEAD'])('nonces of a server that gives them by %s alone', async method => {
	const {connection, origin, posts} = await scripted((_, response) => response.end('{}'), [method]);
	expect((await connection.post(`${origin}/x`, {}, signer, what)).status).toBe(200);
	expect(posts()).toBe(1);
});

test('a server without any nonce is told of', async () => {
	const {connection, origin} = await scripted((_, response) => response.end('{}'), []);
	await expect(connection.post(`${origin}/x`, {}, signer, what)).rejects.toThrow(
		/gave no nonce \(it answered 405\)/,
	);
});

test('a server in trouble is asked again, each time with a signature of its own', async () => {
	const seen = new Set<string>();
	const {connection, origin, posts} = await scripted((_, response, body) => {
		seen.add(body);
		if (seen.size < 3) problem(response, 500, 'serverInternal', 'trouble');
		else response.end('{}');
	});
	expect((await connection.post(`${origin}/x`, {}, signer, what)).status).toBe(200);
	expect([posts(), seen.size]).toEqual([3, 3]);
});

test('a limit is told with the time until when, and not tried again', async () => {
	const {connection, origin, posts} = await scripted((_, response) =>
		problem(
			response,
			429,
			'rateLimited',
			'too many certificates (5) already issued for this exact set of names',
			{
				'retry-after': '3600',
			},
		),
	);
	const failure: AcmeError = await connection.post(`${origin}/x`, {}, signer, what).catch(error => error);
	expect(failure).toMatchObject({type: 'rateLimited', status: 429, retryAfter: 3_600_000});
	expect(failure.message).toMatch(
		/too many certificates .*Ask again once the wait is over.* Ask again after 20\d\d-/,
	);
	expect(posts()).toBe(1);
});

test('a server that hangs is given up at the time limit', async () => {
	const {origin} = await scripted(() => {});
	const hasty = connectTo({directoryUrl: `${origin}/dir`}, 300);
	await expect(hasty.post(`${origin}/x`, {}, signer, what)).rejects.toThrow(/cannot be reached/);
});

test('a caller who gives up is heeded', async () => {
	const {connection, origin} = await scripted(() => {});
	const giveUp = new AbortController();
	const asking = connection.post(`${origin}/x`, {}, signer, {...what, signal: giveUp.signal});
	setImmediate(() => giveUp.abort());
	await expect(asking).rejects.toThrow();
});

test('something that is no directory is told as such', async () => {
	const server = createServer((_, response) => response.end('<html>'));
	await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
	onTestFinished(() => new Promise(done => server.close(() => done())));
	const {port} = server.address() as AddressInfo;
	await expect(connectTo({directoryUrl: `http://127.0.0.1:${port}/`}).directory()).rejects.toThrow(
		/is no ACME directory \(it answered 200\)\. Name the directory's own address/,
	);
});

test.each([409, 500])(
	'an order that replaces another goes without it where the server answers %i',
	async status => {
		const payloads: object[] = [];
		const {connection, origin} = await scripted((_, response, body) => {
			const payload = JSON.parse(Buffer.from(JSON.parse(body).payload, 'base64url').toString());
			payloads.push(payload);
			if ('replaces' in payload)
				problem(response, status, status === 409 ? 'alreadyReplaced' : 'serverInternal', 'no');
			else {
				response.writeHead(201, {'content-type': 'application/json', location: `${origin}/order/1`});
				response.end(
					JSON.stringify({status: 'ready', finalize: `${origin}/f`, authorizations: [], identifiers: []}),
				);
			}
		});
		const account = {...signer, accountUrl: `${origin}/account/1`, resource: {status: 'valid'} as const};
		const order = await new Orders(connection, account).create({identifiers: [], replaces: 'a.b'});
		expect(order).toMatchObject({url: `${origin}/order/1`, status: 'ready'});
		expect(payloads.at(-1)).not.toHaveProperty('replaces');
	},
	60_000,
);

test('an order that stays undecided is given up after five minutes, asked less and less often until then', async () => {
	const asked: number[] = [];
	const {connection, origin} = await scripted((_, response) => {
		asked.push(clock());
		// Said by servers that mean nothing by it.
		response.writeHead(200, {'content-type': 'application/json', 'retry-after': '0'});
		response.end(
			JSON.stringify({status: 'processing', finalize: `${origin}/f`, authorizations: [], identifiers: []}),
		);
		if (asked.length === 8) later = 300_001;
	});
	const clock = performance.now.bind(performance);
	let later = 0;
	const now = vi.spyOn(performance, 'now').mockImplementation(() => clock() + later);
	onTestFinished(() => now.mockRestore());
	const account = {...signer, accountUrl: `${origin}/account/1`, resource: {status: 'valid'} as const};
	const orders = new Orders(connection, account);
	const order = await orders.resume(`${origin}/order/1`);
	await expect(orders.untilIssued(order)).rejects.toMatchObject({
		message: expect.stringContaining(
			'has not decided about the order within 300 s. Run the same again later',
		),
		diagnostics: [{code: 'acme-order-undecided'}],
	});
	expect(asked).toHaveLength(8);
	const pauses = asked.slice(2).map((at, index) => at - (asked[index + 1] as number));
	expect(pauses.at(-1)).toBeGreaterThan(5 * 1.6 ** 5);
});

test.each([
	['120', undefined, 120_000],
	['1.5', undefined, 1500],
	['Sat, 28 Nov 2026 12:01:00 GMT', 'Sat, 28 Nov 2026 12:00:00 GMT', 60_000],
	['Sat, 28 Nov 2026 11:00:00 GMT', 'Sat, 28 Nov 2026 12:00:00 GMT', 0],
	['99999999', undefined, 86_400_000],
	['soon', undefined, undefined],
])("'Retry-After: %s' with 'Date: %s'", (value, date, wait) => {
	const headers = new Headers({'retry-after': value, ...(date !== undefined && {date})});
	expect(waitAskedFor(headers)).toBe(wait);
});
