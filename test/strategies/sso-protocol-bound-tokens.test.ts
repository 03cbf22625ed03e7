/** Tokens that are bound to a key (RFC 9449) or to a client certificate (RFC 8705), against APIs that check it. */
import {copyFile} from 'node:fs/promises';
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import {join} from 'node:path';
import {PassThrough} from 'node:stream';
import {setTimeout as delay} from 'node:timers/promises';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import type {Gatepass} from '../../src/index.ts';
import {type CertificateFiles, createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {answerJson, startServer} from '../../src/testing/server.ts';
import {describeWith} from '../servers/availability.ts';
import {
	type BoundTokenApi,
	type BoundTokenApiSettings,
	startBoundTokenApi,
} from '../servers/bound-token-api.ts';
import {startOidcProvider} from '../servers/oidc-provider.ts';
import {
	type AuthorizationServer,
	createRule,
	endAfterEach,
	serverKinds,
	tokenRequestErrorOf,
} from './sso-protocol-setup.ts';

let authority: TestAuthority;
let certificate: CertificateFiles;
let otherCertificate: CertificateFiles;
const ended = endAfterEach();

beforeAll(async () => {
	authority = await createTestAuthority();
	certificate = await authority.issue('mtls', {
		subject: 'CN=mtls client',
		hosts: ['mtls-client.example.org'],
	});
	otherCertificate = await authority.issue('other', {subject: 'CN=other', hosts: ['other.example.org']});
});
afterAll(() => authority.close());

for (const {name, needs, clients, target, start} of serverKinds) {
	describeWith(needs, name, () => {
		const servers = new Map<boolean, AuthorizationServer>();
		beforeAll(async () => {
			for (const demandsNonce of [false, true]) {
				servers.set(demandsNonce, await start({authority, demandsNonce}));
			}
		});
		afterAll(async () => {
			for (const server of servers.values()) await server.close();
		});
		const serverThat = (demandsNonce: boolean): AuthorizationServer =>
			servers.get(demandsNonce) as AuthorizationServer;

		const startApi = async (
			server: AuthorizationServer,
			settings: Omit<BoundTokenApiSettings, 'issuer' | 'jwks' | 'authority'>,
		): Promise<BoundTokenApi> => ended(await startBoundTokenApi({...server, ...settings}));
		const useRule = async (
			api: {url: string},
			{tokenEndpoint}: AuthorizationServer,
			options: Record<string, unknown>,
			more?: Record<string, unknown>,
		): Promise<Gatepass> =>
			ended(await createRule(api.url, authority, {tokenEndpoint, ...target, ...options}, more));

		describe('bound to a key', () => {
			test.for([
				{authorizationServer: false, resourceServer: false},
				{authorizationServer: false, resourceServer: true},
				{authorizationServer: true, resourceServer: false},
				{authorizationServer: true, resourceServer: true},
			])(
				'nonces of the authorization server: $authorizationServer, of the API: $resourceServer',
				async ({authorizationServer, resourceServer}, {expect}) => {
					const server = serverThat(authorizationServer);
					const api = await startApi(server, {boundTo: 'key', demandsNonce: resourceServer});
					const {got} = await useRule(api, server, {...clients.basic, dpop: true});
					const before = server.issued();
					await got(`${api.url}/first?page=1#top`);
					await got.post(`${api.url}/second`, {json: {run: 1}});
					await got.put(`${api.url}/third%20one`);
					// A nonce is asked for once; then every proof has it.
					expect(api.judgements.map(({method, path, status}) => [method, path, status])).toEqual([
						...(resourceServer ? [['GET', '/first?page=1', 401]] : []),
						['GET', '/first?page=1', 200],
						['POST', '/second', 200],
						['PUT', '/third%20one', 200],
					]);
					const proofs = api.judgements.map(({proof}) => proof?.jti);
					expect(new Set(proofs).size).toBe(api.judgements.length);
					expect(server.issued()).toBe(before + 1);
				},
			);

			test('a nonce that changes is taken up, with the body sent again', async () => {
				const server = serverThat(true);
				const api = await startApi(server, {boundTo: 'key', demandsNonce: true});
				const {got} = await useRule(api, server, {...clients.basic, dpop: true});
				const before = server.issued();
				await got(`${api.url}/a`);
				api.changeNonce();
				await got.post(`${api.url}/b`, {json: {run: 1}});
				expect(api.judgements.map(({path, status}) => [path, status])).toEqual([
					['/a', 401],
					['/a', 200],
					['/b', 401],
					['/b', 200],
				]);
				expect(api.requests.slice(2).map(({body}) => body)).toEqual(['{"run":1}', '{"run":1}']);
				// To want a nonce is not to refuse the token.
				expect(server.issued()).toBe(before + 1);
			});

			test('many requests at once have a proof each', async () => {
				const server = serverThat(false);
				const api = await startApi(server, {boundTo: 'key'});
				const {got} = await useRule(api, server, {...clients.basic, dpop: true});
				await Promise.all(Array.from({length: 20}, (_, request) => got(`${api.url}/${request}`)));
				expect(api.judgements.map(({status}) => status)).toEqual(Array.from({length: 20}, () => 200));
			});

			test('a token that was revoked is replaced once, by one for the same key', async () => {
				const server = serverThat(true);
				const api = await startApi(server, {boundTo: 'key', demandsNonce: true});
				const {got} = await useRule(api, server, {...clients.basic, dpop: true});
				await got(`${api.url}/a`);
				api.revokeShown();
				await got(`${api.url}/b`);
				expect(api.judgements.slice(2).map(({status, problem}) => [status, problem])).toEqual([
					[401, 'the token is revoked'],
					[200, undefined],
				]);
				const [first, , , last] = api.requests.map(({headers}) => headers.authorization);
				expect(last).not.toBe(first);
				expect(api.judgements.at(-1)?.token?.cnf).toEqual(api.judgements[1]?.token?.cnf);
			});

			test('what cannot be sent again is refused once, and the nonce is known for the next', async () => {
				const server = serverThat(false);
				const api = await startApi(server, {boundTo: 'key', demandsNonce: true});
				const {got} = await useRule(api, server, {...clients.basic, dpop: true});
				const before = server.issued();
				const body = new PassThrough();
				body.end('run 1');
				const refused = await got.post(`${api.url}/stream`, {body, throwHttpErrors: false});
				expect(refused.statusCode).toBe(401);
				await got(`${api.url}/next`);
				expect(api.judgements.map(({path, status}) => [path, status])).toEqual([
					['/stream', 401],
					['/next', 200],
				]);
				expect(server.issued()).toBe(before + 1);
			});

			test('neither token nor proof follows a redirect; a hop with a rule gets its own', async () => {
				const server = serverThat(false);
				const stranger = ended(
					await startServer((_, response) => answerJson(response, 200, {}), undefined, 'http'),
				);
				const api = await startApi(server, {
					boundTo: 'key',
					redirects: {'/away': `${stranger.url}/there`, '/inside': '/there'},
				});
				const {got} = await useRule(api, server, {...clients.basic, dpop: true});
				await got.post(`${api.url}/inside`, {json: {run: 1}});
				await got(`${api.url}/away`);
				expect(api.judgements.map(({method, path, status}) => [method, path, status])).toEqual([
					['POST', '/inside', 307],
					['POST', '/there', 200],
					['GET', '/away', 307],
				]);
				const [request] = stranger.requests;
				expect(stranger.requests).toHaveLength(1);
				expect(request?.headers).not.toHaveProperty('authorization');
				expect(request?.headers).not.toHaveProperty('dpop');
			});

			test('another process, whose key is another, takes no such token from a store that both have', async () => {
				const server = serverThat(false);
				const api = await startApi(server, {boundTo: 'key'});
				const cache = {url: `sqlite:${join(authority.folder, `${name}.sqlite`)}`};
				const before = server.issued();
				// Each gatepass makes a key of its own, as each process does.
				for (const path of ['/one', '/other']) {
					const gatepass = await createRule(
						api.url,
						authority,
						{tokenEndpoint: server.tokenEndpoint, ...target, ...clients.basic, dpop: true},
						{cache},
					);
					await gatepass.got(api.url + path);
					await gatepass.close();
				}
				expect(api.judgements.map(({status}) => status)).toEqual([200, 200]);
				const [one, other] = api.judgements.map(({token}) => token?.cnf);
				expect(other).not.toEqual(one);
				expect(server.issued()).toBe(before + 2);
			});
		});

		describe('bound to a certificate', () => {
			const identityOptions = (server: AuthorizationServer): Record<string, unknown> => ({
				...clients.mtls,
				issuer: server.issuer,
				tokenEndpoint: undefined,
				identity: {...certificate},
			});

			test('the request shows that same certificate', async () => {
				const server = serverThat(false);
				const api = await startApi(server, {boundTo: 'certificate'});
				const {got} = await useRule(api, server, {...identityOptions(server), certificateBound: true});
				const before = server.issued();
				await got(`${api.url}/a`);
				await got.post(`${api.url}/b`, {json: {}});
				expect(api.judgements.map(({status, problem}) => [status, problem])).toEqual([
					[200, undefined],
					[200, undefined],
				]);
				expect(server.issued()).toBe(before + 1);
			});

			test('without certificateBound the certificate is for the authorization server alone', async () => {
				const server = serverThat(false);
				const api = await startApi(server, {boundTo: 'certificate'});
				const {got} = await useRule(api, server, identityOptions(server));
				const {statusCode} = await got(`${api.url}/a`, {throwHttpErrors: false});
				expect(statusCode).toBe(401);
				expect(api.judgements[0]?.problem).toBe('the certificate is not that of the token');
			});

			test('authorize() gives the certificate along, for other clients', async () => {
				const server = serverThat(false);
				const api = await startApi(server, {boundTo: 'certificate'});
				const gatepass = await useRule(api, server, {...identityOptions(server), certificateBound: true});
				const {headers, tls} = await gatepass.authorize(`${api.url}/a`);
				expect(headers.authorization).toMatch(/^Bearer /);
				expect(tls?.cert).toContain('BEGIN CERTIFICATE');
			});
		});
	});
}

describe('an authorization server that does not do what was asked', () => {
	const cases = [
		{
			title: 'a bearer token where one bound to a key was asked for',
			options: {dpop: true},
			tokenType: 'Bearer',
			message: /answered with a token that is not bound to the key of 'dpop'/,
		},
		{
			title: 'a bound token where none was asked for',
			options: {},
			tokenType: 'DPoP',
			message: /answered with a token bound to a key, without 'dpop'/,
		},
	];
	test.for(cases)('$title', async ({options, tokenType, message}, {expect}) => {
		const server = ended(
			await startServer((_, response) =>
				answerJson(response, 200, {access_token: 'canary-token', token_type: tokenType, expires_in: 60}),
			),
		);
		const gatepass = ended(
			await createRule('https://127.0.0.1:9', authority, {
				clientId: 'c',
				clientSecret: 's',
				tokenEndpoint: `${server.url}/token`,
				...options,
			}),
		);
		const error = await tokenRequestErrorOf(gatepass.authorize('https://127.0.0.1:9/x'));
		expect(error.message).toMatch(message);
		expect(error.message).not.toContain('canary-token');
	});

	test.for([
		{title: 'in the body', body: {error: 'use_dpop_nonce'}, type: 'application/json'},
		{title: 'in a challenge alone', body: 'no', type: 'text/plain'},
	])('a nonce for ever, demanded $title, ends after the second try', async ({body, type}, {expect}) => {
		let nonces = 0;
		const server = createServer((request, response) => {
			request.resume();
			nonces += 1;
			response.writeHead(401, {
				'content-type': type,
				'dpop-nonce': `nonce-${nonces}`,
				'www-authenticate': 'DPoP error="use_dpop_nonce", error_description="another one"',
			});
			response.end(typeof body === 'string' ? body : JSON.stringify(body));
		});
		await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
		ended({
			close: () => {
				server.closeAllConnections();
				return new Promise(resolve => server.close(resolve));
			},
		});
		const gatepass = ended(
			await createRule('https://127.0.0.1:9', authority, {
				clientId: 'c',
				clientSecret: 's',
				tokenEndpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
				dpop: true,
			}),
		);
		const error = await tokenRequestErrorOf(gatepass.authorize('https://127.0.0.1:9/x'));
		expect(error).toMatchObject({status: 401, error: 'use_dpop_nonce'});
		expect(nonces).toBe(2);
	});
});

test('a certificate that is renewed in its place gets a token of its own, without a restart', async () => {
	const provider = ended(await startOidcProvider({authority}));
	const api = ended(await startBoundTokenApi({...provider, boundTo: 'certificate'}));
	const identity = {
		certificate: join(authority.folder, 'in-place.pem'),
		key: join(authority.folder, 'in-place.key'),
	};
	const put = async (files: CertificateFiles): Promise<void> => {
		await copyFile(files.certificate, identity.certificate);
		await copyFile(files.key, identity.key);
	};
	await put(certificate);
	const {got} = ended(
		await createRule(api.url, authority, {
			clientId: 'mtls',
			issuer: provider.issuer,
			audience: 'reports-api',
			certificateBound: true,
			identity,
		}),
	);
	await got(`${api.url}/x`);
	await put(await authority.issue('next', {subject: 'CN=mtls client'}));
	await delay(1000);
	await got(`${api.url}/x`);
	await got(`${api.url}/x`);
	expect(api.judgements.map(({status}) => status)).toEqual([200, 200, 200]);
	expect(provider.tokenRequests).toHaveLength(2);
});

test('a certificate that was renewed gets a token of its own', async () => {
	const provider = ended(await startOidcProvider({authority}));
	const api = ended(await startBoundTokenApi({...provider, boundTo: 'certificate'}));
	const options = {
		clientId: 'mtls',
		issuer: provider.issuer,
		audience: 'reports-api',
		certificateBound: true,
	};
	const cache = {url: `sqlite:${join(authority.folder, 'renewed.sqlite')}`};
	const renewed = await authority.issue('renewed', {subject: 'CN=mtls client'});
	for (const identity of [certificate, renewed, certificate]) {
		const gatepass = await createRule(api.url, authority, {...options, identity: {...identity}}, {cache});
		await gatepass.got(`${api.url}/x`);
		await gatepass.close();
	}
	// The third is the first's again, from the store.
	expect(api.judgements.map(({status}) => status)).toEqual([200, 200, 200]);
	expect(provider.tokenRequests).toHaveLength(2);
	expect(otherCertificate.certificate).not.toBe(certificate.certificate);
});
