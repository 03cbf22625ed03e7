/** `chain`: the first strategy with a credential serves, and the others say why they did not. */
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, expect, test} from 'vitest';
import {
	CertificateError,
	ConfigurationError,
	CredentialUnavailableError,
	createGatepass,
	type Gatepass,
	TokenRequestError,
} from '../../src/index.ts';
import {conformance, startNegotiateServer} from '../../src/testing/index.ts';
import {answerJson, startServer} from '../../src/testing/server.ts';
import {ChainStrategy} from '../../strategies/chain/index.ts';

let gatepass: Gatepass | undefined;
afterEach(async () => gatepass?.close());

const url = 'https://api.example.org/';
const missing = {strategy: 'wlcg-token', options: {file: 'missing'}};

async function open(of: unknown[], match = url, more: object = {}): Promise<Gatepass> {
	gatepass = await createGatepass({
		config: {cache: {url: 'memory:'}, hostRules: [{match, strategy: 'chain', options: {of, ...more}}]},
		env: {},
	});
	return gatepass;
}

test('a strategy without a credential is passed over, and explain says why', async () => {
	const opened = await open([missing, {strategy: 'static-token', options: {token: 'second'}}]);
	expect(opened.explain(url).notes).toEqual(['wlcg-token: not tried yet', 'static-token: not tried yet']);
	await expect(opened.authorize(url)).resolves.toMatchObject({headers: {authorization: 'Bearer second'}});
	expect(opened.explain(url).notes).toEqual([
		expect.stringMatching(/^wlcg-token: passed over, as it is not available: .*missing.*ENOENT/),
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
	expect(opened.explain(url).notes).toEqual([
		expect.stringMatching(/^sso-client-credentials: failed, and the chain stopped there: .*127\.0\.0\.1:9/),
		'static-token: not tried yet',
	]);
});

test('a failure of a program ends the chain, a program that is not there does not', async () => {
	const command = (...words: string[]) => ({strategy: 'command', options: {command: words}});
	const second = {strategy: 'static-token', options: {token: 'second'}};
	const opened = await open([command('no-such-program'), command('/bin/false'), second]);
	await expect(opened.authorize(url)).rejects.toBeInstanceOf(TokenRequestError);
	expect(opened.explain(url).notes).toEqual([
		expect.stringMatching(/^command: passed over, as it is not available: .*no-such-program .* is not there/),
		expect.stringMatching(/^command: failed, and the chain stopped there: .*\/bin\/false .* ended with 1/),
		'static-token: not tried yet',
	]);
	await opened.close();
	const without = await open([command('no-such-program'), second, command('/bin/false')]);
	await without.authorize(url);
	expect(without.explain(url).notes?.slice(1)).toEqual([
		'static-token: serves',
		'command: not needed: static-token serves',
	]);
	expect((await without.status())[0]).toMatchObject({
		detail: 'static-token: a bearer token from the configuration',
		warnings: ['command is passed over, as it is not available: there is no program no-such-program'],
		notes: expect.arrayContaining(['At the last request, static-token: serves']),
	});
});

test('told otherwise, it goes on after a failure, and says so', async () => {
	const failing = {strategy: 'command', options: {command: ['/bin/false']}};
	const second = {strategy: 'static-token', options: {token: 'second'}};
	const opened = await open([failing, second], url, {goOnAfter: 'failure'});
	await expect(opened.authorize(url)).resolves.toMatchObject({headers: {authorization: 'Bearer second'}});
	expect(opened.explain(url).notes).toEqual([
		expect.stringMatching(/^command: passed over, as it failed: .* ended with 1/),
		'static-token: serves',
	]);
	await opened.close();
	const none = await open([failing, missing], url, {goOnAfter: 'failure'});
	const failure = await none.authorize(url).catch(error => error);
	expect(failure).toBeInstanceOf(CredentialUnavailableError);
	expect(failure.message).toMatch(/ {2}command: failed: .*\n {2}wlcg-token: not available: /);
	expect(failure.cause).toBeInstanceOf(TokenRequestError);
});

test('status names the link that fails, and does not go past it', async () => {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-chain-'));
	await writeFile(join(folder, 'usercert.pem'), 'no certificate');
	await writeFile(join(folder, 'userkey.pem'), 'no key', {mode: 0o600});
	const opened = await open([
		missing,
		{strategy: 'grid-certificate', options: {directory: folder}},
		{strategy: 'static-token', options: {token: 'second'}},
	]);
	expect((await opened.status())[0]).toMatchObject({
		available: false,
		detail: expect.stringMatching(/^grid-certificate failed, and the chain stops there: .*usercert\.pem/),
		warnings: [expect.stringMatching(/^wlcg-token is passed over, as it is not available/)],
	});
	await expect(opened.authorize(url)).rejects.toBeInstanceOf(CertificateError);
	await rm(folder, {recursive: true});
});

test('nothing is asked before there is a request', async () => {
	const server = await startServer((_, response) => answerJson(response, 500, {}));
	const issuer = server.url;
	const opened = await open([
		{strategy: 'sso-client-credentials', options: {clientId: 'a', clientSecret: 'b', issuer}},
	]);
	opened.explain(url);
	await opened.status();
	expect(server.requests).toEqual([]);
	await opened.authorize(url).catch(() => {});
	expect(server.requests).not.toEqual([]);
	await server.close();
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
	).resolves.toHaveLength(14);
	await expect(conformance(ChainStrategy, {options: {of: [missing]}})).resolves.toHaveLength(14);
});
