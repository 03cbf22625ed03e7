/** `chain`: the first strategy with a credential serves, and the others say why they did not. */
import {afterEach, expect, test} from 'vitest';
import {
	ConfigurationError,
	CredentialUnavailableError,
	createGatepass,
	type Gatepass,
	TokenRequestError,
} from '../../src/index.ts';
import {conformance, startNegotiateServer} from '../../src/testing/index.ts';
import {ChainStrategy} from '../../strategies/chain/index.ts';

let gatepass: Gatepass | undefined;
afterEach(async () => gatepass?.close());

const url = 'https://api.example.org/';
const missing = {strategy: 'wlcg-token', options: {file: 'missing'}};

async function open(of: unknown[], match = url): Promise<Gatepass> {
	gatepass = await createGatepass({
		config: {cache: {url: 'memory:'}, hostRules: [{match, strategy: 'chain', options: {of}}]},
		env: {},
	});
	return gatepass;
}

test('a strategy without a credential is passed over, and explain says why', async () => {
	const opened = await open([missing, {strategy: 'static-token', options: {token: 'second'}}]);
	expect(opened.explain(url).notes).toEqual(['wlcg-token: not tried yet', 'static-token: not tried yet']);
	await expect(opened.authorize(url)).resolves.toEqual({headers: {authorization: 'Bearer second'}});
	expect(opened.explain(url).notes).toEqual([
		expect.stringMatching(/^wlcg-token: passed over: .*missing.*ENOENT/),
		'static-token: serves',
	]);
	expect((await opened.status())[0]).toMatchObject({
		available: true,
		detail: 'static-token: a bearer token from the configuration',
		warnings: [expect.stringContaining('wlcg-token is passed over')],
	});
});

test('where none has a credential, the error names each reason', async () => {
	const opened = await open([missing, {strategy: 'grid-certificate', options: {directory: '/nonexistent'}}]);
	const failure = opened.authorize(url);
	await expect(failure).rejects.toBeInstanceOf(CredentialUnavailableError);
	await expect(failure).rejects.toThrow(
		/wlcg-token: .*missing[\s\S]*grid-certificate: .*There is no folder \/nonexistent/,
	);
	expect((await opened.status())[0]).toMatchObject({available: false});
});

test('a failure of another kind ends the chain: the next strategy is no remedy for it', async () => {
	const opened = await open([
		{
			strategy: 'sso-client-credentials',
			options: {clientId: 'a', clientSecret: 'b', tokenEndpoint: 'http://127.0.0.1:9/'},
		},
		{strategy: 'static-token', options: {token: 'second'}},
	]);
	await expect(opened.authorize(url)).rejects.toBeInstanceOf(TokenRequestError);
});

test('a chosen strategy of several legs holds its whole conversation', async () => {
	const server = await startNegotiateServer();
	const opened = await open([missing, {strategy: 'kerberos-stub'}], server.url);
	await expect(opened.got(server.url).json()).resolves.toMatchObject({principal: 'developer@STUB.INVALID'});
	expect(server.requests).toHaveLength(2);
	await server.close();
});

test('mistakes inside are reported with their place', async () => {
	const failure = await open([
		{strategy: 'static-token', options: {tokn: 'x'}},
		{strategy: 'kerberoz'},
		{},
	]).catch(error => error);
	expect(failure).toBeInstanceOf(ConfigurationError);
	expect(failure.problems.map(({path}: {path: string}) => path)).toContain(
		'hostRules[0].options.of[2].strategy',
	);
	const inner = await open([{strategy: 'static-token', options: {tokn: 'x'}}, {strategy: 'kerberoz'}]).catch(
		error => error,
	);
	const paths = inner.problems.map(({path}: {path: string}) => path);
	expect(paths).toContain('hostRules[0].options.of[0].options.tokn');
	expect(paths).toContain('hostRules[0].options.of[1].strategy');
});

test('options inside get their defaults', async () => {
	const server = await startNegotiateServer({proof: 'none'});
	const opened = await open([{strategy: 'kerberos-stub'}], server.url);
	// `mutualAuthentication: required` is the default.
	await expect(opened.got(server.url)).rejects.toThrow(/did not prove its identity/);
	await server.close();
});

test('the conformance kit passes', async () => {
	await expect(
		conformance(ChainStrategy, {
			options: {of: [missing, {strategy: 'static-token', options: {token: 'canary-token'}}]},
		}),
	).resolves.toHaveLength(12);
	await expect(conformance(ChainStrategy, {options: {of: [missing]}})).resolves.toHaveLength(12);
});
