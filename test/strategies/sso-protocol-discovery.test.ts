/** Endpoints found from the issuer's metadata (OpenID Connect Discovery 1.0, RFC 8414), and metadata that cannot be used. */
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {type Gatepass, InsecureTransportError} from '../../src/index.ts';
import {type CertificateFiles, createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {answerJson, type RecordedRequest, startServer, type TestServer} from '../../src/testing/server.ts';
import {describeWith} from '../servers/availability.ts';
import {glewlwyd, glewlwydClients, startGlewlwyd} from '../servers/glewlwyd.ts';
import {clients, type OidcProviderSettings, startOidcProvider} from '../servers/oidc-provider.ts';
import {createRule, endAfterEach, tokenRequestErrorOf} from './sso-protocol-setup.ts';

const api = 'https://127.0.0.1:9/x';
const openIdPath = '/.well-known/openid-configuration';
const oauthPath = '/.well-known/oauth-authorization-server';

let authority: TestAuthority;
let certificate: CertificateFiles;
const ended = endAfterEach();

beforeAll(async () => {
	authority = await createTestAuthority();
	certificate = await authority.issue('mtls', {
		subject: 'CN=mtls client',
		hosts: ['mtls-client.example.org'],
	});
});
afterAll(() => authority.close());

async function useIssuer(
	issuer: string,
	options: Record<string, unknown> = clients.basic,
): Promise<Gatepass> {
	return ended(await createRule('https://127.0.0.1:9', authority, {issuer, ...options}));
}

describe('oidc-provider', () => {
	const start = async (settings: OidcProviderSettings = {}) =>
		ended(await startOidcProvider({authority, ...settings}));

	test.for([
		{title: 'OpenID metadata', hides: [], asked: [`GET ${openIdPath}`]},
		{
			title: 'RFC 8414 metadata where there is no OpenID metadata',
			hides: [openIdPath],
			asked: [`GET ${openIdPath}`, `GET ${oauthPath}`],
		},
	])('$title', async ({hides, asked}, {expect}) => {
		const provider = await start({hides, tokenPath: '/issue/a/token'});
		const gatepass = await useIssuer(provider.issuer);
		const {headers} = await gatepass.authorize(api);
		expect(headers.authorization).toMatch(/^Bearer .+/);
		expect(provider.requests).toEqual([...asked, 'POST /issue/a/token']);
	});

	test('is asked for its metadata once, however many tokens are fetched', async () => {
		const provider = await start();
		const gatepass = await useIssuer(provider.issuer);
		await Promise.all(Array.from({length: 8}, () => gatepass.authorize(api)));
		await gatepass.authorize(api, {fresh: true});
		await gatepass.authorize(api, {fresh: true});
		expect(provider.requests).toEqual([`GET ${openIdPath}`, ...Array.from({length: 3}, () => 'POST /token')]);
	});

	test('is the audience of an assertion', async () => {
		const provider = await start();
		const gatepass = await useIssuer(provider.issuer, {
			...clients.secretJwt,
			clientAuthentication: 'client_secret_jwt',
		});
		await gatepass.authorize(api);
		const [, payload = ''] = String(provider.forms[0]?.client_assertion).split('.');
		expect(JSON.parse(Buffer.from(payload, 'base64url').toString()).aud).toBe(provider.issuer);
	});

	test('serves a client with a certificate at the endpoints for those', async () => {
		const aliased = await start();
		const provider = await start({
			// The other server stands for the same one at the address that asks for certificates.
			metadata: {mtls_endpoint_aliases: {token_endpoint: aliased.tokenEndpoint}},
		});
		const without = await useIssuer(provider.issuer);
		await without.authorize(api);
		const withOne = await useIssuer(provider.issuer, {...clients.mtls, identity: {...certificate}});
		await withOne.authorize(api);
		expect(provider.tokenRequests.map(({clientId}) => clientId)).toEqual([clients.basic.clientId]);
		expect(aliased.tokenRequests.map(({clientId}) => clientId)).toEqual([clients.mtls.clientId]);
	});

	test('a refusal at such an endpoint names that endpoint', async () => {
		const aliased = await start();
		const provider = await start({
			metadata: {mtls_endpoint_aliases: {token_endpoint: aliased.tokenEndpoint}},
		});
		const gatepass = await useIssuer(provider.issuer, {clientId: 'nobody', identity: {...certificate}});
		const error = await tokenRequestErrorOf(gatepass.authorize(api));
		expect(error).toMatchObject({error: 'invalid_client'});
		expect(error.message).toContain(aliased.tokenEndpoint);
	});
});

describeWith(glewlwyd, 'glewlwyd', () => {
	test('an issuer with a path; its endpoints for certificates are used with one', async () => {
		const server = ended(await startGlewlwyd({authority}));
		const {issuer} = server;
		const without = await useIssuer(issuer, {...glewlwydClients.basic, scope: 'read'});
		expect((await without.authorize(api)).headers.authorization).toMatch(/^Bearer .+/);
		const options = {...glewlwydClients.mtls, identity: {...certificate}, scope: 'read'};
		const withOne = await useIssuer(issuer, options);
		expect((await withOne.authorize(api)).headers.authorization).toMatch(/^Bearer .+/);
		const elsewhere = await useIssuer(issuer, {...options, clientId: 'nobody'});
		const error = await tokenRequestErrorOf(elsewhere.authorize(api));
		expect(error.message).toContain(`${issuer}/mtls/token`);
	});
});

describe('metadata that cannot be used', () => {
	/** A server that answers both addresses with what `answer` makes of its own URL. */
	const serve = async (
		answer: (url: string, request: RecordedRequest) => {status?: number; type?: string; body: unknown},
	): Promise<TestServer> => {
		const server: TestServer = await startServer((request, response) => {
			const {status = 200, type = 'application/json', body} = answer(server.url, request);
			const text = typeof body === 'string' ? body : JSON.stringify(body);
			response.writeHead(status, {'content-type': type, ...(status === 429 && {'retry-after': '7'})});
			response.end(text);
		});
		return ended(server);
	};
	const isOpenId = ({url}: RecordedRequest): boolean => url === openIdPath;

	const cases: [
		title: string,
		answer: Parameters<typeof serve>[0],
		message: RegExp,
		details?: Readonly<Record<string, unknown>>,
	][] = [
		['HTML', () => ({type: 'text/html', body: '<p>Welcome</p>'}), /with text\/html, not JSON/, {status: 200}],
		['half a JSON', () => ({body: '{"issuer": "http'}), /JSON that is empty or broken/],
		['nothing', () => ({body: ''}), /JSON that is empty or broken/],
		[
			'that of another issuer',
			() => ({body: {issuer: 'https://other.example.org', token_endpoint: 'https://other.example.org/t'}}),
			/it is that of the issuer https:\/\/other\.example\.org\. Check 'issuer'/,
		],
		[
			'that of another issuer, although the other address has none at all',
			(_, request) =>
				isOpenId(request)
					? {body: {issuer: 'https://other.example.org'}}
					: {status: 404, type: 'text/html', body: ''},
			/it is that of the issuer https:\/\/other\.example\.org/,
		],
		['no issuer', url => ({body: {token_endpoint: `${url}/token`}}), /"issuer" property must be a string/],
		['no token endpoint', url => ({body: {issuer: url}}), /it names no token endpoint/],
		[
			'a token endpoint that is no URL',
			url => ({body: {issuer: url, token_endpoint: 'token'}}),
			/has a token_endpoint that is no URL/,
		],
		[
			'an error',
			() => ({status: 429, type: 'text/plain', body: 'later'}),
			/the server answered 429/,
			{status: 429, retryAfter: 7000},
		],
		['a redirect', () => ({status: 302, body: ''}), /the server answered 302/, {status: 302}],
	];
	test.for(cases)('%s', async ([, answer, message, details = {}], {expect}) => {
		const server = await serve(answer);
		const gatepass = await useIssuer(server.url);
		const error = await tokenRequestErrorOf(gatepass.authorize(api));
		expect(error.message).toMatch(message);
		expect(error.message).toMatch(
			/^The metadata of the issuer http:.*\(rule for https:\/\/127\.0\.0\.1:9, hostRules\[0\]\)/,
		);
		expect(error).toMatchObject(details);
		expect(server.requests.every(({method}) => method === 'GET')).toBe(true);
	});

	test('a server that is not there', async () => {
		const server = await startServer((_, response) => answerJson(response, 200, {}));
		await server.close();
		const gatepass = await useIssuer(server.url);
		const error = await tokenRequestErrorOf(gatepass.authorize(api));
		expect(error.message).toMatch(/cannot be used: .*ECONNREFUSED/);
	});

	test.for(['token_endpoint', 'revocation_endpoint', 'introspection_endpoint'])(
		'an insecure %s gets no secret',
		async (name, {expect}) => {
			const server = await serve(url => ({
				body: {issuer: url, token_endpoint: `${url}/token`, [name]: 'http://login.example.org/secret'},
			}));
			const failure = (await useIssuer(server.url)).authorize(api);
			await expect(failure).rejects.toBeInstanceOf(InsecureTransportError);
			await expect(failure).rejects.toThrow(
				`the ${name} http://login.example.org/secret, which is plain http`,
			);
			expect(server.requests.map(({method}) => method)).toEqual(['GET']);
		},
	);

	test('an insecure endpoint for certificates gets nothing, either', async () => {
		const server = await serve(url => ({
			body: {
				issuer: url,
				token_endpoint: `${url}/token`,
				mtls_endpoint_aliases: {token_endpoint: 'http://login.example.org/token'},
			},
		}));
		const failure = (await useIssuer(server.url, {clientId: 'c', identity: {...certificate}})).authorize(api);
		await expect(failure).rejects.toBeInstanceOf(InsecureTransportError);
	});

	test('is asked for again by the next request, and used once it is put right', async () => {
		const provider = ended(await startOidcProvider({authority}));
		let isUp = false;
		const server = await serve((url, {method}) => {
			if (!isUp) return {status: 503, body: 'down'};
			const issued = {access_token: 'a-token', token_type: 'Bearer', expires_in: 60};
			return {body: method === 'POST' ? issued : {issuer: url, token_endpoint: `${url}/token`}};
		});
		const gatepass = ended(
			await createRule('https://127.0.0.1:9', provider.authority, {issuer: server.url, ...clients.basic}),
		);
		await tokenRequestErrorOf(gatepass.authorize(api));
		isUp = true;
		expect((await gatepass.authorize(api)).headers).toEqual({authorization: 'Bearer a-token'});
	});
});
