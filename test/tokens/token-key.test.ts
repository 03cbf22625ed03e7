/** Keys of the token cache: nothing that makes a token different is left out, and tenants never share one. */
import 'reflect-metadata';
import {randomUUID} from 'node:crypto';
import fc from 'fast-check';
import {container as rootContainer} from 'tsyringe';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test} from 'vitest';
import {createGatepass, type Token, TokenCache, tokenKey} from '../../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {createClient} from './client.ts';
import {TokenEndpoint} from './token-endpoint.ts';

type Parts = Record<string, string | readonly string[] | undefined>;

describe('tokenKey', () => {
	/** Characters that a key made by joining texts would take for its own. */
	const text = fc.string({
		unit: fc.constantFrom('a', 'b', '"', '\\', ',', ':', '[', ']', '\u{d800}', '\0'),
		maxLength: 3,
	});
	const part = fc.option(fc.oneof(text, fc.array(text, {maxLength: 3})), {nil: undefined});
	const parts: fc.Arbitrary<Parts> = fc.dictionary(text, part, {maxKeys: 4});

	/** Whether two are the same: the order of the parts does not matter, and `undefined` is as good as none. */
	const isSame = (some: Parts, others: Parts): boolean => {
		const names = new Set([...Object.keys(some), ...Object.keys(others)]);
		return [...names].every(name => {
			const [one, another] = [some[name], others[name]];
			if (!Array.isArray(one) || !Array.isArray(another)) return one === another;
			return one.length === another.length && one.every((item, index) => item === another[index]);
		});
	};

	test('is the same for the same parts alone', () => {
		fc.assert(
			fc.property(parts, parts, (some, others) => {
				expect(tokenKey(some) === tokenKey(others)).toBe(isSame(some, others));
			}),
			{numRuns: 3000},
		);
	});

	test('differs where one part is changed, added, left out, split or moved', () => {
		const change = fc.tuple(text, part, fc.constantFrom('set', 'rename', 'split', 'swap'));
		fc.assert(
			fc.property(parts, change, (some, [name, value, kind]) => {
				const names = Object.keys(some);
				const [first = 'x', second = 'y'] = names;
				const others: Parts = {...some};
				if (kind === 'set') others[name] = value;
				else if (kind === 'swap') [others[first], others[second]] = [some[second], some[first]];
				else delete others[first];
				if (kind === 'rename') others[name] = some[first];
				if (kind === 'split') others[first] = [...String(some[first])];
				expect(tokenKey(some) === tokenKey(others)).toBe(isSame(some, others));
			}),
			{numRuns: 3000},
		);
	});

	test('does not depend on the order in which parts are given', () => {
		fc.assert(
			fc.property(parts, some => {
				expect(tokenKey(Object.fromEntries(Object.entries(some).reverse()))).toBe(tokenKey(some));
			}),
		);
	});
});

describe('the keys of the strategies', () => {
	let authority: TestAuthority;
	let identities: {certificate: string; key: string}[];
	beforeAll(async () => {
		authority = await createTestAuthority();
		identities = [
			await authority.issue('alice', {subject: 'CN=alice'}),
			await authority.issue('bob', {subject: 'CN=bob'}),
		];
	});
	afterAll(() => authority?.close());

	interface Use {
		readonly strategy: string;
		readonly options: Record<string, unknown>;
		/** Of the rule, and of the request. */
		readonly tenant?: string | undefined;
		readonly asked?: string | undefined;
	}

	/** The key under which a request's token is looked up; of nested strategies, the outermost one's. */
	async function keyOf({strategy, options, tenant, asked}: Use): Promise<string> {
		let key = '';
		const tokens: Pick<TokenCache, 'get'> = {
			async get(asked: string): Promise<Token> {
				key = asked;
				return {value: 'a-token', type: 'Bearer'};
			},
		};
		const container = rootContainer.createChildContainer();
		container.register(TokenCache, {useValue: tokens as TokenCache});
		const rule = {match: 'api.example.org', strategy, options, ...(tenant !== undefined && {tenant})};
		const gatepass = await createGatepass({
			config: {hostRules: [rule]},
			env: {TOKEN: 'one', OTHER: 'two'},
			container,
		});
		await gatepass.authorize('https://api.example.org', asked === undefined ? {} : {tenant: asked});
		await gatepass.close();
		return key;
	}

	const client = {clientId: 'reports', clientSecret: 'a-secret'};
	const server = 'sso.example.org';
	/** Has the server, unless it says where else tokens come from. */
	const withServer = (options: object): Record<string, unknown> =>
		'tokenEndpoint' in options || 'issuer' in options ? {...options} : {server, ...options};
	const shared: Record<string, unknown>[] = [
		{},
		{server: 'login.example.org'},
		{server, realm: 'other'},
		{tokenEndpoint: 'https://login.example.org/token'},
		{tokenEndpoint: 'https://login.example.org/token2'},
		{issuer: 'https://login.example.org'},
		{issuer: 'https://login.example.org/tenant'},
		{clientId: 'reports2'},
		{audience: 'a'},
		{audience: 'b'},
		{scope: 'a'},
		{scope: 'a b'},
		{scope: 'b a'},
		{resource: 'https://a.example.org'},
		{resource: ['https://a.example.org', 'https://b.example.org']},
		{resource: 'https://a.example.org,https://b.example.org'},
		{parameters: {a: '1'}},
		{parameters: {a: '2'}},
		{parameters: {b: '1'}},
		{parameters: {a: '1', b: '1'}},
		{parameters: {a: '1,b,1'}},
		{dpop: true},
		// A key of its own for each process, and for each rule.
		{dpop: true, audience: 'a'},
	];
	const exchanges: Record<string, unknown>[] = [
		{subjectToken: {variable: 'OTHER'}},
		{actorToken: {variable: 'TOKEN'}},
		{actorToken: {variable: 'OTHER'}},
		{subjectTokenType: 'urn:ietf:params:oauth:token-type:jwt'},
		{actorToken: {variable: 'TOKEN'}, actorTokenType: 'urn:ietf:params:oauth:token-type:jwt'},
		{requestedTokenType: 'urn:ietf:params:oauth:token-type:jwt'},
		{requestedTokenType: 'urn:ietf:params:oauth:token-type:access_token'},
	];

	function allUses(): Use[] {
		const [alice, bob] = identities;
		const withIdentities = [{identity: alice}, {identity: bob}, {identity: alice, audience: 'a'}];
		const variants = [...shared, ...withIdentities].map(withServer);
		const subjectToken = {variable: 'TOKEN'};
		const uses = [
			...variants.map(options => ({strategy: 'sso-client-credentials', options: {...client, ...options}})),
			...[...variants, ...exchanges.map(withServer)].map(options => ({
				strategy: 'sso-token-exchange',
				options: {...client, subjectToken, ...options},
			})),
		];
		const tenants = [{tenant: 'a'}, {tenant: 'b'}, {asked: 'c'}, {tenant: 'a', asked: 'd'}, {asked: ''}];
		return [...uses, ...uses.flatMap(use => tenants.map(tenant => ({...use, ...tenant})))];
	}

	test('differ wherever one option, the tenant or the strategy makes the token different', async () => {
		const uses = allUses();
		const byKey = new Map<string, Use>();
		for (const use of uses) {
			const key = await keyOf(use);
			expect(key).not.toBe('');
			expect([byKey.get(key), use]).toEqual([undefined, use]);
			byKey.set(key, use);
		}
		expect(byKey.size).toBe(uses.length);
	});

	test('are the same where the same is asked for in other words', async () => {
		const use = (options: object, others: object = {}): Use => ({
			strategy: 'sso-client-credentials',
			options: {...client, server, ...options},
			...others,
		});
		const same: [Use, Use][] = [
			[use({}), use({realm: 'cern'})],
			[use({resource: 'https://a.example.org'}), use({resource: ['https://a.example.org']})],
			[use({parameters: {a: '1', b: '2'}}), use({parameters: {b: '2', a: '1'}})],
			[use({}, {tenant: 'a'}), use({}, {asked: 'a'})],
			[use({identity: identities[0]}), use({identity: {...identities[0]}})],
			// The secret may be changed without the tokens being lost.
			[use({}), use({clientSecret: 'another'})],
		];
		for (const [one, other] of same) expect(await keyOf(one)).toBe(await keyOf(other));
	});

	test('hold no secret', async () => {
		const parameters = {password: 'a-secret-parameter'};
		const uses = allUses().slice(0, 60);
		for (const {strategy, options} of uses) {
			const key = await keyOf({strategy, options: {...options, parameters}});
			expect(key).not.toMatch(/a-secret|"one"|"two"/);
		}
	});
});

describe('tenants', () => {
	let endpoint: TokenEndpoint;
	beforeEach(async () => {
		endpoint = await TokenEndpoint.start();
	});
	afterEach(() => endpoint.close());

	test('never see each other’s tokens, in one process or several, in whatever order they ask', async () => {
		const store = new Map<string, unknown>() as never;
		const gatepasses = await Promise.all([1, 2, 3].map(() => createClient(endpoint, {cache: store})));
		const tenant = fc.option(
			fc.oneof(fc.constantFrom('', 'a', 'b', 'A', 'a"', 'a,b', 'undefined', 'null'), fc.string()),
			{
				nil: undefined,
			},
		);
		const owners = new Map<string, string | undefined>();
		await fc.assert(
			fc.asyncProperty(
				fc.array(fc.tuple(fc.nat(2), tenant), {minLength: 1, maxLength: 10}),
				async requests => {
					const shown = await Promise.all(
						requests.map(async ([index, tenant]) => {
							const asked = tenant === undefined ? {} : {tenant};
							const authorization = await gatepasses[index]?.authorize(endpoint.url, asked);
							return [authorization?.headers.authorization ?? '', tenant] as const;
						}),
					);
					for (const [token, tenant] of shown) {
						expect(token).toMatch(/^Bearer token-\d+$/);
						if (!owners.has(token)) owners.set(token, tenant);
						expect([token, owners.get(token)]).toEqual([token, tenant]);
					}
				},
			),
			{numRuns: 100},
		);
		expect(owners.size).toBeGreaterThan(10);
	});

	test('of rules: status and forget are about that tenant’s tokens alone', async () => {
		const options = {clientId: 'reports', clientSecret: 'a-secret', tokenEndpoint: endpoint.url};
		const strategy = 'sso-client-credentials';
		const {port} = new URL(endpoint.url);
		const rules = ['a', 'b', undefined].map(tenant => ({
			match: `http://127.0.0.1:${port}/${tenant ?? 'none'}`,
			strategy,
			options,
			...(tenant !== undefined && {tenant}),
		}));
		const gatepass = await createGatepass({config: {cache: {url: 'memory:'}, hostRules: rules}, env: {}});
		onTestFinished(() => gatepass.close());
		const urlOf = (name: string) => `http://127.0.0.1:${port}/${name}`;
		const tokenOf = async (name: string, asked = {}) =>
			(await gatepass.authorize(urlOf(name), asked)).headers.authorization;
		const expiries = async () => (await gatepass.status()).map(({expiresAt}) => expiresAt !== undefined);

		expect(await tokenOf('b')).toBe('Bearer token-1');
		expect(await expiries()).toEqual([false, true, false]);
		expect(await tokenOf('a')).toBe('Bearer token-2');
		expect(await tokenOf('none')).toBe('Bearer token-3');
		expect(await expiries()).toEqual([true, true, true]);

		await gatepass.forget(urlOf('a'));
		expect(await expiries()).toEqual([false, true, true]);
		expect(await tokenOf('b')).toBe('Bearer token-1');
		expect(await tokenOf('none')).toBe('Bearer token-3');
		expect(await tokenOf('a')).toBe('Bearer token-4');
	});

	test('that requests name: forget drops their tokens too, also those that another process has fetched', async () => {
		const settings = {cache: new Map() as never};
		const [first, second] = [await createClient(endpoint, settings), await createClient(endpoint, settings)];
		const tokenOf = async (gatepass: typeof first, tenant: string) =>
			(await gatepass.authorize(endpoint.url, {tenant})).headers.authorization;
		const tenant = randomUUID();
		const token = await tokenOf(first, tenant);
		expect(await tokenOf(second, tenant)).toBe(token);
		await second.forget(endpoint.url);
		const third = await createClient(endpoint, settings);
		expect(await tokenOf(third, tenant)).not.toBe(token);
	});
});
