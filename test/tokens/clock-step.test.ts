/** A machine's clock that is put back by an hour: what was to last for seconds does, and not for an hour more. */
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {describeWith} from '../servers/availability.ts';
import {faketime, timeFromFile} from '../servers/faketime.ts';
import {type Member, startMember} from './fleet.ts';
import {TokenEndpoint} from './token-endpoint.ts';

describeWith(faketime, 'a clock that is put back', () => {
	let endpoint: TokenEndpoint;
	let folder: string;
	let members: Member[] = [];
	beforeEach(async () => {
		endpoint = await TokenEndpoint.start();
		folder = await mkdtemp(join(tmpdir(), 'gatepass-clock-'));
	});
	afterEach(async () => {
		await Promise.all(members.map(member => member.end()));
		members = [];
		await endpoint.close();
		await rm(folder, {recursive: true, force: true});
	});

	/** By how much the clock of the processes differs from that of the issuer. */
	const setClock = (offset: string) => writeFile(join(folder, 'time'), offset);

	/** A process whose clock can be set. Gives what a call for a token comes to. */
	async function start(storeUrl: string, heedsDate = false): Promise<() => Promise<string>> {
		const member = await startMember(timeFromFile(join(folder, 'time')));
		members.push(member);
		await member.begin({storeUrl, tokenEndpoint: endpoint.url, leaseDuration: 30_000, heedsDate});
		return async () => {
			const {tokens, failures} = await member.ask(1);
			return [...tokens, ...failures].join();
		};
	}

	const sqlite = () => `sqlite:${join(folder, 'tokens.sqlite')}`;

	test.each([
		['by its own clock, in memory', () => 'memory:', false],
		["by the issuer's clock, in memory", () => 'memory:', true],
		['by its own clock, in sqlite', sqlite, false],
		["by the issuer's clock, in sqlite", sqlite, true],
	])('a token is not used past its end (%s)', async (_, store, heedsDate) => {
		await setClock('+1h');
		endpoint.lifetime = 2000;
		const ask = await start(store(), heedsDate);
		expect(await ask()).toBe('token-1');
		await setClock('+0');
		const answers: string[] = [];
		const askOn = async (): Promise<string> => {
			const answer = await ask();
			answers.push(answer);
			return answer;
		};
		// It ends after two seconds. By the clock that was put back, it would after an hour.
		await expect.poll(askOn, {interval: 50}).not.toBe('token-1');
		for (const answer of answers) expect(answer).toMatch(/^token-\d+$/);
	});

	test('what a process left in the sqlite file is not used for longer by the next one', async () => {
		await setClock('+1h');
		endpoint.lifetime = 1000;
		expect(await (await start(sqlite()))()).toBe('token-1');
		await setClock('+0');
		const ask = await start(sqlite());
		await expect.poll(ask, {interval: 50}).not.toBe('token-1');
	});

	test.each([
		['in memory', () => 'memory:'],
		['in sqlite', sqlite],
	])('an issuer that said when to come back is asked again then (%s)', async (_, store) => {
		await setClock('+1h');
		endpoint.failure = {status: 429, retryAfter: 1};
		const ask = await start(store());
		expect(await ask()).toContain('TokenRequestError');
		endpoint.failure = undefined;
		await setClock('+0');
		await expect.poll(ask, {interval: 50}).toBe('token-2');
	});
});
