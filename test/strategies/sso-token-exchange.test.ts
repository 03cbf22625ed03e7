/** `sso-token-exchange` (RFC 8693) against oidc-provider, and an API that verifies what it is shown. */
import {writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {inspect} from 'node:util';
import {decodeJwt} from 'jose';
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {CredentialUnavailableError, type Gatepass} from '../../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {conformance} from '../../src/testing/conformance.ts';
import {answerJson, startServer} from '../../src/testing/server.ts';
import {startTokenServer} from '../../src/testing/token-server.ts';
import {SsoTokenExchangeStrategy} from '../../strategies/sso-token-exchange/index.ts';
import {type BoundTokenApi, startBoundTokenApi} from '../servers/bound-token-api.ts';
import {clients, type OidcProvider, startOidcProvider} from '../servers/oidc-provider.ts';
import {createRule, tokenRequestErrorOf} from './sso-protocol-setup.ts';

let authority: TestAuthority;
let provider: OidcProvider;
let api: BoundTokenApi;
/** Ended after each test, the last one first. */
const open: {close(): Promise<unknown>}[] = [];

function ended<Closeable extends {close(): Promise<unknown>}>(closeable: Closeable): Closeable {
	open.push(closeable);
	return closeable;
}

beforeAll(async () => {
	authority = await createTestAuthority();
});
afterAll(() => authority.close());
beforeEach(async () => {
	provider = ended(await startOidcProvider({authority}));
	api = ended(await startBoundTokenApi({...provider, boundTo: 'nothing'}));
	return async () => {
		for (const closeable of open.splice(0).reverse()) await closeable.close();
	};
});

/** A gatepass that exchanges as the client `run-archiver`. */
async function useExchange(
	options: Record<string, unknown>,
	more: Record<string, unknown> = {},
): Promise<Gatepass> {
	const common = {tokenEndpoint: provider.tokenEndpoint, ...clients.post};
	return ended(
		await createRule(
			api.url,
			authority,
			{...common, clientAuthentication: 'client_secret_post', audience: 'archive', ...options},
			{strategy: 'sso-token-exchange', ...more},
		),
	);
}

/** A token of a client, as somebody else would have got it. */
async function tokenOf(client: {clientId: string; clientSecret: string}, options = {}): Promise<string> {
	const clientAuthentication =
		client === clients.secretJwt
			? 'client_secret_jwt'
			: client === clients.post
				? 'client_secret_post'
				: 'client_secret_basic';
	const {tokenEndpoint} = provider;
	await using gatepass = await createRule('https://127.0.0.1:9', authority, {
		tokenEndpoint,
		...client,
		clientAuthentication,
		...options,
	});
	const {headers} = await gatepass.authorize('https://127.0.0.1:9/');
	return headers.authorization?.replace('Bearer ', '') ?? '';
}

const nested = (options: Record<string, unknown> = {}) => ({
	rule: {
		strategy: 'sso-client-credentials',
		options: {tokenEndpoint: provider.tokenEndpoint, ...clients.basic, ...options},
	},
});

/** The grants of all token requests so far, in short. */
const grants = (): string[] =>
	provider.forms.map(({grant_type}) => String(grant_type).split(':').at(-1) ?? '');

describe('the subject token', () => {
	const seen = (subject: string) => ({
		status: 200,
		token: expect.objectContaining({
			client_id: clients.post.clientId,
			aud: 'archive',
			exchanged_sub: subject,
		}),
	});

	test('from a file, relative to the configuration, read again when it changes', async () => {
		const file = join(authority.folder, 'subject');
		await writeFile(file, `\n${await tokenOf(clients.basic)}\n`);
		const {got} = await useExchange({subjectToken: {file: 'subject'}}, {cwd: authority.folder});
		expect(await got(`${api.url}/a`).json()).toMatchObject(seen(clients.basic.clientId));
		await writeFile(file, await tokenOf(clients.secretJwt));
		expect(await got(`${api.url}/b`).json()).toMatchObject(seen(clients.secretJwt.clientId));
	});

	test('from a variable', async () => {
		const {got} = await useExchange(
			{subjectToken: {variable: 'SUBJECT'}},
			{env: {SUBJECT: await tokenOf(clients.basic)}},
		);
		expect(await got(`${api.url}/a`).json()).toMatchObject(seen(clients.basic.clientId));
	});

	test('from a function', async () => {
		const token = await tokenOf(clients.basic);
		const {got} = await useExchange({subjectToken: async () => token});
		expect(await got(`${api.url}/a`).json()).toMatchObject(seen(clients.basic.clientId));
	});

	test('from another strategy', async () => {
		const {got} = await useExchange({subjectToken: nested()});
		expect(await got(`${api.url}/a`).json()).toMatchObject(seen(clients.basic.clientId));
		await got(`${api.url}/b`);
		expect(grants()).toEqual(['client_credentials', 'token-exchange']);
	});

	test('of another strategy that exchanges itself', async () => {
		const {rule} = nested();
		const inner = {
			strategy: 'sso-token-exchange',
			options: {
				tokenEndpoint: provider.tokenEndpoint,
				...clients.basic,
				audience: 'reports-api',
				subjectToken: {rule},
			},
		};
		const {got} = await useExchange({subjectToken: {rule: inner}});
		expect(await got(`${api.url}/a`).json()).toMatchObject(seen(clients.basic.clientId));
		expect(grants()).toEqual(['client_credentials', 'token-exchange', 'token-exchange']);
	});
});

describe('what the server is told', () => {
	test('impersonation: the subject alone, with the usual type', async () => {
		const subject = await tokenOf(clients.basic);
		const {got} = await useExchange({subjectToken: () => subject});
		await got(`${api.url}/a`);
		expect(provider.forms.at(-1)).toEqual({
			grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
			subject_token: subject,
			subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
			audience: 'archive',
			client_id: clients.post.clientId,
			client_secret: clients.post.clientSecret,
		});
		expect(api.judgements[0]?.token).not.toHaveProperty('act');
	});

	test('delegation: who acts, too', async () => {
		const [subject, actor] = [await tokenOf(clients.basic), await tokenOf(clients.post)];
		const {got} = await useExchange({subjectToken: () => subject, actorToken: () => actor});
		await got(`${api.url}/a`);
		expect(api.judgements[0]?.token).toMatchObject({
			exchanged_sub: clients.basic.clientId,
			act: {sub: clients.post.clientId},
		});
		expect(provider.forms.at(-1)).toMatchObject({
			actor_token: actor,
			actor_token_type: 'urn:ietf:params:oauth:token-type:access_token',
		});
	});

	test('types, scope and several resources', async () => {
		const jwt = 'urn:ietf:params:oauth:token-type:jwt';
		const resource = ['https://one.example.org/', 'https://two.example.org/'];
		const subject = await tokenOf(clients.basic, {audience: 'reports-api'});
		expect(decodeJwt(subject)).toMatchObject({sub: clients.basic.clientId});
		const {got} = await useExchange({
			subjectToken: () => subject,
			subjectTokenType: jwt,
			requestedTokenType: jwt,
			audience: undefined,
			resource,
			scope: 'read',
		});
		// The server calls it no access token; whoever asked for the type wants to show it all the same.
		await got(`${api.url}/a`);
		expect(api.judgements[0]?.token).toMatchObject({aud: resource[0], scope: 'read'});
		expect(provider.forms.at(-1)).toMatchObject({
			subject_token_type: jwt,
			requested_token_type: jwt,
			resource,
			scope: 'read',
		});
	});

	test('by a client without a secret', async () => {
		const subject = await tokenOf(clients.basic);
		const {got} = await useExchange({
			...clients.public,
			clientSecret: undefined,
			clientAuthentication: 'none',
			subjectToken: () => subject,
		});
		await got(`${api.url}/a`);
		expect(api.judgements[0]?.token).toMatchObject({client_id: clients.public.clientId});
	});
});

describe('the cache', () => {
	test('has a token for each subject, and for each pair of subject and actor', async () => {
		const [one, two] = [await tokenOf(clients.basic), await tokenOf(clients.secretJwt)];
		let subject = one;
		let actor = one;
		const {got} = await useExchange({subjectToken: () => subject, actorToken: () => actor});
		const before = provider.forms.length;
		for (const pair of [
			[one, one],
			[two, one],
			[one, two],
			[one, one],
			[two, one],
			[one, two],
		] as const) {
			[subject, actor] = pair;
			await got(`${api.url}/a`);
		}
		expect(provider.forms).toHaveLength(before + 3);
		const shown = api.requests.map(({headers}) => headers.authorization);
		expect(new Set(shown).size).toBe(3);
		expect(shown.slice(3)).toEqual(shown.slice(0, 3));
		const subjects = api.judgements.map(({token}) => token?.exchanged_sub);
		const [{clientId: first}, {clientId: second}] = [clients.basic, clients.secretJwt];
		expect(subjects).toEqual([first, second, first, first, second, first]);
	});

	test('does not mix up subjects that ask at the same time', async () => {
		const tokens = [await tokenOf(clients.basic), await tokenOf(clients.secretJwt)];
		let turn = 0;
		const {got} = await useExchange({subjectToken: () => tokens[turn++ % 2]});
		const answers = await Promise.all(
			Array.from({length: 20}, (_, request) =>
				got(`${api.url}/${request}`).json<{token: {exchanged_sub: string}}>(),
			),
		);
		const subjects = answers.map(({token}) => token.exchanged_sub);
		expect(subjects.filter(subject => subject === clients.basic.clientId)).toHaveLength(10);
		expect(grants().filter(grant => grant === 'token-exchange')).toHaveLength(2);
	});

	test('is passed over once where a request asks for a fresh token; so is that of the other strategy', async () => {
		const {got} = await useExchange({subjectToken: nested()});
		await got(`${api.url}/a`);
		await got(`${api.url}/b`, {context: {gatepass: {fresh: true}}});
		await got(`${api.url}/c`);
		expect(grants()).toEqual([
			'client_credentials',
			'token-exchange',
			'client_credentials',
			'token-exchange',
		]);
	});

	test('a token that the API refuses is exchanged anew, once', async () => {
		const {got} = await useExchange({subjectToken: nested()});
		await got(`${api.url}/a`);
		api.revokeShown();
		await got(`${api.url}/b`);
		expect(api.judgements.map(({status}) => status)).toEqual([200, 401, 200]);
		expect(grants()).toEqual(['client_credentials', 'token-exchange', 'token-exchange']);
	});
});

describe('a subject token that the server no longer takes', () => {
	const subjectOf = (exchange: number): string =>
		provider.forms.flatMap(({subject_token}) => subject_token ?? [])[exchange] ?? '';

	test('is got anew from the other strategy, within the same request', async () => {
		const {got} = await useExchange({subjectToken: nested()});
		await got(`${api.url}/a`);
		await provider.revoke(subjectOf(0));
		api.revokeShown();
		await got(`${api.url}/b`);
		expect(api.judgements.map(({status}) => status)).toEqual([200, 401, 200]);
		expect(provider.tokenRequests.map(({error}) => error)).toEqual([
			...[undefined, undefined],
			...['invalid_grant', undefined, undefined],
		]);
		expect(subjectOf(1)).toBe(subjectOf(0));
		expect(subjectOf(2)).not.toBe(subjectOf(0));
	});

	test('is an error where there is no other, after one request', async () => {
		const subject = await tokenOf(clients.basic);
		await provider.revoke(subject);
		const {got} = await useExchange({subjectToken: () => subject});
		const before = provider.forms.length;
		const error = await tokenRequestErrorOf(got(`${api.url}/a`));
		expect(error).toMatchObject({status: 400, error: 'invalid_grant'});
		expect(error.message).toContain('Check the subject token');
		expect(`${JSON.stringify(error)}${inspect(error)}`).not.toContain(subject);
		expect(provider.forms).toHaveLength(before + 1);
		expect(api.requests).toHaveLength(0);
	});
});

describe('a subject token that cannot be had', () => {
	const cases: [title: string, subjectToken: unknown, message: RegExp][] = [
		[
			'no file',
			{file: 'no-such-file'},
			/The 'subjectToken' .* cannot be read from .*no-such-file \(ENOENT\)/,
		],
		['an empty file', {file: 'empty'}, /is empty: .*empty holds no token/],
		['no variable', {variable: 'NOWHERE'}, /is empty: the variable NOWHERE holds no token/],
		['a function that gives nothing', () => undefined, /is empty: what the function gives holds no token/],
		['a function that gives something else', () => ({token: 't'}), /what the function gives holds no token/],
		[
			'a function that fails',
			() => {
				throw new Error('canary of the function');
			},
			/cannot be had: its function failed/,
		],
		['a strategy without a bearer token', {rule: {strategy: 'none'}}, /shows no bearer token/],
	];
	test.for(cases)('%s', async ([, subjectToken, message], {expect}) => {
		await writeFile(join(authority.folder, 'empty'), ' \n');
		const gatepass = await useExchange({subjectToken}, {cwd: authority.folder, env: {}});
		const failure = gatepass.got(`${api.url}/a`).then(
			() => undefined,
			(error: unknown) => error,
		);
		expect(await failure).toBeInstanceOf(CredentialUnavailableError);
		expect(await failure).toMatchObject({message: expect.stringMatching(message)});
		expect(await failure).toMatchObject({message: expect.not.stringContaining('canary')});
		expect(provider.requests).toEqual([]);
		expect(api.requests).toEqual([]);
	});

	test('lets a chain go on to its next strategy', async () => {
		const {tokenEndpoint} = provider;
		const exchange = {tokenEndpoint, ...clients.basic, subjectToken: {variable: 'NOWHERE'}};
		const direct = {tokenEndpoint, ...clients.basic, audience: 'reports-api'};
		const gatepass = ended(
			await createRule(
				api.url,
				authority,
				{
					of: [
						{strategy: 'sso-token-exchange', options: exchange},
						{strategy: 'sso-client-credentials', options: direct},
					],
				},
				{strategy: 'chain', env: {}},
			),
		);
		await gatepass.got(`${api.url}/a`);
		expect(grants()).toEqual(['client_credentials']);
	});
});

test('what a server repeats of the tokens that it was sent is not shown', async () => {
	const server = ended(
		await startServer(({body}, response) =>
			answerJson(response, 400, {error: 'invalid_request', error_description: body}),
		),
	);
	const gatepass = await useExchange({
		tokenEndpoint: `${server.url}/token`,
		subjectToken: () => 'canary/of the+subject',
		actorToken: () => 'canary/of the+actor',
		parameters: {password: 'canary/in the+parameters'},
	});
	const error = await tokenRequestErrorOf(gatepass.got(`${api.url}/a`));
	expect(error.message).toContain('invalid_request (');
	expect(inspect(error) + JSON.stringify(error)).not.toMatch(/canary|archiver%20|p0st/);
});

describe('status() and forget()', () => {
	test('ask no server, nor run a function, before the first request', async () => {
		let calls = 0;
		const exchanges = [
			await useExchange({subjectToken: nested()}),
			await useExchange({
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
		expect(provider.requests).toEqual([]);
		expect(calls).toBe(0);
	});

	test('say what is missing, also in the strategy that shows the subject', async () => {
		const missing = await useExchange({subjectToken: {variable: 'NOWHERE'}}, {env: {}});
		expect(await missing.status()).toMatchObject([
			{available: false, detail: expect.stringContaining('the variable NOWHERE holds no token')},
		]);
		const wlcg = {rule: {strategy: 'wlcg-token', options: {file: join(authority.folder, 'nowhere')}}};
		const without = await useExchange({subjectToken: wlcg});
		expect(await without.status()).toMatchObject([
			{available: false, detail: expect.stringContaining('nowhere')},
		]);
	});

	test('know the token once there is one', async () => {
		const gatepass = await useExchange({subjectToken: nested()});
		await gatepass.got(`${api.url}/a`);
		const before = provider.requests.length;
		const [status] = await gatepass.status();
		expect(status).toMatchObject({available: true, detail: expect.stringContaining('token for client')});
		expect(status?.expiresAt).toBeGreaterThan(Date.now());
		expect(provider.requests).toHaveLength(before);
	});

	test('forget the tokens of all subjects', async () => {
		const tokens = [await tokenOf(clients.basic), await tokenOf(clients.secretJwt)];
		let turn = 0;
		const gatepass = await useExchange({subjectToken: () => tokens[turn++ % 2]});
		for (let request = 0; request < 4; request++) await gatepass.got(`${api.url}/${request}`);
		const before = grants().length;
		await gatepass.forget();
		for (let request = 0; request < 4; request++) await gatepass.got(`${api.url}/${request}`);
		expect(grants().slice(before)).toEqual(['token-exchange', 'token-exchange']);
	});

	test.for(['subjectToken', 'actorToken'])(
		'forget the token of the strategy in %s',
		async (option, {expect}) => {
			const token = await tokenOf(clients.basic);
			const gatepass = await useExchange({subjectToken: () => token, [option]: nested()});
			await gatepass.got(`${api.url}/a`);
			const before = grants().length;
			await gatepass.forget();
			await gatepass.got(`${api.url}/b`);
			expect(grants().slice(before)).toEqual(['client_credentials', 'token-exchange']);
		},
	);
});

describe('the conformance kit', () => {
	const secret = {clientId: 'client', clientSecret: 'canary-of-the-client'};

	test.for(['a variable', 'another strategy', 'an endpoint that is down'])('%s', async (kind, {expect}) => {
		const tokens = ended(await startTokenServer());
		const {tokenEndpoint} = tokens;
		if (kind === 'an endpoint that is down') await open.pop()?.close();
		const subjectToken =
			kind === 'another strategy'
				? {rule: {strategy: 'sso-client-credentials', options: {...secret, tokenEndpoint}}}
				: {variable: 'SUBJECT'};
		const passed = await conformance(SsoTokenExchangeStrategy, {
			options: {...secret, tokenEndpoint, subjectToken},
			env: {SUBJECT: 'canary-of-the-subject'},
			secrets: ['canary-of-the-client', 'canary-of-the-subject'],
			configuration: {tokenRequest: {retries: 0}},
		});
		expect(passed.length).toBeGreaterThanOrEqual(12);
	});
});
