/** Assertions beside clocks that are a little or much ahead, and a `Date` that is wrong: what is sent is accepted. */
import {createServer, type Server} from 'node:http';
import type {AddressInfo} from 'node:net';
import {decodeJwt} from 'jose';
import {afterEach, describe, expect, test, vi} from 'vitest';
import {createGatepass, type Gatepass, TokenRequestError} from '../../src/index.ts';
import {makeClientKey} from './sso-protocol-setup.ts';

const minutes = 60_000;
const key = makeClientKey('clock', 'P-256');

let server: Server | undefined;
let gatepass: Gatepass | undefined;
afterEach(async () => {
	vi.useRealTimers();
	await gatepass?.close();
	server?.closeAllConnections();
	await new Promise(done => server?.close(done));
});

interface Answered {
	readonly claims: Record<string, unknown>;
	readonly status: number;
}

/** A server that takes nothing from the future by its own clock, be it a second, and nothing older than a minute. */
class StrictServer {
	/** Milliseconds that its clock is ahead of this process's real time. */
	skew = 0;
	/** Milliseconds by which a balancer's `Date` is wrong beside that; for each answer, the last one for ever. */
	balancer: number[] = [0];
	readonly answered: Answered[] = [];
	url = '';

	async start(): Promise<this> {
		const listening = createServer((request, response) => {
			let body = '';
			request.setEncoding('utf8');
			request.on('data', chunk => {
				body += chunk;
			});
			request.on('end', () => {
				const now = realNow() + this.skew;
				const claims = decodeJwt(new URLSearchParams(body).get('client_assertion') ?? '');
				const {iat = 0, exp = 0, nbf} = claims;
				const isGood = iat * 1000 <= now && iat * 1000 > now - minutes && exp * 1000 > now;
				const status = isGood && (nbf === undefined || nbf * 1000 <= now) ? 200 : 401;
				this.answered.push({claims, status});
				const off = this.balancer.length > 1 ? this.balancer.shift() : this.balancer[0];
				response.writeHead(status, {
					'content-type': 'application/json',
					date: new Date(now + (off ?? 0)).toUTCString(),
				});
				const token = {access_token: `t${this.answered.length}`, token_type: 'Bearer', expires_in: 300};
				response.end(JSON.stringify(isGood ? token : {error: 'invalid_client'}));
			});
		});
		server = listening;
		await new Promise<void>(done => listening.listen(0, '127.0.0.1', done));
		this.url = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`;
		return this;
	}

	statuses(): number[] {
		return this.answered.splice(0).map(({status}) => status);
	}
}

/** By a clock that no test sets. */
const begun = Date.now() - performance.now();
const realNow = (): number => begun + performance.now();

const ownClockAhead = (by: number): void => {
	vi.useFakeTimers({toFake: ['Date'], now: realNow() + by, shouldAdvanceTime: false});
};

async function open({url}: StrictServer, options: object): Promise<Gatepass> {
	gatepass = await createGatepass({
		env: {},
		config: {
			cache: {url: 'memory:'},
			hostRules: [
				{
					match: url,
					strategy: 'sso-client-credentials',
					options: {clientId: 'me', tokenEndpoint: `${url}/token`, ...options},
				},
			],
		},
	});
	return gatepass;
}

const kinds: [string, object][] = [
	['a private key', {privateKey: key.pkcs8}],
	[
		'a secret',
		{clientSecret: 'a-secret-of-many-characters-for-hmac', clientAuthentication: 'client_secret_jwt'},
	],
];

describe.each(kinds)('an assertion by %s', (_, options) => {
	test.each([0, 1000, 2000, 3000, 4000])(
		'made by a clock that is %i ms ahead is taken at once',
		async ahead => {
			const strict = await new StrictServer().start();
			const {authorize} = bound(await open(strict, options));
			ownClockAhead(ahead);
			await authorize(strict.url);
			expect(strict.answered[0]?.claims).not.toHaveProperty('nbf');
			expect(strict.statuses()).toEqual([200]);
		},
	);

	test('beside a balancer whose Date is wrong for ever: own clock, each time', async () => {
		const strict = await new StrictServer().start();
		strict.balancer = [60 * minutes];
		const {authorize} = bound(await open(strict, options));
		for (let times = 0; times < 3; times++) await authorize(strict.url, {fresh: true});
		expect(strict.statuses()).toEqual([200, 200, 200]);
	});

	test('beside a Date that is wrong once, the ones after it are right', async () => {
		const strict = await new StrictServer().start();
		strict.skew = 10 * minutes;
		const {authorize} = bound(await open(strict, options));
		await authorize(strict.url);
		// Own clock first, then the server's.
		expect(strict.statuses()).toEqual([401, 200]);
		strict.balancer = [60 * minutes, 0];
		await authorize(strict.url, {fresh: true});
		await authorize(strict.url, {fresh: true});
		await authorize(strict.url, {fresh: true});
		expect(strict.statuses()).toEqual([200, 401, 200, 200]);
	});

	test('after the machine’s clock was put right, one is refused, and the next goes by it', async () => {
		const strict = await new StrictServer().start();
		const {authorize} = bound(await open(strict, options));
		ownClockAhead(-10 * minutes);
		await authorize(strict.url);
		expect(strict.statuses()).toEqual([401, 200]);
		vi.useRealTimers();
		await authorize(strict.url, {fresh: true});
		await authorize(strict.url, {fresh: true});
		expect(strict.statuses()).toEqual([401, 200, 200]);
	});

	test('that is refused for another reason is not tried over and over', async () => {
		const strict = await new StrictServer().start();
		// Neither clock is right.
		strict.skew = 10 * minutes;
		strict.balancer = [-30 * minutes];
		const {authorize} = bound(await open(strict, options));
		await expect(authorize(strict.url)).rejects.toBeInstanceOf(TokenRequestError);
		expect(strict.statuses()).toEqual([401, 401]);
	});
});

function bound(opened: Gatepass): Pick<Gatepass, 'authorize'> {
	return {authorize: opened.authorize.bind(opened)};
}
