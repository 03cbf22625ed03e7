/** What a token is asked for: audience, scope, resources (RFC 8707), and whatever else a server may want. */
import {decodeJwt} from 'jose';
import {afterAll, beforeAll, beforeEach, expect, test} from 'vitest';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {describeWith} from '../servers/availability.ts';
import {
	type Glewlwyd,
	glewlwyd,
	glewlwydClients,
	glewlwydResources,
	startGlewlwyd,
} from '../servers/glewlwyd.ts';
import {clients, type OidcProvider, startOidcProvider} from '../servers/oidc-provider.ts';
import {createRule, tokenRequestErrorOf} from './sso-protocol-setup.ts';

const api = 'https://127.0.0.1:9/x';
const resources = ['https://one.example.org/', 'https://two.example.org/v1?x=1'];
let authority: TestAuthority;
let provider: OidcProvider;

beforeAll(async () => {
	authority = await createTestAuthority();
});
afterAll(() => authority.close());
beforeEach(async () => {
	provider = await startOidcProvider({authority, audiences: ['reports-api', ...resources]});
	return () => provider.close();
});

/** The token of a gatepass with these options alone. */
async function tokenFor(tokenEndpoint: string, options: Record<string, unknown>): Promise<string> {
	await using gatepass = await createRule('https://127.0.0.1:9', authority, {tokenEndpoint, ...options});
	const {headers} = await gatepass.authorize(api);
	return headers.authorization?.replace('Bearer ', '') ?? '';
}

test('nothing that was not asked for is sent', async () => {
	await tokenFor(provider.tokenEndpoint, clients.basic);
	expect(provider.forms).toEqual([{grant_type: 'client_credentials'}]);
});

test('an audience with a scope', async () => {
	const options = {...clients.basic, audience: 'reports-api', scope: 'read'};
	const claims = decodeJwt(await tokenFor(provider.tokenEndpoint, options));
	expect(claims).toMatchObject({aud: 'reports-api', scope: 'read'});
	expect(provider.forms).toEqual([
		{grant_type: 'client_credentials', audience: 'reports-api', scope: 'read'},
	]);
});

test.for(resources)('the resource %s', async (resource, {expect}) => {
	const claims = decodeJwt(
		await tokenFor(provider.tokenEndpoint, {...clients.basic, resource, scope: 'write'}),
	);
	expect(claims).toMatchObject({aud: resource, scope: 'write'});
});

test('several resources are sent one by one, in their order', async () => {
	// The server sees them all, and gives a token for one at most by this grant.
	const error = await tokenRequestErrorOf(
		tokenFor(provider.tokenEndpoint, {...clients.basic, resource: resources}),
	);
	expect(error).toMatchObject({error: 'invalid_target'});
	expect(error.message).toContain("Check 'audience' and 'resource'");
	expect(provider.forms[0]?.resource).toEqual(resources);
});

test('more parameters, which cannot change what gatepass itself says', async () => {
	const parameters = {
		requested_lifetime: '60',
		'with space': 'ä&=+',
		grant_type: 'password',
		client_secret: 'another',
		scope: 'write',
	};
	const token = await tokenFor(provider.tokenEndpoint, {
		...clients.post,
		clientAuthentication: 'client_secret_post',
		parameters,
		scope: 'read',
		audience: 'reports-api',
	});
	expect(decodeJwt(token)).toMatchObject({scope: 'read'});
	expect(provider.forms).toEqual([
		{
			requested_lifetime: '60',
			'with space': 'ä&=+',
			grant_type: 'client_credentials',
			audience: 'reports-api',
			scope: 'read',
			client_id: clients.post.clientId,
			client_secret: clients.post.clientSecret,
		},
	]);
});

test('each of them makes another token', async () => {
	const variants: Record<string, unknown>[] = [
		{},
		{audience: 'reports-api'},
		{audience: 'reports-api', scope: 'read'},
		{resource: resources[0]},
		{resource: [resources[1]]},
		{parameters: {purpose: 'a'}},
		{parameters: {purpose: 'b'}},
		{tenant: 'red'},
		{tenant: 'blue'},
	];
	const cache = {url: `sqlite:${authority.folder}/variants.sqlite`};
	const tokens: string[] = [];
	for (const round of [1, 2]) {
		for (const {tenant, ...variant} of variants) {
			await using gatepass = await createRule(
				'https://127.0.0.1:9',
				authority,
				{tokenEndpoint: provider.tokenEndpoint, ...clients.basic, ...variant},
				{cache, ...(tenant !== undefined && {tenant})},
			);
			tokens.push((await gatepass.authorize(api)).headers.authorization ?? '');
		}
		// The second round finds each in the store.
		expect(new Set(tokens).size, `round ${round}`).toBe(variants.length);
		expect(provider.tokenRequests).toHaveLength(variants.length);
	}
});

describeWith(glewlwyd, 'glewlwyd', () => {
	let server: Glewlwyd;
	beforeAll(async () => {
		server = await startGlewlwyd({authority});
	});
	afterAll(() => server.close());

	test.for(glewlwydResources)('the resource %s', async (resource, {expect}) => {
		const options = {...glewlwydClients.basic, scope: 'read', resource};
		const claims = decodeJwt(await tokenFor(server.tokenEndpoint, options));
		expect(claims).toMatchObject({aud: resource, scope: 'read', client_id: glewlwydClients.basic.clientId});
	});

	test('a resource that it does not know', async () => {
		const resource = 'https://unknown.example.org/';
		const options = {...glewlwydClients.basic, scope: 'read', resource};
		const error = await tokenRequestErrorOf(tokenFor(server.tokenEndpoint, options));
		expect(error).toMatchObject({status: 400, error: 'invalid_target'});
	});
});
