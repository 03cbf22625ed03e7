/** `command`: what programs print, once for all callers, and what is said of programs that print nothing of use. */
import {generateKeyPairSync} from 'node:crypto';
import {readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {inspect} from 'node:util';
import {afterEach, describe, expect, onTestFinished, test, vi} from 'vitest';
import {
	ConfigurationError,
	CredentialUnavailableError,
	createGatepass,
	type Gatepass,
	type GatepassSettings,
	TokenRequestError,
} from '../../src/index.ts';
import {conformance, startMtlsServer} from '../../src/testing/index.ts';
import {answerJson, startServer} from '../../src/testing/server.ts';
import {CommandStrategy} from '../../strategies/command/index.ts';
import {listenTo} from '../observability/setup.ts';
import {programsForEachTest} from './programs.ts';
import {unsignedJwt} from './unsigned-jwt.ts';

const programs = programsForEachTest();
let gatepass: Gatepass | undefined;
afterEach(async () => gatepass?.close());

const url = 'https://api.example.org/';

async function open(
	options: Record<string, unknown>,
	{match = url, trust = [], ...settings}: Record<string, unknown> & {match?: string} = {},
): Promise<Gatepass> {
	gatepass = await createGatepass({
		config: {
			cache: {url: 'memory:'},
			trust: trust as [],
			hostRules: [{match, strategy: 'command', options}],
		},
		cwd: programs.folder,
		...settings,
	} as GatepassSettings);
	return gatepass;
}

async function shown(options: Record<string, unknown>): Promise<Record<string, string>> {
	return (await (await open(options)).authorize(url)).headers;
}

async function failureOf(promise: Promise<unknown>): Promise<Error> {
	const error = await promise.then(
		() => undefined,
		(reason: unknown) => reason,
	);
	expect(error).toBeInstanceOf(Error);
	return error as Error;
}

const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;

describe('what is printed', () => {
	test('a text is a bearer token', async () => {
		const command = await programs.printing('  the-token\n\n');
		expect(await shown({command})).toEqual({authorization: 'Bearer the-token'});
	});

	test('a text in a header of its own goes there as it is', async () => {
		const command = await programs.printing('key with blanks\n');
		expect(await shown({command, header: 'X-Api-Key'})).toEqual({'x-api-key': 'key with blanks'});
	});

	test.each([
		['OAuth', {access_token: 'a-token', expires_in: 3600, token_type: 'Bearer', refresh_token: 'r'}],
		['az account get-access-token', {accessToken: 'a-token', expires_on: inAnHour(), tokenType: 'Bearer'}],
		['gcloud --format=json', {token: 'a-token', expiry: new Date(Date.now() + 3_600_000).toISOString()}],
	])('the JSON of %s', async (_, answer) => {
		const opened = await open({command: await programs.printing(JSON.stringify(answer)), format: 'json'});
		expect((await opened.authorize(url)).headers).toEqual({authorization: 'Bearer a-token'});
		const [status] = await opened.status();
		expect(Math.abs((status?.expiresAt ?? 0) - Date.now() - 3_600_000)).toBeLessThan(600_000);
	});

	test('an ExecCredential with a token', async () => {
		const command = await programs.printing(
			JSON.stringify({
				apiVersion: 'client.authentication.k8s.io/v1',
				kind: 'ExecCredential',
				status: {token: 'k8s-token', expirationTimestamp: '2999-01-01T00:00:00Z'},
			}),
			`printenv KUBERNETES_EXEC_INFO >info`,
		);
		expect(await shown({command, format: 'exec-credential'})).toEqual({authorization: 'Bearer k8s-token'});
		expect(JSON.parse(await readFile(join(programs.folder, 'info'), 'utf8'))).toMatchObject({
			kind: 'ExecCredential',
		});
	});

	test('an ExecCredential with a client certificate', async () => {
		const server = await startMtlsServer();
		const [clientCertificateData, clientKeyData] = await Promise.all(
			[server.client.certificate, server.client.key].map(file => readFile(file, 'utf8')),
		);
		const command = await programs.printing(
			JSON.stringify({
				apiVersion: 'client.authentication.k8s.io/v1',
				kind: 'ExecCredential',
				status: {clientCertificateData, clientKeyData},
			}),
		);
		const opened = await open(
			{command, format: 'exec-credential'},
			{match: server.url, trust: [{match: server.url, ca: server.ca}]},
		);
		await opened.got(server.url);
		await opened.got(server.url);
		// Over undici, the first leg is sent ahead of its conversation, with the certificate.
		expect((await opened.fetch(server.url)).status).toBe(200);
		expect((await opened.fetch(server.url)).status).toBe(200);
		expect(server.requests).toHaveLength(4);
		expect(await programs.runs()).toBe(1);
		const [status] = await opened.status();
		expect(status?.expiresAt).toBeGreaterThan(Date.now());
		await server.close();
	});

	test('variables and the working folder are those of the rule', async () => {
		const command = await programs.write('printf %s "$ACCOUNT-$(basename "$PWD")-$FROM_OUTSIDE"');
		const opened = await open(
			{command, env: {ACCOUNT: 'reader'}},
			{env: {PATH: process.env.PATH, FROM_OUTSIDE: 'outside'}},
		);
		const {headers} = await opened.authorize(url);
		expect(headers.authorization).toBe(`Bearer reader-${programs.folder.split('/').at(-1)}-outside`);
	});

	test('no shell reads the parameters', async () => {
		const command = [...(await programs.write('printf %s "$#-$1" | tr -d \'$()\' | tr " " -')), '$(id -u) x'];
		expect(await shown({command})).toEqual({authorization: 'Bearer 1-id--u-x'});
	});
});

describe('one run', () => {
	test('serves all callers at once, and those that come later', async () => {
		const command = await programs.printing('the-token');
		const opened = await open({command});
		await Promise.all(Array.from({length: 20}, () => opened.authorize(url)));
		await opened.authorize(url);
		expect(await programs.runs()).toBe(1);
	});

	test('serves all callers of an ExecCredential, too', async () => {
		const status = {token: 'k8s-token'};
		const apiVersion = 'client.authentication.k8s.io/v1';
		const command = await programs.printing(JSON.stringify({apiVersion, kind: 'ExecCredential', status}));
		const opened = await open({command, format: 'exec-credential'});
		await Promise.all(Array.from({length: 20}, () => opened.authorize(url)));
		expect(await programs.runs()).toBe(1);
	});

	test('is not enough after forget, nor for another variable that the program sees', async () => {
		const command = await programs.printing('the-token');
		const opened = await open({command});
		await opened.authorize(url);
		await opened.forget(url);
		await opened.authorize(url);
		expect(await programs.runs()).toBe(2);
		const store = `sqlite:${join(programs.folder, 'tokens.sqlite')}`;
		for (const AWS_PROFILE of ['a', 'b', 'a']) {
			await using other = await createGatepass({
				config: {cache: {url: store}, hostRules: [{match: url, strategy: 'command', options: {command}}]},
				env: {PATH: process.env.PATH, AWS_PROFILE},
			});
			await other.authorize(url);
		}
		expect(await programs.runs()).toBe(4);
	});

	test('is done again once, where the server refuses what it printed', async () => {
		const command = await programs.write(`printf token-%s "$(wc -l <'${programs.folder}/runs' | tr -d ' ')"`);
		const server = await startServer(({headers}, response) =>
			answerJson(response, headers.authorization === 'Bearer token-2' ? 200 : 401, {}),
		);
		const opened = await open({command}, {match: server.url});
		await opened.got(server.url);
		expect(server.requests.map(({headers}) => headers.authorization)).toEqual([
			'Bearer token-1',
			'Bearer token-2',
		]);
		await server.close();
	});

	test('is done ahead of the end, while what there is serves', async () => {
		// A token of three seconds: it is renewed after two, and never used past its end.
		const command = await programs.write(
			`printf '{"access_token":"token-%s","expires_in":3}' "$(wc -l <'${programs.folder}/runs' | tr -d ' ')"`,
		);
		const refreshed = listenTo(['gatepass:token:refresh']);
		const opened = await open({command, format: 'json'});
		await expect
			.poll(
				async () => {
					await opened.authorize(url);
					return refreshed.length;
				},
				{interval: 100},
			)
			.toBeGreaterThan(0);
	});
});

describe('what goes wrong', () => {
	test('no such program is "not available"', async () => {
		const opened = await open({command: ['no-such-program', '--password', 'canary-of-the-test']});
		const failure = await failureOf(opened.authorize(url));
		expect(failure).toBeInstanceOf(CredentialUnavailableError);
		expect(failure.message).toMatch(/The program no-such-program \(rule for .*\) is not there\. Install it/);
		expect(inspect(failure)).not.toContain('canary');
		expect((await opened.status())[0]).toMatchObject({available: false});
	});

	test('its exit status and its last words are told, without secrets', async () => {
		const jwt = unsignedJwt({sub: 'canary'});
		const command = await programs.write(
			`echo printed-canary-1\necho "starting" >&2\necho "no: printed-canary-1 own-canary given-canary ${jwt} password=unknown-canary" >&2\nexit 3`,
		);
		const notices = listenTo(['gatepass:strategy:notice']);
		const opened = await open({command: [...command, '--token=given-canary'], env: {X: 'own-canary'}});
		const failure = await failureOf(opened.authorize(url));
		expect(failure).toBeInstanceOf(TokenRequestError);
		expect(failure.message).toMatch(/ended with 3: no: [… ]+password=…\. Run the same command by hand/);
		expect(notices.map(({payload}) => payload.notice)).toEqual([
			expect.stringMatching(/says: starting\nno: [… ]+password=…$/),
		]);
		expect(inspect([failure, notices], {depth: 9})).not.toMatch(/canary/);
	});

	test('what it says on stderr goes to the log also where all is well', async () => {
		const command = await programs.printing('the-token', 'echo "use --quiet, not the-token" >&2');
		const notices = listenTo(['gatepass:strategy:notice']);
		await shown({command});
		expect(notices.map(({payload}) => payload)).toEqual([
			{
				rule: expect.objectContaining({match: url, strategy: 'command'}),
				notice: expect.stringMatching(/says: use --quiet, not …$/),
			},
		]);
	});

	test.each<[string, string, Record<string, unknown>]>([
		['a text of several words', 'canary of words', {header: 'x-key'}],
		['a value of JSON without a digit', '{"access_token": "canary-only"}', {format: 'json'}],
		[
			'a value of JSON that is broken off',
			'{"token": "canary-only", "refresh_token": "canary-o',
			{format: 'json'},
		],
	])('what it repeats of %s on stderr is told nowhere', async (_, output, options) => {
		const [, repeated = output] = /": "([^"]*)/.exec(output) ?? [];
		const command = await programs.printing(output, `echo "got (${repeated})" >&2`);
		const notices = listenTo(['gatepass:strategy:notice']);
		const outcome = await shown({command, ...options}).catch((error: Error) => error.message);
		expect(notices.map(({payload}) => payload.notice)).toEqual([expect.stringMatching(/says: got \(…\)$/)]);
		if (typeof outcome === 'string') expect(outcome).not.toContain('canary');
	});

	test.each(['text', 'exec-credential'])(
		'one that waits for ever is stopped, with all that it started: %s',
		async format => {
			const command = await programs.write(`sleep 1000 & echo $! >child\nwait`);
			// Its time is over once it has started all of that, however long that takes.
			vi.useFakeTimers({toFake: ['setTimeout', 'clearTimeout']});
			onTestFinished(() => void vi.useRealTimers());
			const stopped = failureOf(shown({command, format, timeout: 500}));
			const started = () => readFile(join(programs.folder, 'child'), 'utf8').catch(() => '');
			await expect.poll(started).toMatch(/\n$/);
			await vi.advanceTimersByTimeAsync(500);
			const failure = await stopped;
			expect(failure).toBeInstanceOf(TokenRequestError);
			expect(failure.message).toMatch(/did not end within 500 ms/);
			const child = Number(await started());
			await expect.poll(() => isRunning(child)).toBe(false);
		},
	);

	test('one that leaves something behind that keeps its output open is not waited for', async () => {
		const command = await programs.write(`printf the-token\nsleep 1000 & echo $! >child`);
		expect(await shown({command})).toEqual({authorization: 'Bearer the-token'});
		process.kill(Number(await readFile(join(programs.folder, 'child'), 'utf8')));
	});

	test('one that closes its output and lives on is stopped at the end of its time', async () => {
		const command = await programs.write(`echo $$ >child\nprintf the-token\nexec sleep 1000 >&- 2>&-`);
		const failure = await failureOf(shown({command, timeout: 700}));
		expect(failure.message).toMatch(/did not end within 700 ms and was stopped/);
		expect(inspect(failure)).not.toContain('the-token');
		const child = Number(await readFile(join(programs.folder, 'child'), 'utf8'));
		await expect.poll(() => isRunning(child)).toBe(false);
	});

	test('one that leaves something behind in a session of its own, which prints on, is not read on', async () => {
		const command = await programs.write(
			`printf the-token\nsetsid sh -c 'echo $$ >child; exec sleep 1000' &\nwhile [ ! -s child ]; do sleep 0.01; done`,
		);
		expect(await shown({command})).toEqual({authorization: 'Bearer the-token'});
		process.kill(Number(await readFile(join(programs.folder, 'child'), 'utf8')));
	});

	test('one that prints without end is stopped', async () => {
		const command = await programs.write('echo $$ >child; exec cat /dev/zero');
		expect((await failureOf(shown({command}))).message).toMatch(/printed more than 1 MiB/);
		const child = Number(await readFile(join(programs.folder, 'child'), 'utf8'));
		await expect.poll(() => isRunning(child)).toBe(false);
	});

	test('a gigabyte of words costs no memory, and of a key among them nothing is told', async () => {
		const key = generateKeyPairSync('rsa', {modulusLength: 2048}).privateKey.export({
			type: 'pkcs8',
			format: 'pem',
		}) as string;
		await writeFile(join(programs.folder, 'key'), key);
		// The end that is kept begins in the middle of the key.
		const command = await programs.write(
			`printf the-token\n{ head -c 1000000000 /dev/zero; cat key; head -c 2800 /dev/zero | tr '\\0' ' '; echo done; } >&2`,
		);
		const notices = listenTo(['gatepass:strategy:notice']);
		const before = process.memoryUsage.rss();
		expect(await shown({command})).toEqual({authorization: 'Bearer the-token'});
		expect(process.memoryUsage.rss() - before).toBeLessThan(200 * 1024 * 1024);
		const [said] = notices.map(({payload}) => String(payload.notice));
		expect(said).toMatch(/done$/);
		for (const line of key.split('\n').slice(1, -2)) expect(said).not.toContain(line.slice(0, 12));
	});

	test('one that asks for a password gets no answer', async () => {
		const command = await programs.write('read answer || exit 7');
		expect((await failureOf(shown({command}))).message).toMatch(/ended with 7 without a word/);
	});

	test('closing ends it', async () => {
		const command = await programs.write(`echo $$ >child\nexec sleep 1000`);
		const opened = await open({command});
		const failure = failureOf(opened.authorize(url));
		await expect.poll(() => readFile(join(programs.folder, 'child'), 'utf8').catch(() => '')).toMatch(/\n$/);
		await opened.close();
		expect((await failure).message).toMatch(/closed/);
		const child = Number(await readFile(join(programs.folder, 'child'), 'utf8'));
		await expect.poll(() => isRunning(child)).toBe(false);
	});

	test.each([
		['text', '', /printed nothing/],
		['text', '{"access_token": "canary"}', /printed JSON, and a text was expected\. Set 'format: json'/],
		['text', 'canary\nsecond line', /something else than one credential on one line/],
		['json', 'canary', /something else than a JSON object/],
		['json', '{"id": "canary"}', /printed JSON without 'access_token'/],
		['json', '{"access_token": "canary", "expires_in": -5}', /printed a credential that expired on 20/],
		['json', '{"access_token": "canary", "token_type": "mac"}', /not shown behind Bearer/],
		['exec-credential', '{"kind": "canary"}', /is no ExecCredential/],
		['exec-credential', exec({}), /without a token and without a client certificate/],
		['exec-credential', exec({clientKeyData: 'canary'}), /a client key without its certificate/],
		[
			'exec-credential',
			exec({token: 'canary', expirationTimestamp: '2001-01-01T00:00:00Z'}),
			/expired on 2001/,
		],
		[
			'exec-credential',
			exec({clientKeyData: 'canary', clientCertificateData: 'canary'}),
			/the output of .*program/,
		],
	])('%s: %j', async (format, output, message) => {
		const failure = await failureOf(shown({command: await programs.printing(output), format}));
		expect(failure.message).toMatch(message);
		expect(inspect(failure)).not.toContain('canary');
	});

	test('in the configuration', async () => {
		const failure = await failureOf(open({command: [], format: 'credential-process', timeout: 0}));
		expect(failure).toBeInstanceOf(ConfigurationError);
		expect(await failureOf(open({command: ['x'], format: 'credential-process'}))).toMatchObject({
			problems: [{path: 'hostRules[0].options.format', hint: expect.stringMatching(/aws-sigv4/)}],
		});
		expect(await failureOf(open({command: 'oidc-token x'}))).toMatchObject({
			problems: [{path: 'hostRules[0].options.command'}],
		});
	});
});

function exec(status: object): string {
	return JSON.stringify({apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status});
}

/** A process whose parent has not asked how it ended is not running either. */
async function isRunning(pid: number): Promise<boolean> {
	const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
	return status !== undefined && !/^\d+ \(.*\) Z/.test(status);
}

test('the conformance kit passes', async () => {
	const text = await programs.printing('canary-token');
	await expect(
		conformance(CommandStrategy, {options: {command: text}, secrets: ['canary-token']}),
	).resolves.toHaveLength(14);
	await writeFile(join(programs.folder, 'exec'), exec({token: 'canary-token'}));
	const command = ['/bin/cat', join(programs.folder, 'exec')];
	await expect(
		conformance(CommandStrategy, {options: {command, format: 'exec-credential'}, secrets: ['canary-token']}),
	).resolves.toHaveLength(14);
	await expect(conformance(CommandStrategy, {options: {command: ['/nonexistent']}})).resolves.toHaveLength(
		14,
	);
});
