/** What becomes of a response, by the server's proof and the rule's demand: the table of requests-kerberos. */
import {createServer, type RequestListener} from 'node:http';
import type {AddressInfo} from 'node:net';
import {afterEach, describe, expect, test} from 'vitest';
import {createGatepass, type Gatepass, MutualAuthenticationError} from '../../src/index.ts';
import {startNegotiateServer} from '../../src/testing/index.ts';
import {openStubToken, replyTo} from '../../strategies/kerberos-stub/stub-provider.ts';

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
	for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function gatepassFor(url: string, options: Record<string, unknown> = {}): Promise<Gatepass> {
	const gatepass = await createGatepass({
		config: {
			cache: {url: 'memory:'},
			hostRules: [{match: url, strategy: 'kerberos-stub', options: options as never}],
		},
		env: {},
	});
	cleanUps.push(() => gatepass.close());
	return gatepass;
}

type Negotiating = NonNullable<Parameters<typeof startNegotiateServer>[0]>;

async function ask(server: Negotiating, options: Record<string, unknown>) {
	const {url, requests, close} = await startNegotiateServer(server);
	cleanUps.push(close);
	const gatepass = await gatepassFor(url, options);
	const response = await gatepass
		.got(`${url}/x`, {throwHttpErrors: false, retry: {limit: 0}})
		.catch(error => error);
	return {response, requests};
}

async function listen(listener: RequestListener): Promise<string> {
	const server = createServer(listener);
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	cleanUps.push(() => {
		server.closeAllConnections();
		return new Promise(resolve => server.close(resolve));
	});
	return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const delivered = {service: 'HTTP@127.0.0.1', principal: 'developer@STUB.INVALID', path: '/x'};

describe('by what the rule demands, what the server proves, and the status', () => {
	type Outcome = 'delivered' | 'refused' | 'withheld';
	const table: [string, NonNullable<Negotiating['proof']>, number, Outcome][] = [
		['required', 'valid', 200, 'delivered'],
		['required', 'valid', 404, 'delivered'],
		['required', 'valid', 500, 'delivered'],
		['required', 'invalid', 200, 'refused'],
		['required', 'invalid', 404, 'refused'],
		['required', 'none', 200, 'refused'],
		['required', 'none', 399, 'refused'],
		['required', 'none', 400, 'withheld'],
		['required', 'none', 500, 'withheld'],
		['optional', 'valid', 200, 'delivered'],
		['optional', 'valid', 500, 'delivered'],
		['optional', 'invalid', 200, 'refused'],
		['optional', 'invalid', 500, 'refused'],
		['optional', 'none', 200, 'delivered'],
		['optional', 'none', 500, 'delivered'],
		['disabled', 'valid', 200, 'delivered'],
		['disabled', 'invalid', 200, 'delivered'],
		['disabled', 'invalid', 500, 'delivered'],
		['disabled', 'none', 200, 'delivered'],
		['disabled', 'none', 500, 'delivered'],
	];
	for (const preemptive of [false, true]) {
		test.each(table)(
			`%s, %s, %i: %s (preemptive: ${preemptive})`,
			async (mutualAuthentication, proof, status, outcome) => {
				const {response, requests} = await ask({proof, status}, {mutualAuthentication, preemptive});
				expect(requests).toHaveLength(preemptive ? 1 : 2);
				if (outcome === 'refused') {
					expect(response).toBeInstanceOf(MutualAuthenticationError);
					expect(response.message).toMatch(/The server of http:\/\/127\.0\.0\.1:\d+ \(hostRules\[0\]\)/);
					return;
				}
				expect(response.statusCode).toBe(status);
				if (outcome === 'delivered') {
					expect(JSON.parse(response.body)).toEqual(delivered);
					expect(response.headers['content-type']).toBe('application/json');
				} else {
					expect(response.body).toBe('');
					expect(Object.keys(response.headers)).toEqual(['date']);
				}
			},
		);
	}

	test('of what is withheld, the status and the headers that tell nothing are left', async () => {
		const url = await listen((_, response) => {
			const headers = {
				server: 'x',
				'content-length': '4',
				'set-cookie': 'a=b',
				'content-type': 'text/html',
				'x-a': 'b',
			};
			response.writeHead(500, headers).end('page');
		});
		const response = await (await gatepassFor(url)).got(url, {throwHttpErrors: false, retry: {limit: 0}});
		expect([response.statusCode, response.body]).toEqual([500, '']);
		expect(Object.keys(response.headers).sort()).toEqual(['content-length', 'date', 'server']);
	});

	test('an error of a server that proves nothing is delivered raw with sanitizeErrorResponse: false', async () => {
		const {response} = await ask({proof: 'none', status: 500}, {sanitizeErrorResponse: false});
		expect(response.statusCode).toBe(500);
		expect(JSON.parse(response.body)).toEqual(delivered);
	});
});

describe('a page that is given without a challenge', () => {
	test.each([
		['required', 200, 'refused'],
		['required', 500, 'withheld'],
		['optional', 200, 'delivered'],
		['disabled', 200, 'delivered'],
	])('%s, %i: %s', async (mutualAuthentication, status, outcome) => {
		const url = await listen((_, response) => response.writeHead(status, {'set-cookie': 'a=b'}).end('page'));
		const gatepass = await gatepassFor(url, {mutualAuthentication});
		const response = await gatepass
			.got(url, {throwHttpErrors: false, retry: {limit: 0}})
			.catch(error => error);
		if (outcome === 'refused') expect(response).toBeInstanceOf(MutualAuthenticationError);
		else expect(response.body).toBe(outcome === 'delivered' ? 'page' : '');
		if (outcome === 'withheld') expect(response.headers).not.toHaveProperty('set-cookie');
	});
});

describe('a 401', () => {
	test.each([
		[{}, '', undefined],
		[{sanitizeErrorResponse: false}, 'who are you', ['a=b']],
		[{mutualAuthentication: 'optional'}, 'who are you', ['a=b']],
	])(
		'that offers no Negotiate is delivered, with %j, and nothing is shown',
		async (options, body, cookies) => {
			const seen: unknown[] = [];
			const url = await listen((request, response) => {
				seen.push(request.headers.authorization);
				response
					.writeHead(401, {'www-authenticate': 'Basic realm="Negotiate"', 'set-cookie': 'a=b'})
					.end('who are you');
			});
			const gatepass = await gatepassFor(url, options);
			const response = await gatepass.got(url, {throwHttpErrors: false});
			// It has not proven who it is: what it asks for is told, and its cookies and its page are not believed.
			expect([response.statusCode, response.body]).toEqual([401, body]);
			expect(response.headers['www-authenticate']).toBe('Basic realm="Negotiate"');
			expect(response.headers['set-cookie']).toEqual(cookies);
			expect(seen).toEqual([undefined]);
		},
	);

	test.each([
		['with a challenge', 'Negotiate'],
		['with another challenge', 'Basic'],
		['without a challenge', undefined],
	])('after an attempt, %s, is delivered as it came in the end', async (_, challenge) => {
		let count = 0;
		const url = await listen((_, response) => {
			count += 1;
			const offered = count === 1 ? 'Negotiate' : challenge;
			if (offered !== undefined) response.setHeader('www-authenticate', offered);
			response.writeHead(401, {'x-count': String(count)}).end(`refused ${count}`);
		});
		const gatepass = await gatepassFor(url, {sanitizeErrorResponse: false});
		const response = await gatepass.got(url, {throwHttpErrors: false});
		expect([response.body, response.headers['x-count']]).toEqual([`refused ${count}`, String(count)]);
		// Two attempts at most, and none where nothing is offered any more.
		expect(count).toBeGreaterThanOrEqual(2);
		expect(count).toBeLessThanOrEqual(challenge === 'Negotiate' ? 3 : 2);
	});

	test('is answered among other challenges, in any letter case, in several headers', async () => {
		const url = await listen((request, response) => {
			const token = /^Negotiate (.*)$/.exec(request.headers.authorization ?? '')?.[1];
			const ticket = token === undefined ? undefined : openStubToken(Buffer.from(token, 'base64'));
			if (ticket === undefined) {
				response
					.writeHead(401, {'www-authenticate': ['Basic realm="x, Negotiate"', 'NTLM, nEGOTIATE']})
					.end();
				return;
			}
			const reply = Buffer.from(replyTo(ticket)).toString('base64');
			response.writeHead(200, {'www-authenticate': ['Basic realm="x"', `negotiate ${reply}`]}).end('in');
		});
		const gatepass = await gatepassFor(url);
		expect(await gatepass.got(url).text()).toBe('in');
	});
});

test('a redirect is verified before it is followed', async () => {
	const reached: string[] = [];
	const target = await listen((request, response) => {
		reached.push(request.url ?? '');
		response.end('there');
	});
	const url = await listen((request, response) => {
		if (request.headers.authorization === undefined)
			response.writeHead(401, {'www-authenticate': 'Negotiate'}).end();
		else response.writeHead(302, {location: `${target}/stolen`}).end();
	});
	const gatepass = await gatepassFor(url);
	await expect(gatepass.got(url, {retry: {limit: 0}})).rejects.toBeInstanceOf(MutualAuthenticationError);
	expect(reached).toEqual([]);
});

test('every request proves its own server: one that succeeds spares no other its check', async () => {
	let count = 0;
	const url = await listen((request, response) => {
		const token = /^Negotiate (.*)$/.exec(request.headers.authorization ?? '')?.[1];
		const ticket = token === undefined ? undefined : openStubToken(Buffer.from(token, 'base64'));
		if (ticket === undefined) {
			response.writeHead(401, {'www-authenticate': 'Negotiate'}).end();
			return;
		}
		count += 1;
		const proof =
			count % 2 === 0
				? {}
				: {'www-authenticate': `Negotiate ${Buffer.from(replyTo(ticket)).toString('base64')}`};
		response.writeHead(200, proof).end('in');
	});
	const gatepass = await gatepassFor(url, {preemptive: true});
	const results = await Promise.allSettled(
		Array.from({length: 40}, () => gatepass.got(url, {retry: {limit: 0}}).text()),
	);
	const outcomes = results.map(result => (result.status === 'fulfilled' ? result.value : result.reason.code));
	expect(outcomes.filter(outcome => outcome === 'in')).toHaveLength(20);
	expect(outcomes.filter(outcome => outcome === 'ERR_GATEPASS_MUTUAL_AUTHENTICATION')).toHaveLength(20);
});

test("a server's token for another request proves nothing", async () => {
	let first: string | undefined;
	const url = await listen((request, response) => {
		const token = /^Negotiate (.*)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
		const ticket = openStubToken(Buffer.from(token, 'base64'));
		if (ticket === undefined) {
			response.writeHead(401, {'www-authenticate': 'Negotiate'}).end();
			return;
		}
		first ??= Buffer.from(replyTo(ticket)).toString('base64');
		response.writeHead(200, {'www-authenticate': `Negotiate ${first}`}).end('in');
	});
	const gatepass = await gatepassFor(url);
	expect(await gatepass.got(url).text()).toBe('in');
	await expect(gatepass.got(url, {retry: {limit: 0}})).rejects.toBeInstanceOf(MutualAuthenticationError);
});

test.each(['', '=', '====', '!!!', 'A', 'x'.repeat(1_000), 'Ü', 'a b'])(
	'garbage for a token (%j) is an error of its own, not a crash',
	async garbage => {
		const url = await listen((request, response) => {
			const offered =
				request.headers.authorization === undefined
					? 'Negotiate'
					: `Negotiate ${Buffer.from(garbage).toString('latin1')}`;
			response
				.writeHead(request.headers.authorization === undefined ? 401 : 200, {'www-authenticate': offered})
				.end();
		});
		const gatepass = await gatepassFor(url);
		await expect(gatepass.got(url, {retry: {limit: 0}})).rejects.toBeInstanceOf(MutualAuthenticationError);
	},
);

describe('the options', () => {
	test('name the service, its host and the principal', async () => {
		const {response} = await ask(
			{},
			{service: 'http', hostname: 'www.example.org', principal: 'alice@EXAMPLE.ORG'},
		);
		expect(JSON.parse(response.body)).toEqual({
			service: 'http@www.example.org',
			principal: 'alice@EXAMPLE.ORG',
			path: '/x',
		});
	});

	test('status says that it is a stub', async () => {
		const [status] = await (await gatepassFor('http://127.0.0.1:1')).status();
		expect(status).toMatchObject({available: true, detail: expect.stringContaining('stub')});
		expect(status?.warnings?.[0]).toContain("use the strategy 'kerberos'");
	});
});

test('a body is sent again with the second attempt', async () => {
	const {url, requests, close} = await startNegotiateServer();
	cleanUps.push(close);
	const gatepass = await gatepassFor(url);
	await gatepass.got.post(url, {body: 'hello'});
	expect(requests.map(({method, body}) => [method, body])).toEqual([
		['POST', 'hello'],
		['POST', 'hello'],
	]);
});
