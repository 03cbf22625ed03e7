/** The conformance kit: built-in strategies pass it, broken ones do not. */
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {z} from 'zod';
import {
	type AuthRequest,
	authStrategy,
	type Conversation,
	type CredentialAtHand,
	defineStrategy,
	type Identity,
	inject,
	StrategyOptions,
} from '../../src/index.ts';
import {
	conformance,
	type MtlsServer,
	startMtlsServer,
	startTokenServer,
	type TokenServer,
} from '../../src/testing/index.ts';
import {GridCertificateStrategy} from '../../strategies/grid-certificate/index.ts';
import {KerberosStubStrategy} from '../../strategies/kerberos-stub/index.ts';
import {NoneStrategy} from '../../strategies/none/index.ts';
import {SsoClientCredentialsStrategy} from '../../strategies/sso-client-credentials/index.ts';

const options = z.object({header: z.string().default('x-api-key'), key: z.string()});

@authStrategy({name: 'api-key', options})
class ApiKeyStrategy {
	constructor(@inject(StrategyOptions) private readonly options: {header: string; key: string}) {}

	async *authenticate(request: AuthRequest): Conversation {
		request.headers.set(this.options.header, this.options.key);
		yield;
	}
}

describe('the built-in strategies pass', () => {
	let tokenServer: TokenServer;
	let mtlsServer: MtlsServer;
	beforeAll(async () => {
		[tokenServer, mtlsServer] = await Promise.all([startTokenServer(), startMtlsServer()]);
	});
	afterAll(async () => {
		await Promise.all([tokenServer.close(), mtlsServer.close()]);
	});

	test('none', async () => {
		await expect(conformance(NoneStrategy)).resolves.toHaveLength(14);
	});

	test('grid-certificate', async () => {
		await expect(
			conformance(GridCertificateStrategy, {options: {...mtlsServer.client}}),
		).resolves.toHaveLength(14);
	});

	test('sso-client-credentials', async () => {
		const {tokenEndpoint} = tokenServer;
		const passed = await conformance(SsoClientCredentialsStrategy, {
			options: {clientId: 'client', clientSecret: 'canary-of-the-client', tokenEndpoint},
		});
		expect(passed).toHaveLength(14);
		expect(tokenServer.issued).toBeGreaterThan(0);
	});

	test('sso-client-credentials whose token endpoint is down', async () => {
		const passed = await conformance(SsoClientCredentialsStrategy, {
			options: {
				clientId: 'client',
				clientSecret: 'canary-of-the-client',
				tokenEndpoint: 'http://127.0.0.1:9/token',
			},
			configuration: {tokenRequest: {retries: 0}},
		});
		expect(passed).toHaveLength(14);
	});

	test.each([{}, {preemptive: true}, {mutualAuthentication: 'optional'}])(
		'kerberos-stub with %j',
		async options => {
			await expect(conformance(KerberosStubStrategy, {options})).resolves.toHaveLength(14);
		},
	);
});

test('a strategy of a user passes, as a class and as a plain object', async () => {
	await expect(conformance(ApiKeyStrategy, {options: {key: 'canary-key'}})).resolves.toHaveLength(14);
	const plain = defineStrategy({
		name: 'plain-key',
		options,
		async *authenticate(request, {options: {header, key}}) {
			request.headers.set(header, key);
			yield;
		},
	});
	await expect(conformance(plain, {options: {key: 'canary-key'}})).resolves.toHaveLength(14);
});

describe('a broken strategy fails, and the failure names the check', () => {
	const broken = (authenticate: (request: AuthRequest) => Conversation) =>
		conformance(
			defineStrategy({name: 'broken', options: z.object({secret: z.string().optional()}), authenticate}),
			{
				options: {secret: 'canary-secret'},
			},
		);

	test('one that sends for ever', async () => {
		const failure = broken(async function* () {
			for (;;) yield;
		});
		await expect(failure).rejects.toBeInstanceOf(AggregateError);
		await expect(failure).rejects.toThrow(/does not send again for ever.*more than ten times/);
	});

	test('one that changes where the request goes', async () => {
		const failure = broken(async function* (request) {
			request.url.hostname = 'elsewhere.example.org';
			yield;
		});
		await expect(failure).rejects.toThrow(/leaves method, origin and path alone/);
	});

	test('one whose header cannot be sent', async () => {
		const failure = broken(async function* (request) {
			request.headers.set('x-key', 'two\nlines');
			yield;
		});
		await expect(failure).rejects.toThrow(/x-key has a name or value that HTTP does not allow/);
	});

	test('one that takes every body for JSON', async () => {
		const strategy = defineStrategy({
			name: 'broken',
			requiresResponseBody: true,
			async *authenticate() {
				const {body} = yield;
				JSON.parse(Buffer.from(body ?? []).toString());
			},
		});
		await expect(conformance(strategy)).rejects.toThrow(/takes a body of any kind.*SyntaxError/);
	});

	test('one that throws an error of its own, with the secret in it', async () => {
		const failure = broken(async function* () {
			yield;
			throw new Error('refused: canary-secret');
		});
		await expect(failure).rejects.toThrow(
			/its errors hold none of its options: an error shows one of the options/,
		);
	});

	test('one that keeps the state of a request', async () => {
		let requests = 0;
		const failure = broken(async function* (request) {
			requests += 1;
			request.headers.set(`x-request-${requests}`, 'yes');
			yield;
		});
		await expect(failure).rejects.toThrow(/two requests at once do not meet/);
	});

	test.each<[string, CredentialAtHand, RegExp]>([
		['another value', {header: ['x-key', 'old']}, /another header than its first leg/],
		['more than one header shows', {}, /another header than its first leg/],
		['a certificate that is not shown', {header: ['x-key', 'new'], identity: {} as Identity}, /certificate/],
	])('one that has at hand what it does not show: %s', async (_, atHand, message) => {
		const strategy = defineStrategy({
			name: 'broken',
			async *authenticate(request) {
				request.headers.set('x-key', 'new');
				yield;
			},
		});
		Object.assign(strategy.prototype, {atHand: () => atHand});
		await expect(conformance(strategy)).rejects.toThrow(message);
	});

	test('one that has at hand what it shows, and looks at every answer', async () => {
		const strategy = defineStrategy({
			name: 'broken',
			async *authenticate(request) {
				request.headers.set('x-key', 'new');
				yield;
				yield;
			},
		});
		Object.assign(strategy.prototype, {atHand: () => ({header: ['x-key', 'new']})});
		await expect(conformance(strategy)).rejects.toThrow(/sends again after a 200/);
	});

	test('something that is no strategy', async () => {
		await expect(conformance(class {} as never)).rejects.toThrow(/This is no strategy/);
	});
});
