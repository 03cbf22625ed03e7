/** `sso-client-credentials` against oidc-provider, and an API that verifies what it is shown. */
import {HTTPError} from 'got';
import {afterAll, beforeAll, beforeEach, describe, expect, test, vi} from 'vitest';
import {createGatepass, type Gatepass, TokenRequestError} from '../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../src/testing/authority.ts';
import {clients, type OidcProvider, startOidcProvider} from './servers/oidc-provider.ts';
import {type ProtectedApi, startProtectedApi} from './servers/protected-api.ts';

let authority: TestAuthority;
let provider: OidcProvider;
let api: ProtectedApi;
let gatepass: Gatepass | undefined;

beforeAll(async () => {
	authority = await createTestAuthority();
});
afterAll(() => authority.close());
beforeEach(async () => {
	provider = await startOidcProvider({authority, audiences: ['reports-api', 'other-api']});
	api = await startProtectedApi(provider);
	return async () => {
		vi.useRealTimers();
		await gatepass?.close();
		gatepass = undefined;
		await api.close();
		await provider.close();
	};
});

/** A gatepass with one rule, for the API; `trusted` are the servers that the authority vouches for. */
async function useRule(
	options: Readonly<Record<string, unknown>> = {},
	trusted: readonly string[] = [provider.issuer, api.url],
): Promise<Gatepass> {
	gatepass = await createGatepass({
		config: {
			cache: {url: 'memory:'},
			...(trusted.length > 0 && {trust: [{match: [...trusted], ca: authority.ca, only: true}]}),
			hostRules: [
				{
					match: api.url,
					strategy: 'sso-client-credentials',
					options: {
						...clients.basic,
						tokenEndpoint: provider.tokenEndpoint,
						audience: 'reports-api',
						...options,
					},
				},
			],
		},
	});
	return gatepass;
}

async function failureOf(request: PromiseLike<unknown>): Promise<TokenRequestError> {
	const error = await Promise.resolve(request).then(
		() => undefined,
		(failure: unknown) => failure,
	);
	expect(error).toBeInstanceOf(TokenRequestError);
	return error as TokenRequestError;
}

describe('both ways to show a client secret', () => {
	test.for([
		{method: 'client_secret_basic', client: clients.basic, usedHeader: true},
		{method: 'client_secret_post', client: clients.post, usedHeader: false},
	])('$method', async ({method, client, usedHeader}) => {
		const {got} = await useRule({...client, clientAuthentication: method, scope: 'read'});
		const answer = await got(`${api.url}/runs`).json();
		expect(answer).toEqual({path: '/runs', client: client.clientId, audience: 'reports-api'});
		expect(provider.tokenRequests).toEqual([
			{clientId: client.clientId, audience: 'reports-api', usedHeader},
		]);
	});

	test('over plain http on loopback', async () => {
		const insecure = await startOidcProvider({scheme: 'http', authority});
		const insecureApi = await startProtectedApi(insecure, {scheme: 'http'});
		try {
			gatepass = await createGatepass({
				config: {
					cache: {url: 'memory:'},
					hostRules: [
						{
							match: insecureApi.url,
							strategy: 'sso-client-credentials',
							options: {
								...clients.basic,
								tokenEndpoint: insecure.tokenEndpoint,
								audience: 'reports-api',
							},
						},
					],
				},
			});
			expect(await gatepass.got(`${insecureApi.url}/runs`).json()).toMatchObject({
				client: clients.basic.clientId,
			});
		} finally {
			await insecureApi.close();
			await insecure.close();
		}
	});
});

describe('how often a token is fetched', () => {
	test('once for many requests, at once and one after another', async () => {
		const {got} = await useRule();
		await Promise.all(Array.from({length: 8}, (_, request) => got(`${api.url}/${request}`)));
		for (let request = 8; request < 12; request++) await got(`${api.url}/${request}`);
		expect(api.judgements.map(({status}) => status)).toEqual(Array.from({length: 12}, () => 200));
		expect(provider.tokenRequests).toHaveLength(1);
	});

	test('again after its end, before the API has to refuse it', async () => {
		const {got} = await useRule();
		await got(`${api.url}/first`);
		// For all three in this process five minutes pass: the token has expired.
		vi.useFakeTimers({toFake: ['Date'], now: Date.now() + 300_000});
		await got(`${api.url}/later`);
		expect(api.judgements.map(({status}) => status)).toEqual([200, 200]);
		expect(provider.tokenRequests).toHaveLength(2);
	});

	test('again after a 401: the token is dropped, and the request, body and all, sent once more', async () => {
		const {got} = await useRule();
		await got(`${api.url}/before`);
		api.revokeShown();
		const answer = await got.post(`${api.url}/after`, {json: {run: 1}}).json();
		expect(answer).toMatchObject({path: '/after', client: clients.basic.clientId});
		expect(api.judgements.map(({path, status}) => [path, status])).toEqual([
			['/before', 200],
			['/after', 401],
			['/after', 200],
		]);
		expect(api.requests.map(({method, body}) => [method, body])).toEqual([
			['GET', ''],
			['POST', '{"run":1}'],
			['POST', '{"run":1}'],
		]);
		const [first, refused, renewed] = api.requests.map(({headers}) => headers.authorization);
		expect(refused).toBe(first);
		expect(renewed).not.toBe(first);
		// The new token is the one that stays.
		await got(`${api.url}/then`);
		expect(api.requests.at(-1)?.headers.authorization).toBe(renewed);
		expect(provider.tokenRequests).toHaveLength(2);
	});

	test('no more than once for one request: a server that refuses the new token too is believed', async () => {
		const {got} = await useRule({audience: 'other-api'});
		const error = await got(`${api.url}/x`).then(
			() => undefined,
			(failure: unknown) => failure,
		);
		expect(error).toBeInstanceOf(HTTPError);
		expect((error as HTTPError).response.statusCode).toBe(401);
		expect(api.judgements.map(({status, problem}) => [status, problem])).toEqual([
			[401, 'unexpected "aud" claim value'],
			[401, 'unexpected "aud" claim value'],
		]);
		expect(provider.tokenRequests).toHaveLength(2);
	});

	test('once more where the request asks for a fresh one', async () => {
		const {got} = await useRule();
		await got(`${api.url}/a`);
		await got(`${api.url}/b`, {context: {gatepass: {fresh: true}}});
		await got(`${api.url}/c`);
		const tokens = api.requests.map(({headers}) => headers.authorization);
		expect(tokens[1]).not.toBe(tokens[0]);
		expect(tokens[2]).toBe(tokens[1]);
		expect(provider.tokenRequests).toHaveLength(2);
	});
});

describe('what the server refuses', () => {
	test('a wrong secret is invalid_client, and the error does not repeat it', async () => {
		const wrong = 'n0t-the-s3cret';
		const {got} = await useRule({clientSecret: wrong});
		const error = await failureOf(got(`${api.url}/x`));
		expect(error).toMatchObject({code: 'ERR_GATEPASS_TOKEN_REQUEST', status: 401, error: 'invalid_client'});
		expect(error.message).toContain(provider.tokenEndpoint);
		expect(error.message).toContain('clientSecret');
		expect(`${error.stack}${JSON.stringify(error)}`).not.toContain(wrong);
		expect(api.requests).toHaveLength(0);
	});

	test('an audience that it does not know is invalid_target', async () => {
		const {got} = await useRule({audience: 'no-such-api'});
		const error = await failureOf(got(`${api.url}/x`));
		expect(error).toMatchObject({status: 400, error: 'invalid_target'});
		expect(error.message).toContain("'audience'");
		expect(api.requests).toHaveLength(0);
	});

	test('a request that fails is not remembered: the next one asks again', async () => {
		const {got} = await useRule({audience: 'no-such-api'});
		await failureOf(got(`${api.url}/x`));
		await failureOf(got(`${api.url}/x`));
		expect(provider.tokenRequests.map(({error}) => error)).toEqual(['invalid_target', 'invalid_target']);
	});
});

describe('trust', () => {
	test('the token endpoint is verified by the entry for its own host', async () => {
		const {got} = await useRule({}, [api.url]);
		const error = await failureOf(got(`${api.url}/x`));
		expect(error.message).toContain(provider.tokenEndpoint);
		expect(provider.tokenRequests).toHaveLength(0);
		expect(api.requests).toHaveLength(0);
	});

	test('the API is verified by the entry for its own host, before it gets the token', async () => {
		const {got} = await useRule({}, [provider.issuer]);
		await expect(got(`${api.url}/x`)).rejects.toMatchObject({code: 'ERR_GATEPASS_CERTIFICATE'});
		expect(api.requests).toHaveLength(0);
	});
});
