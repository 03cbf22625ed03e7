/** Clocks that are ten minutes apart: what carries a time is refused once, then made by the server's clock. */
import {afterAll, afterEach, beforeAll, describe, expect, test, vi} from 'vitest';
import type {Gatepass} from '../../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {describeWith} from '../servers/availability.ts';
import {type BoundTokenApi, startBoundTokenApi} from '../servers/bound-token-api.ts';
import {glewlwyd, glewlwydClients, glewlwydResources, startGlewlwyd} from '../servers/glewlwyd.ts';
import {clients} from '../servers/oidc-provider.ts';
import {type SkewedOidcProvider, startSkewedOidcProvider} from '../servers/skewed-oidc-provider.ts';
import {type AuthorizationServer, createRule, makeClientKey} from './sso-protocol-setup.ts';

const minutes = 60_000;
const key = makeClientKey('clock', 'P-256');
let authority: TestAuthority;
let api: BoundTokenApi;
let gatepass: Gatepass | undefined;

beforeAll(async () => {
	authority = await createTestAuthority();
});
afterAll(() => authority.close());
afterEach(async () => {
	vi.useRealTimers();
	await gatepass?.close();
	await api.close();
});

describe.for([10 * minutes, -10 * minutes])('oidc-provider, whose clock is %i ms ahead', skew => {
	let server: SkewedOidcProvider;
	beforeAll(async () => {
		server = await startSkewedOidcProvider(skew, {authority, clientKeys: [key.jwk]});
	});
	afterAll(() => server.close());

	const useRule = async (boundTo: 'key' | 'nothing', options: Record<string, unknown>): Promise<Gatepass> => {
		api = await startBoundTokenApi({...server, boundTo, skew});
		const {tokenEndpoint} = server;
		gatepass = await createRule(api.url, authority, {tokenEndpoint, audience: 'reports-api', ...options});
		return gatepass;
	};

	test.for([
		{title: 'an assertion by a private key', options: {...clients.privateKeyJwt, privateKey: key.pkcs8}},
		{
			title: 'an assertion by a secret',
			options: {...clients.secretJwt, clientAuthentication: 'client_secret_jwt'},
		},
	])('$title: one token request is refused at most, then none', async ({options}, {expect}) => {
		// Without nbf, this server minds only those that have expired by its clock.
		const first = skew > 0 ? ['invalid_client', undefined] : [undefined];
		const {got} = await useRule('nothing', options);
		const before = await server.outcomes();
		const answer = await got(`${api.url}/first`).json();
		expect(answer).toMatchObject({status: 200});
		expect((await server.outcomes()).slice(before.length)).toEqual(first);
		// The clock is known now, and the token is used as long as the server says it is valid.
		await got(`${api.url}/second`);
		await got(`${api.url}/third`, {context: {gatepass: {fresh: true}}});
		expect((await server.outcomes()).slice(before.length)).toEqual([...first, undefined]);
		expect(api.judgements.map(({status}) => status)).toEqual([200, 200, 200]);
	});

	test('a proof: neither server refuses it for its time after the first token request', async () => {
		const {got} = await useRule('key', {...clients.basic, dpop: true});
		const before = await server.outcomes();
		const answer = await got(`${api.url}/first`).json();
		expect(answer).toMatchObject({status: 200});
		expect((await server.outcomes()).slice(before.length)).toEqual(['invalid_dpop_proof', undefined]);
		await got(`${api.url}/second`);
		await got(`${api.url}/third`, {context: {gatepass: {fresh: true}}});
		expect((await server.outcomes()).slice(before.length + 2)).toEqual([undefined]);
		expect(api.judgements.map(({status, problem}) => [status, problem])).toEqual(
			Array.from({length: 3}, () => [200, undefined]),
		);
	});

	test('a secret has no time: its first request succeeds, and the token is kept', async () => {
		const {got} = await useRule('nothing', clients.basic);
		const before = await server.outcomes();
		await got(`${api.url}/first`);
		await got(`${api.url}/second`);
		expect((await server.outcomes()).slice(before.length)).toEqual([undefined]);
		expect(api.judgements.map(({status}) => status)).toEqual([200, 200]);
	});
});

describeWith(glewlwyd, 'glewlwyd', () => {
	let server: AuthorizationServer;
	beforeAll(async () => {
		server = await startGlewlwyd({authority, clientKeys: [key.jwk]});
	});
	afterAll(() => server.close());

	/** The server is another process: shifting this one's clock sets the two apart. */
	const shiftOwnClock = (by: number): void => {
		vi.useFakeTimers({toFake: ['Date'], now: Date.now() + by});
	};

	describe.for([10 * minutes, -10 * minutes])("this process's clock is %i ms ahead", ahead => {
		test.for([
			{
				title: 'an assertion by a private key',
				boundTo: 'nothing' as const,
				// It does not look for a key that is not named.
				options: {...glewlwydClients.privateKeyJwt, privateKey: key.pkcs8, keyId: 'clock'},
			},
			{
				title: 'an assertion by a secret',
				boundTo: 'nothing' as const,
				options: {...glewlwydClients.secretJwt, clientAuthentication: 'client_secret_jwt'},
			},
			{title: 'a proof', boundTo: 'key' as const, options: {...glewlwydClients.basic, dpop: true}},
		])('$title', async ({boundTo, options}, {expect}) => {
			api = await startBoundTokenApi({...server, boundTo});
			const {tokenEndpoint} = server;
			const before = server.issued();
			gatepass = await createRule(api.url, authority, {
				tokenEndpoint,
				scope: 'read',
				resource: glewlwydResources[0],
				...options,
			});
			shiftOwnClock(ahead);
			await gatepass.got(`${api.url}/first`);
			await gatepass.got(`${api.url}/second`);
			expect(api.judgements.map(({status, problem}) => [status, problem])).toEqual([
				[200, undefined],
				[200, undefined],
			]);
			expect(server.issued()).toBe(before + 1);
		});
	});
});
