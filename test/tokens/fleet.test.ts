/** A fleet of processes that share a store: one token request for all of them, whatever becomes of who makes it. */
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {describeWith} from '../servers/availability.ts';
import {type Postgres, postgresServer, startPostgres} from '../servers/postgres.ts';
import {type Redis, redisServer, startRedis} from '../servers/redis.ts';
import {type Answer, type Member, startFleet, startMember} from './fleet.ts';
import {TokenEndpoint} from './token-endpoint.ts';

/** Short enough to wait for its end, long enough for a slow machine to answer within it. */
const leaseDuration = 1500;

let processes: Member[] = [];
beforeAll(async () => {
	processes = await startFleet(8);
});
afterAll(() => Promise.all(processes.map(member => member.end())));

/** All calls got this one token, and nothing was wrong with the store. */
const only = (token: string): Answer => ({tokens: [token], failures: [], reports: []});

/** The tests, over a store that is empty each time it is asked for. */
function fleetTests(emptyStore: () => Promise<string>): void {
	let endpoint: TokenEndpoint;
	beforeEach(async () => {
		endpoint = await TokenEndpoint.start();
	});
	afterEach(async () => {
		await endpoint.close();
		processes = await Promise.all(processes.map(member => (member.isRunning ? member : startMember())));
	});

	/** Some of the processes, each with an empty memory. */
	async function begin<Members extends Member[]>(size: number, lease = 30_000): Promise<Members> {
		const members = processes.slice(0, size);
		const settings = {storeUrl: await emptyStore(), tokenEndpoint: endpoint.url, leaseDuration: lease};
		await Promise.all(members.map(member => member.begin(settings)));
		return members as Members;
	}

	const askAll = (members: readonly Member[], calls: number) =>
		Promise.all(members.map(member => member.ask(calls)));
	const all = (members: readonly Member[], token: string) => members.map(() => only(token));

	test('eight processes with a thousand cold calls each make one token request', async () => {
		const fleet = await begin(8);
		expect(await askAll(fleet, 1000)).toEqual(all(fleet, 'token-1'));
		expect(endpoint.requests).toBe(1);
	});

	test('whoever holds the lease is killed: the others wait for its end, and one of them asks', async () => {
		endpoint.holdsBack = true;
		const [holder, ...others] = await begin<[Member, Member, Member]>(3, leaseDuration);
		const killed = expect(holder.ask(10)).rejects.toThrow('ended before it answered');
		await endpoint.untilRequest(1);
		const answers = askAll(others, 10);
		holder.signal('SIGKILL');
		await killed;
		await endpoint.untilRequest(2);
		endpoint.answer();
		expect(await answers).toEqual(all(others, 'token-2'));
		expect(endpoint.requests).toBe(2);
	});

	test('whoever holds the lease is paused past its end: it is overtaken, and does no harm when it wakes', async () => {
		endpoint.holdsBack = true;
		const [holder, ...others] = await begin<[Member, Member, Member]>(3, leaseDuration);
		const late = holder.ask(10);
		await endpoint.untilRequest(1);
		holder.signal('SIGSTOP');
		const answers = askAll(others, 10);
		await endpoint.untilRequest(2);
		endpoint.answer();
		expect(await answers).toEqual(all(others, 'token-2'));
		holder.signal('SIGCONT');
		// Its own token is valid, too. Nobody else is disturbed, and nobody asks again.
		expect(await late).toEqual(only('token-1'));
		expect(await askAll(others, 10)).toEqual(all(others, 'token-2'));
		expect(endpoint.requests).toBe(2);
	});

	test('whoever holds the lease fails: it says so at once, and the next one asks', async () => {
		endpoint.holdsBack = true;
		endpoint.failure = {status: 500};
		const [holder, ...others] = await begin<[Member, Member, Member]>(3);
		const failed = holder.ask(10);
		await endpoint.untilRequest(1);
		const answers = askAll(others, 10);
		endpoint.answer();
		expect(await failed).toMatchObject({
			tokens: [],
			failures: [expect.stringContaining('TokenRequestError')],
		});
		await endpoint.untilRequest(2);
		endpoint.failure = undefined;
		endpoint.answer();
		expect(await answers).toEqual(all(others, 'token-2'));
		expect(endpoint.requests).toBe(2);
	});

	test('whoever is told to wait is not asked for: nobody else asks before that time either', async () => {
		endpoint.failure = {status: 503, retryAfter: 600};
		const fleet = await begin<[Member, Member, Member]>(3);
		const [first, ...others] = fleet;
		const [refused] = (await first.ask(10)).failures;
		expect(refused).toContain('TokenRequestError');
		endpoint.failure = undefined;
		for (const {tokens, failures} of await askAll(others, 10)) {
			expect(tokens).toEqual([]);
			expect(failures).toEqual([expect.stringMatching(/another \d+ s/)]);
		}
		expect(endpoint.requests).toBe(1);
		for (const member of fleet) await member.advance(601_000);
		expect(await askAll(fleet, 10)).toEqual(all(fleet, 'token-2'));
		expect(endpoint.requests).toBe(2);
	});

	test('a token that all of them are refused with is replaced by one new one', async () => {
		const fleet = await begin(8);
		expect(await askAll(fleet, 1)).toEqual(all(fleet, 'token-1'));
		expect(await Promise.all(fleet.map(member => member.askAnew(50, 'token-1')))).toEqual(
			all(fleet, 'token-2'),
		);
		expect(endpoint.requests).toBe(2);
	});

	test('one of them renews the token ahead of its end, and the others take it up', async () => {
		const fleet = await begin(4);
		expect(await askAll(fleet, 10)).toEqual(all(fleet, 'token-1'));
		for (const member of fleet) await member.advance(0.9 * endpoint.lifetime);
		endpoint.holdsBack = true;
		// The token at hand is served until then.
		expect(await askAll(fleet, 10)).toEqual(all(fleet, 'token-1'));
		await endpoint.untilRequest(2);
		endpoint.answer();
		await expect.poll(() => askAll(fleet, 10)).toEqual(all(fleet, 'token-2'));
		expect(endpoint.requests).toBe(2);
	});
}

describe('a fleet over sqlite', () => {
	let folder: string;
	let count = 0;
	beforeAll(async () => {
		folder = await mkdtemp(join(tmpdir(), 'gatepass-fleet-'));
	});
	afterAll(() => rm(folder, {recursive: true, force: true}));
	fleetTests(async () => `sqlite:${join(folder, `${count++}.sqlite`)}`);
});

describeWith(redisServer, 'a fleet over Redis', () => {
	let redis: Redis;
	beforeAll(async () => {
		redis = await startRedis();
	});
	afterAll(() => redis?.close());
	fleetTests(async () => {
		await redis.clear();
		return redis.url;
	});
});

describeWith(postgresServer, 'a fleet over PostgreSQL', () => {
	let postgres: Postgres;
	beforeAll(async () => {
		postgres = await startPostgres();
	});
	afterAll(() => postgres?.close());
	fleetTests(async () => {
		await postgres.clear();
		return postgres.url;
	});
});
