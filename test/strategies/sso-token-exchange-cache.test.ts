/** Exchanged tokens in the cache: one for each subject, replaced where they or their subjects are refused, and forgotten. */
import {join} from 'node:path';
import {inspect} from 'node:util';
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {clients} from '../servers/oidc-provider.ts';
import {endAfterEach, tokenRequestErrorOf} from './sso-protocol-setup.ts';
import {ExchangeSetup} from './sso-token-exchange-setup.ts';

const ended = endAfterEach();
let authority: TestAuthority;
let setup: ExchangeSetup;

beforeAll(async () => {
	authority = await createTestAuthority();
});
afterAll(() => authority.close());
beforeEach(async () => {
	setup = await ExchangeSetup.start(authority, ended);
});

describe('the cache', () => {
	test('has a token for each subject, and for each pair of subject and actor', async () => {
		const [one, two] = [await setup.tokenOf(clients.basic), await setup.tokenOf(clients.secretJwt)];
		let subject = one;
		let actor = one;
		const {got} = await setup.useExchange({subjectToken: () => subject, actorToken: () => actor});
		const before = setup.provider.forms.length;
		for (const pair of [
			[one, one],
			[two, one],
			[one, two],
			[one, one],
			[two, one],
			[one, two],
		] as const) {
			[subject, actor] = pair;
			await got(`${setup.api.url}/a`);
		}
		expect(setup.provider.forms).toHaveLength(before + 3);
		const shown = setup.api.requests.map(({headers}) => headers.authorization);
		expect(new Set(shown).size).toBe(3);
		expect(shown.slice(3)).toEqual(shown.slice(0, 3));
		const subjects = setup.api.judgements.map(({token}) => token?.exchanged_sub);
		const [{clientId: first}, {clientId: second}] = [clients.basic, clients.secretJwt];
		expect(subjects).toEqual([first, second, first, first, second, first]);
	});

	test('does not mix up subjects that ask at the same time', async () => {
		const tokens = [await setup.tokenOf(clients.basic), await setup.tokenOf(clients.secretJwt)];
		let turn = 0;
		const {got} = await setup.useExchange({subjectToken: () => tokens[turn++ % 2]});
		const answers = await Promise.all(
			Array.from({length: 20}, (_, request) =>
				got(`${setup.api.url}/${request}`).json<{token: {exchanged_sub: string}}>(),
			),
		);
		const subjects = answers.map(({token}) => token.exchanged_sub);
		expect(subjects.filter(subject => subject === clients.basic.clientId)).toHaveLength(10);
		expect(setup.grants().filter(grant => grant === 'token-exchange')).toHaveLength(2);
	});

	test('is passed over once where a request asks for a fresh token; so is that of the other strategy', async () => {
		const {got} = await setup.useExchange({subjectToken: setup.nested()});
		await got(`${setup.api.url}/a`);
		await got(`${setup.api.url}/b`, {context: {gatepass: {fresh: true}}});
		await got(`${setup.api.url}/c`);
		expect(setup.grants()).toEqual([
			'client_credentials',
			'token-exchange',
			'client_credentials',
			'token-exchange',
		]);
	});

	test('a token that the API refuses is exchanged again, once', async () => {
		const {got} = await setup.useExchange({subjectToken: setup.nested()});
		await got(`${setup.api.url}/a`);
		setup.api.revokeShown();
		await got(`${setup.api.url}/b`);
		expect(setup.api.judgements.map(({status}) => status)).toEqual([200, 401, 200]);
		expect(setup.grants()).toEqual(['client_credentials', 'token-exchange', 'token-exchange']);
	});
});

describe('a subject token that the server no longer takes', () => {
	const subjectOf = (exchange: number): string =>
		setup.provider.forms.flatMap(({subject_token}) => subject_token ?? [])[exchange] ?? '';

	test('is got again from the other strategy, within the same request', async () => {
		const {got} = await setup.useExchange({subjectToken: setup.nested()});
		await got(`${setup.api.url}/a`);
		await setup.provider.revoke(subjectOf(0));
		setup.api.revokeShown();
		await got(`${setup.api.url}/b`);
		expect(setup.api.judgements.map(({status}) => status)).toEqual([200, 401, 200]);
		expect(setup.provider.tokenRequests.map(({error}) => error)).toEqual([
			...[undefined, undefined],
			...['invalid_grant', undefined, undefined],
		]);
		expect(subjectOf(1)).toBe(subjectOf(0));
		expect(subjectOf(2)).not.toBe(subjectOf(0));
	});

	test('is an error where there is no other, after one request', async () => {
		const subject = await setup.tokenOf(clients.basic);
		await setup.provider.revoke(subject);
		const {got} = await setup.useExchange({subjectToken: () => subject});
		const before = setup.provider.forms.length;
		const error = await tokenRequestErrorOf(got(`${setup.api.url}/a`));
		expect(error).toMatchObject({status: 400, error: 'invalid_grant'});
		expect(error.message).toContain('Check the subject token');
		expect(`${JSON.stringify(error)}${inspect(error)}`).not.toContain(subject);
		expect(setup.provider.forms).toHaveLength(before + 1);
		expect(setup.api.requests).toHaveLength(0);
	});
});

describe('status() and forget()', () => {
	test('ask no server, nor run a function, before the first request', async () => {
		let calls = 0;
		const exchanges = [
			await setup.useExchange({subjectToken: setup.nested()}),
			await setup.useExchange({
				subjectToken: () => {
					calls += 1;
					return 't';
				},
			}),
		];
		for (const gatepass of exchanges) {
			expect(await gatepass.status({verify: true})).toMatchObject([
				{available: true, detail: expect.stringContaining('no token yet')},
			]);
			await gatepass.forget();
		}
		expect(setup.provider.requests).toEqual([]);
		expect(calls).toBe(0);
	});

	test('say what is missing, also in the strategy that shows the subject', async () => {
		const missing = await setup.useExchange({subjectToken: {variable: 'NOWHERE'}}, {env: {}});
		expect(await missing.status()).toMatchObject([
			{available: false, detail: expect.stringContaining('the variable NOWHERE holds no token')},
		]);
		const wlcg = {rule: {strategy: 'wlcg-token', options: {file: join(setup.authority.folder, 'nowhere')}}};
		const without = await setup.useExchange({subjectToken: wlcg});
		expect(await without.status()).toMatchObject([
			{available: false, detail: expect.stringContaining('nowhere')},
		]);
	});

	test('know the token once there is one', async () => {
		const gatepass = await setup.useExchange({subjectToken: setup.nested()});
		await gatepass.got(`${setup.api.url}/a`);
		const before = setup.provider.requests.length;
		const [status] = await gatepass.status();
		expect(status).toMatchObject({available: true, detail: expect.stringContaining('token for client')});
		expect(status?.expiresAt).toBeGreaterThan(Date.now());
		expect(setup.provider.requests).toHaveLength(before);
	});

	test('forget the tokens of all subjects', async () => {
		const tokens = [await setup.tokenOf(clients.basic), await setup.tokenOf(clients.secretJwt)];
		let turn = 0;
		const gatepass = await setup.useExchange({subjectToken: () => tokens[turn++ % 2]});
		for (let request = 0; request < 4; request++) await gatepass.got(`${setup.api.url}/${request}`);
		const before = setup.grants().length;
		await gatepass.forget();
		for (let request = 0; request < 4; request++) await gatepass.got(`${setup.api.url}/${request}`);
		expect(setup.grants().slice(before)).toEqual(['token-exchange', 'token-exchange']);
	});

	test.for(['subjectToken', 'actorToken'])(
		'forget the token of the strategy in %s',
		async (option, {expect}) => {
			const token = await setup.tokenOf(clients.basic);
			const gatepass = await setup.useExchange({subjectToken: () => token, [option]: setup.nested()});
			await gatepass.got(`${setup.api.url}/a`);
			const before = setup.grants().length;
			await gatepass.forget();
			await gatepass.got(`${setup.api.url}/b`);
			expect(setup.grants().slice(before)).toEqual(['client_credentials', 'token-exchange']);
		},
	);
});
