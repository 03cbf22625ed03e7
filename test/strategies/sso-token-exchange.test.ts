/** `sso-token-exchange` (RFC 8693) against oidc-provider, and an API that verifies what it is shown. */
import {readFile, writeFile} from 'node:fs/promises';
import {createServer} from 'node:https';
import {join} from 'node:path';
import {inspect} from 'node:util';
import {decodeJwt} from 'jose';
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {CredentialUnavailableError} from '../../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {conformance} from '../../src/testing/conformance.ts';
import {answerJson, startServer} from '../../src/testing/server.ts';
import {startTokenServer} from '../../src/testing/token-server.ts';
import {SsoTokenExchangeStrategy} from '../../strategies/sso-token-exchange/index.ts';
import {clients} from '../servers/oidc-provider.ts';
import {createRule, endAfterEach, tokenRequestErrorOf} from './sso-protocol-setup.ts';
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
		const file = join(setup.authority.folder, 'subject');
		await writeFile(file, `\n${await setup.tokenOf(clients.basic)}\n`);
		const {got} = await setup.useExchange({subjectToken: {file: 'subject'}}, {cwd: setup.authority.folder});
		expect(await got(`${setup.api.url}/a`).json()).toMatchObject(seen(clients.basic.clientId));
		await writeFile(file, await setup.tokenOf(clients.secretJwt));
		expect(await got(`${setup.api.url}/b`).json()).toMatchObject(seen(clients.secretJwt.clientId));
	});

	test('from a variable', async () => {
		const {got} = await setup.useExchange(
			{subjectToken: {variable: 'SUBJECT'}},
			{env: {SUBJECT: await setup.tokenOf(clients.basic)}},
		);
		expect(await got(`${setup.api.url}/a`).json()).toMatchObject(seen(clients.basic.clientId));
	});

	test('from a function', async () => {
		const token = await setup.tokenOf(clients.basic);
		const {got} = await setup.useExchange({subjectToken: async () => token});
		expect(await got(`${setup.api.url}/a`).json()).toMatchObject(seen(clients.basic.clientId));
	});

	test('from another strategy', async () => {
		const {got} = await setup.useExchange({subjectToken: setup.nested()});
		expect(await got(`${setup.api.url}/a`).json()).toMatchObject(seen(clients.basic.clientId));
		await got(`${setup.api.url}/b`);
		expect(setup.grants()).toEqual(['client_credentials', 'token-exchange']);
	});

	test('of another strategy that exchanges itself', async () => {
		const {rule} = setup.nested();
		const inner = {
			strategy: 'sso-token-exchange',
			options: {
				tokenEndpoint: setup.provider.tokenEndpoint,
				...clients.basic,
				audience: 'reports-api',
				subjectToken: {rule},
			},
		};
		const {got} = await setup.useExchange({subjectToken: {rule: inner}});
		expect(await got(`${setup.api.url}/a`).json()).toMatchObject(seen(clients.basic.clientId));
		expect(setup.grants()).toEqual(['client_credentials', 'token-exchange', 'token-exchange']);
	});
});

describe('what the server is told', () => {
	test('impersonation: the subject alone, with the usual type', async () => {
		const subject = await setup.tokenOf(clients.basic);
		const {got} = await setup.useExchange({subjectToken: () => subject});
		await got(`${setup.api.url}/a`);
		expect(setup.provider.forms.at(-1)).toEqual({
			grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
			subject_token: subject,
			subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
			audience: 'archive',
			client_id: clients.post.clientId,
			client_secret: clients.post.clientSecret,
		});
		expect(setup.api.judgements[0]?.token).not.toHaveProperty('act');
	});

	test('delegation: who acts, too', async () => {
		const [subject, actor] = [await setup.tokenOf(clients.basic), await setup.tokenOf(clients.post)];
		const {got} = await setup.useExchange({subjectToken: () => subject, actorToken: () => actor});
		await got(`${setup.api.url}/a`);
		expect(setup.api.judgements[0]?.token).toMatchObject({
			exchanged_sub: clients.basic.clientId,
			act: {sub: clients.post.clientId},
		});
		expect(setup.provider.forms.at(-1)).toMatchObject({
			actor_token: actor,
			actor_token_type: 'urn:ietf:params:oauth:token-type:access_token',
		});
	});

	test('types, scope and several resources', async () => {
		const jwt = 'urn:ietf:params:oauth:token-type:jwt';
		const resource = ['https://one.example.org/', 'https://two.example.org/'];
		const subject = await setup.tokenOf(clients.basic, {audience: 'reports-api'});
		expect(decodeJwt(subject)).toMatchObject({sub: clients.basic.clientId});
		const {got} = await setup.useExchange({
			subjectToken: () => subject,
			subjectTokenType: jwt,
			requestedTokenType: jwt,
			audience: undefined,
			resource,
			scope: 'read',
		});
		// The server calls it no access token; whoever asked for the type wants to show it all the same.
		await got(`${setup.api.url}/a`);
		expect(setup.api.judgements[0]?.token).toMatchObject({aud: resource[0], scope: 'read'});
		expect(setup.provider.forms.at(-1)).toMatchObject({
			subject_token_type: jwt,
			requested_token_type: jwt,
			resource,
			scope: 'read',
		});
	});

	test('by a client without a secret', async () => {
		const subject = await setup.tokenOf(clients.basic);
		const {got} = await setup.useExchange({
			...clients.public,
			clientSecret: undefined,
			clientAuthentication: 'none',
			subjectToken: () => subject,
		});
		await got(`${setup.api.url}/a`);
		expect(setup.api.judgements[0]?.token).toMatchObject({client_id: clients.public.clientId});
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
		await writeFile(join(setup.authority.folder, 'empty'), ' \n');
		const gatepass = await setup.useExchange({subjectToken}, {cwd: setup.authority.folder, env: {}});
		const failure = gatepass.got(`${setup.api.url}/a`).then(
			() => undefined,
			(error: unknown) => error,
		);
		expect(await failure).toBeInstanceOf(CredentialUnavailableError);
		expect(await failure).toMatchObject({message: expect.stringMatching(message)});
		expect(await failure).toMatchObject({message: expect.not.stringContaining('canary')});
		expect(setup.provider.requests).toEqual([]);
		expect(setup.api.requests).toEqual([]);
	});

	test('lets a chain go on to its next strategy', async () => {
		const {tokenEndpoint} = setup.provider;
		const exchange = {tokenEndpoint, ...clients.basic, subjectToken: {variable: 'NOWHERE'}};
		const direct = {tokenEndpoint, ...clients.basic, audience: 'reports-api'};
		const gatepass = setup.ended(
			await createRule(
				setup.api.url,
				setup.authority,
				{
					of: [
						{strategy: 'sso-token-exchange', options: exchange},
						{strategy: 'sso-client-credentials', options: direct},
					],
				},
				{strategy: 'chain', env: {}},
			),
		);
		await gatepass.got(`${setup.api.url}/a`);
		expect(setup.grants()).toEqual(['client_credentials']);
	});
});

test('what a server repeats of the tokens that it was sent is not shown', async () => {
	const server = setup.ended(
		await startServer(({body}, response) =>
			answerJson(response, 400, {error: 'invalid_request', error_description: body}),
		),
	);
	const gatepass = await setup.useExchange({
		tokenEndpoint: `${server.url}/token`,
		subjectToken: () => 'canary/of the+subject',
		actorToken: () => 'canary/of the+actor',
		parameters: {password: 'canary/in the+parameters'},
	});
	const error = await tokenRequestErrorOf(gatepass.got(`${setup.api.url}/a`));
	expect(error.message).toContain('invalid_request (');
	expect(inspect(error) + JSON.stringify(error)).not.toMatch(/canary|archiver%20|p0st/);
});

describe('the conformance kit', () => {
	const secret = {clientId: 'client', clientSecret: 'canary-of-the-client'};

	test.for(['a variable', 'another strategy', 'an endpoint that is down'])('%s', async (kind, {expect}) => {
		const server = await startTokenServer();
		const {tokenEndpoint} = server;
		if (kind === 'an endpoint that is down') await server.close();
		else ended(server);
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

test.each([
	['sso-token-exchange', 'lab', '/auth/realms/lab/protocol/openid-connect/token'],
	['sso-token-exchange', undefined, '/auth/realms/cern/protocol/openid-connect/token'],
	['sso-client-credentials', 'lab', '/auth/realms/lab/api-access/token'],
])('%s asks a Keycloak server, realm %s, at %s', async (strategy, realm, path) => {
	const files = await authority.issue('keycloak', {subject: 'CN=keycloak', hosts: ['127.0.0.1']});
	const [cert, key] = await Promise.all([files.certificate, files.key].map(file => readFile(file)));
	const server = ended(
		await startServer(
			(_, response) =>
				answerJson(response, 200, {
					access_token: 'fetched',
					token_type: 'Bearer',
					issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
				}),
			createServer({cert, key}),
			'https',
		),
	);
	const options = {
		...{clientId: 'me', clientSecret: 'abc', server: new URL(server.url).host},
		...(realm !== undefined && {realm}),
		...(strategy === 'sso-token-exchange' && {subjectToken: () => 'of the subject'}),
	};
	const gatepass = ended(await createRule('https://api.example.org', authority, options, {strategy}));
	const {headers} = await gatepass.authorize('https://api.example.org');
	expect(headers.authorization).toBe('Bearer fetched');
	expect(server.requests).toMatchObject([{url: path, body: expect.stringContaining('client_secret=abc')}]);
});
