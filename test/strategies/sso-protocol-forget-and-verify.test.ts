/** Revocation when a token is forgotten (RFC 7009), and introspection when a status is verified (RFC 7662). */
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import type {Gatepass} from '../../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {answerJson, startServer, type TestServer} from '../../src/testing/server.ts';
import {createWorkspace} from '../cli/command-line.ts';
import {describeWith} from '../servers/availability.ts';
import {type Glewlwyd, glewlwyd, glewlwydClients, startGlewlwyd} from '../servers/glewlwyd.ts';
import {clients, type OidcProvider, startOidcProvider} from '../servers/oidc-provider.ts';
import {startSkewedOidcProvider} from '../servers/skewed-oidc-provider.ts';
import {createRule, tokenRequestErrorOf} from './sso-protocol-setup.ts';

const api = 'https://127.0.0.1:9/x';
let authority: TestAuthority;
let gatepass: Gatepass | undefined;

beforeAll(async () => {
	authority = await createTestAuthority();
});
afterAll(() => authority.close());
beforeEach(() => async () => {
	await gatepass?.close();
	gatepass = undefined;
});

async function useIssuer(issuer: string, options: Record<string, unknown>): Promise<Gatepass> {
	gatepass = await createRule('https://127.0.0.1:9', authority, {issuer, ...options});
	return gatepass;
}

async function tokenOf(from: Gatepass): Promise<string> {
	const {headers} = await from.authorize(api);
	return headers.authorization?.replace('Bearer ', '') ?? '';
}

describe('oidc-provider, with opaque tokens', () => {
	let provider: OidcProvider;
	beforeEach(async () => {
		provider = await startOidcProvider({authority, audiences: ['reports-api']});
		return () => provider.close();
	});

	test.for([
		{method: 'client_secret_basic', client: clients.basic},
		{method: 'client_secret_post', client: clients.post},
		{method: 'client_secret_jwt', client: clients.secretJwt},
	])('forget() revokes the token, by $method', async ({method, client}, {expect}) => {
		const rule = await useIssuer(provider.issuer, {...client, clientAuthentication: method});
		const token = await tokenOf(rule);
		expect(await provider.isActive(token)).toBe(true);
		await rule.forget(api);
		expect(await provider.isActive(token)).toBe(false);
		expect(await tokenOf(rule)).not.toBe(token);
		expect(provider.tokenRequests).toHaveLength(2);
	});

	test('forget() asks for nothing where there is no token', async () => {
		const rule = await useIssuer(provider.issuer, clients.basic);
		await rule.forget();
		expect(provider.requests).toEqual([]);
	});

	test('forget() takes it well that a kind of token cannot be revoked', async () => {
		const rule = await useIssuer(provider.issuer, {...clients.basic, audience: 'reports-api'});
		const token = await tokenOf(rule);
		await rule.forget();
		expect(provider.requests.at(-1)).toBe('POST /token/revocation');
		expect(await tokenOf(rule)).not.toBe(token);
	});

	test('status() asks the server only when told to, and believes it', async () => {
		const rule = await useIssuer(provider.issuer, clients.basic);
		expect(await rule.status({verify: true})).toMatchObject([
			{available: true, detail: expect.stringContaining('no token yet')},
		]);
		expect(provider.requests).toEqual([]);
		const token = await tokenOf(rule);
		const before = provider.requests.length;
		expect(await rule.status()).toMatchObject([{available: true}]);
		expect(provider.requests).toHaveLength(before);
		const valid = await rule.status({verify: true});
		expect(valid).toMatchObject([
			{available: true, detail: expect.stringContaining('the server takes it for valid')},
		]);
		expect(JSON.stringify(valid)).not.toContain(token);
		// Somebody else revokes it.
		await provider.revoke(token);
		expect(await rule.status({verify: true})).toMatchObject([
			{available: false, detail: expect.stringContaining('the server takes it for invalid')},
		]);
		expect(await rule.status()).toMatchObject([{available: true}]);
	});

	test('a kind of token that the server does not introspect is no failure', async () => {
		const rule = await useIssuer(provider.issuer, {...clients.basic, audience: 'reports-api'});
		await tokenOf(rule);
		expect(await rule.status({verify: true})).toMatchObject([
			{available: true, detail: expect.stringContaining('the server offers no introspection')},
		]);
	});
});

test('gatepass status --verify, also of a chain', async () => {
	const provider = await startOidcProvider({authority, scheme: 'http'});
	const {issuer} = provider;
	const sso = {strategy: 'sso-client-credentials', options: {...clients.basic, issuer}};
	const workspace = await createWorkspace({
		cache: {url: 'sqlite:./tokens.sqlite'},
		hostRules: [{match: api, strategy: 'chain', options: {of: [sso]}}],
	});
	const status = async (...flags: string[]) => {
		const {code, stdout, stderr} = await workspace.run(['status', '--json', ...flags]);
		return {code, stderr, rule: JSON.parse(stdout)[0]};
	};
	try {
		const {stdout} = await workspace.run(['token', '--show', api]);
		expect(await status('--verify')).toMatchObject({
			code: 0,
			stderr: '',
			rule: {available: true, detail: expect.stringContaining('the server takes it for valid')},
		});
		await provider.revoke(stdout.trim());
		expect(await status()).toMatchObject({code: 0, rule: {available: true}});
		expect(await status('--verify')).toMatchObject({code: 1, rule: {available: false}});
	} finally {
		await workspace.close();
		await provider.close();
	}
});

describeWith(glewlwyd, 'glewlwyd', () => {
	let server: Glewlwyd;
	beforeAll(async () => {
		server = await startGlewlwyd({authority});
	});
	afterAll(() => server.close());

	test('forget() revokes the token, status() verifies it', async () => {
		const rule = await useIssuer(server.issuer, {...glewlwydClients.basic, scope: 'read'});
		const token = await tokenOf(rule);
		expect(await server.isActive(token)).toBe(true);
		expect(await rule.status({verify: true})).toMatchObject([
			{available: true, detail: expect.stringContaining('the server takes it for valid')},
		]);
		await rule.forget(api);
		expect(await server.isActive(token)).toBe(false);
		expect(await tokenOf(rule)).not.toBe(token);
	});
});

test('with clocks ten minutes apart, in a process that has asked for no token itself', async () => {
	const server = await startSkewedOidcProvider(-600_000, {authority});
	const cache = {url: `sqlite:${authority.folder}/verified.sqlite`};
	const options = {issuer: server.issuer, ...clients.secretJwt, clientAuthentication: 'client_secret_jwt'};
	const create = () => createRule('https://127.0.0.1:9', authority, options, {cache});
	try {
		gatepass = await create();
		await tokenOf(gatepass);
		await gatepass.close();
		gatepass = await create();
		expect(await gatepass.status({verify: true})).toMatchObject([
			{available: true, detail: expect.stringContaining('the server takes it for valid')},
		]);
		await gatepass.close();
		gatepass = await create();
		await gatepass.forget();
	} finally {
		await server.close();
	}
});

describe('a server that fails at it', () => {
	const secret = 'canary-of-the-client';
	const token = 'canary-of-the-token';
	let server: TestServer;
	let failWith: number;
	beforeEach(async () => {
		failWith = 500;
		server = await startServer((request, response) => {
			const {url} = server;
			const endpoint = (name: string): Record<string, string> => ({[`${name}_endpoint`]: `${url}/${name}`});
			if (request.method === 'GET') {
				const endpoints = {...endpoint('token'), ...endpoint('revocation'), ...endpoint('introspection')};
				answerJson(response, 200, {issuer: url, ...endpoints});
			} else if (request.url === '/token') {
				answerJson(response, 200, {access_token: token, token_type: 'Bearer', expires_in: 60});
			} else if (failWith === 204) {
				response.writeHead(204).end();
			} else {
				answerJson(response, failWith, {error: 'invalid_request', error_description: `${token} ${secret}`});
			}
		});
		return () => server.close();
	});

	test('forget() drops the token all the same, and says what went wrong', async () => {
		const rule = await useIssuer(server.url, {clientId: 'c', clientSecret: secret});
		await tokenOf(rule);
		failWith = 400;
		const error = await tokenRequestErrorOf(rule.forget());
		expect(error.message).toContain(`The revocation endpoint ${server.url}/revocation`);
		expect(error.message).toContain('invalid_request');
		expect(`${error.message} ${JSON.stringify(error)}`).not.toContain('canary');
		await tokenOf(rule);
		expect(server.requests.filter(({url}) => url === '/token')).toHaveLength(2);
	});

	test('forget() takes 204 for done, and 200 with an error in its body for none', async () => {
		const rule = await useIssuer(server.url, {clientId: 'c', clientSecret: secret});
		await tokenOf(rule);
		failWith = 204;
		await rule.forget();
		expect(server.requests.at(-1)?.url).toBe('/revocation');
		await tokenOf(rule);
		failWith = 200;
		expect((await tokenRequestErrorOf(rule.forget())).message).toContain('refused: invalid_request');
	});

	test.for([400, 302, 200])('status() says so at %i', async (status, {expect}) => {
		const rule = await useIssuer(server.url, {clientId: 'c', clientSecret: secret});
		await tokenOf(rule);
		failWith = status;
		const [verified] = await rule.status({verify: true});
		expect(verified?.available).toBe(false);
		expect(verified?.detail).toContain(`The introspection endpoint ${server.url}/introspection`);
		expect(verified?.detail).not.toContain('canary');
	});
});
