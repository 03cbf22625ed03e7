/** `aws-sigv4`: where keys come from, how long they are kept, and what is said where there are none. */
import {chmod, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {inspect} from 'node:util';
import {afterEach, beforeEach, expect, onTestFinished, test, vi} from 'vitest';
import {type ConfigurationInput, createGatepass, type Gatepass, TokenRequestError} from '../../src/index.ts';
import {conformance} from '../../src/testing/index.ts';
import {answerJson, startServer} from '../../src/testing/server.ts';
import {splitCommand} from '../../strategies/aws-sigv4/command-line.ts';
import {AwsSigv4Strategy} from '../../strategies/aws-sigv4/index.ts';
import {listenTo} from '../observability/setup.ts';
import {describeWith} from '../servers/availability.ts';
import {awsCli, awsProgram} from '../servers/aws-cli.ts';
import {failure} from '../transports/scripted-stage.ts';

let folder: string;
beforeEach(async () => {
	folder = await mkdtemp(join(tmpdir(), 'gatepass-sigv4-'));
});
afterEach(() => rm(folder, {recursive: true, force: true}));

async function gatepassWith(
	options: Record<string, unknown> = {},
	env: Record<string, string> = {},
	config: Partial<ConfigurationInput> = {},
): Promise<Gatepass> {
	const gatepass = await createGatepass({
		env: {
			PATH: process.env.PATH,
			AWS_SHARED_CREDENTIALS_FILE: join(folder, 'credentials'),
			AWS_CONFIG_FILE: join(folder, 'config'),
			...env,
		},
		config: {
			cache: {url: 'memory:'},
			...config,
			hostRules: [
				{
					match: 'https://api.example.org',
					strategy: 'aws-sigv4',
					options: {service: 'execute-api', ...options},
				},
			],
		},
	});
	onTestFinished(() => gatepass.close());
	return gatepass;
}

const region = {region: 'eu-west-3'};

/** Which key a request is signed with, and for which region. */
async function signedWith(gatepass: Gatepass, fresh = false): Promise<string> {
	const {headers} = await gatepass.authorize('https://api.example.org/', {fresh});
	const [, key, where] = /Credential=([^/]+)\/\d+\/([^/]+)\//.exec(headers.authorization ?? '') ?? [];
	return `${key} ${where} ${headers['x-amz-security-token'] ?? 'no token'}`;
}

test('from variables, and the region, too', async () => {
	const gatepass = await gatepassWith(
		{},
		{AWS_ACCESS_KEY_ID: 'AKV', AWS_SECRET_ACCESS_KEY: 's', AWS_SESSION_TOKEN: 'tok', AWS_REGION: 'us-west-1'},
	);
	expect(await signedWith(gatepass)).toBe('AKV us-west-1 tok');
});

test('from the shared files, which are read again when they change', async () => {
	const file = join(folder, 'credentials');
	await writeFile(file, '[default]\naws_access_key_id = AK1 # first\naws_secret_access_key=s1\n');
	await writeFile(
		join(folder, 'config'),
		'[default]\nregion = eu-north-1\n; no\n[profile other]\nregion=sa-east-1\nsso =\n  nested = x\naws_access_key_id=AK2\naws_secret_access_key=s2\naws_session_token=t2\n',
	);
	const gatepass = await gatepassWith();
	expect(await signedWith(gatepass)).toBe('AK1 eu-north-1 no token');
	await writeFile(file, '[default]\naws_access_key_id = AK3\naws_secret_access_key=s3\naws_session_token=t3');
	expect(await signedWith(gatepass)).toBe('AK3 eu-north-1 t3');
	expect(await signedWith(await gatepassWith({credentials: {profile: 'other'}}))).toBe('AK2 sa-east-1 t2');
	expect(await signedWith(await gatepassWith({}, {AWS_PROFILE: 'other'}))).toBe('AK2 sa-east-1 t2');
});

/** A program that counts its runs and prints a key that lives for `life` milliseconds. */
async function keyProgram(life: number): Promise<{file: string; runs(): Promise<number>}> {
	const file = join(folder, 'give keys');
	const log = join(folder, 'runs');
	const clock = join(folder, 'clock');
	await writeFile(log, '');
	await writeFile(
		file,
		`#!/usr/bin/env node
const {appendFileSync, existsSync, readFileSync} = require('node:fs');
const now = existsSync(${JSON.stringify(clock)}) ? Number(readFileSync(${JSON.stringify(clock)}, 'utf8')) : Date.now();
appendFileSync(${JSON.stringify(log)}, 'x');
const run = readFileSync(${JSON.stringify(log)}, 'utf8').length;
console.log(JSON.stringify({Version: 1, AccessKeyId: 'AKP' + run, SecretAccessKey: 'secret' + run, SessionToken: process.argv[2],
	Expiration: new Date(now + ${life}).toISOString()}));
`,
	);
	await chmod(file, 0o755);
	return {file, runs: async () => (await readFile(log, 'utf8')).length};
}

test('from a program, once for all callers, and again once the server says that the key has expired', async () => {
	const {file, runs} = await keyProgram(3_600_000);
	const gatepass = await gatepassWith({...region, credentials: {command: [file, 'tok']}});
	const all = await Promise.all(Array.from({length: 8}, () => signedWith(gatepass)));
	expect(new Set(all)).toEqual(new Set(['AKP1 eu-west-3 tok']));
	expect(await runs()).toBe(1);
	expect(await signedWith(gatepass, true)).toBe('AKP2 eu-west-3 tok');
	await gatepass.forget();
	expect(await signedWith(gatepass)).toBe('AKP3 eu-west-3 tok');
	const [status] = await gatepass.status();
	expect(status?.detail).toContain('key AKP3 from');
	expect(status?.expiresAt).toBeGreaterThan(Date.now());
});

test('a key that the server calls expired is replaced, once', async () => {
	const {file, runs} = await keyProgram(3_600_000);
	const seen: string[] = [];
	const server = await startServer(({headers}, response) => {
		seen.push(/Credential=(\w+)/.exec(String(headers.authorization))?.[1] ?? '');
		const isNew = seen.length > 1;
		response.writeHead(isNew ? 200 : 403, {'x-amzn-errortype': 'ExpiredTokenException'}).end();
	});
	const gatepass = await createGatepass({
		env: {PATH: process.env.PATH},
		config: {
			cache: {url: 'memory:'},
			hostRules: [
				{
					match: server.url,
					strategy: 'aws-sigv4',
					options: {service: 'execute-api', ...region, credentials: {command: [file]}},
				},
			],
		},
	});
	expect((await gatepass.got(server.url)).statusCode).toBe(200);
	expect(seen).toEqual(['AKP1', 'AKP2']);
	expect(await runs()).toBe(2);
	await gatepass.close();
	await server.close();
});

/** A shell script as a program that gives keys. */
async function script(text: string): Promise<string[]> {
	const file = join(folder, 'script');
	await writeFile(file, `#!/bin/sh\necho run >>'${folder}/runs'\n${text}\n`);
	await chmod(file, 0o755);
	return [file];
}

/** What `credential_process` prints. */
const printed = (more: object): string =>
	JSON.stringify({Version: 1, AccessKeyId: 'AKP', SecretAccessKey: 'canary-secret', ...more});

test('a program that does not end in its time is stopped, and the others who wait are told, too', async () => {
	const command = await script('echo "asks for an answer" >&2; sleep 1000');
	const gatepass = await gatepassWith({...region, credentials: {command, timeout: 400}});
	const runs = () => readFile(join(folder, 'runs'), 'utf8').catch(() => '');
	// Its time is over once it runs, however long that takes.
	vi.useFakeTimers({toFake: ['setTimeout', 'clearTimeout']});
	onTestFinished(() => void vi.useRealTimers());
	const stopped = Promise.all([1, 2, 3].map(() => failure(signedWith(gatepass))));
	await expect.poll(runs).toBe('run\n');
	await vi.advanceTimersByTimeAsync(400);
	for (const error of await stopped) {
		expect(error).toBeInstanceOf(TokenRequestError);
		expect(error.message).toMatch(/did not end within 400 ms and was stopped/);
	}
	expect(await runs()).toBe('run\n');
	// A failure is not kept: the next request asks again.
	const again = failure(signedWith(gatepass));
	await expect.poll(runs).toBe('run\nrun\n');
	await vi.advanceTimersByTimeAsync(400);
	await again;
});

test('a key is kept until its expiration, renewed ahead of it, and a renewal that fails spoils nothing', async () => {
	vi.useFakeTimers({toFake: ['Date']});
	onTestFinished(() => void vi.useRealTimers());
	/** For the program, too. */
	const pass = async (milliseconds: number): Promise<void> => {
		vi.setSystemTime(Date.now() + milliseconds);
		await writeFile(join(folder, 'clock'), String(Date.now()));
	};
	const {file, runs} = await keyProgram(3_600_000);
	const gatepass = await gatepassWith({...region, credentials: {command: [file, 'tok']}});
	expect(await signedWith(gatepass)).toContain('AKP1 ');
	await pass(2_600_000);
	expect(await signedWith(gatepass)).toContain('AKP1 ');
	expect(await runs()).toBe(1);
	// At three quarters of its life another is fetched, and nobody waits for it.
	await pass(150_000);
	expect(await signedWith(gatepass)).toContain('AKP1 ');
	await expect.poll(() => signedWith(gatepass)).toContain('AKP2 ');
	expect(await runs()).toBe(2);
	const text = await readFile(file, 'utf8');
	await writeFile(file, '#!/bin/sh\nexit 3\n');
	await pass(2_800_000);
	expect(await signedWith(gatepass)).toContain('AKP2 ');
	// Past its end it is no more signed with, whatever the program says.
	await pass(900_000);
	const error = await failure(signedWith(gatepass));
	expect(error.message).toMatch(/ended with 3/);
	await writeFile(file, text);
	expect(await signedWith(gatepass)).toContain('AKP3 ');
});

test('a key without an expiration is kept, and it is asked for again where the server calls it expired', async () => {
	const command = await script(`echo '${printed({})}'`);
	const gatepass = await gatepassWith({...region, credentials: {command}});
	vi.useFakeTimers({toFake: ['Date']});
	onTestFinished(() => void vi.useRealTimers());
	await signedWith(gatepass);
	vi.setSystemTime(Date.now() + 365 * 86_400_000);
	expect(await signedWith(gatepass)).toBe('AKP eu-west-3 no token');
	expect(await readFile(join(folder, 'runs'), 'utf8')).toBe('run\n');
});

test.each([
	['another version', printed({Version: 2}), /no credential_process answer of version 1/],
	['no secret', printed({SecretAccessKey: ''}), /printed no 'SecretAccessKey'/],
	['a key of the past', printed({Expiration: '2001-01-01T00:00:00Z'}), /expired on 2001-01-01/],
	['a text', 'canary-secret', /something else than a JSON object/],
	['nothing', '', /printed nothing/],
])('a program that prints %s gives no key, and what it printed is not repeated', async (_, output, words) => {
	const command = await script(`cat <<'end'\n${output}\nend\necho "I said canary-secret" >&2`);
	const gatepass = await gatepassWith({...region, credentials: {command}});
	const error = await failure(signedWith(gatepass));
	expect(error).toBeInstanceOf(TokenRequestError);
	expect(error.message).toMatch(words);
	expect(inspect(error, {depth: 9})).not.toContain('canary-secret');
});

test("a program's exit status and last words are told, and all its words are in the log, without secrets", async () => {
	const command = await script(
		`echo '${printed({})}'\necho "asking" >&2\necho "no role for canary-secret or own-canary" >&2\nexit 255`,
	);
	const notices = listenTo(['gatepass:strategy:notice']);
	const gatepass = await gatepassWith({...region, credentials: {command, env: {X: 'own-canary'}}});
	const error = await failure(signedWith(gatepass));
	expect(error.message).toMatch(/ended with 255: no role for ?… or ?…\. Run the same command by hand/);
	expect(notices.map(({payload}) => payload.notice)).toEqual([
		expect.stringMatching(/says: asking\nno role for ?… or ?…$/),
	]);
	expect(inspect([error, notices], {depth: 9})).not.toMatch(/canary-secret|own-canary/);
});

test.each([
	[
		'closes its output and lives on',
		`echo '${printed({})}'; exec sleep 1000 >&- 2>&-`,
		/did not end within 700 ms/,
	],
	['is not there', undefined, /is not there/],
])('a program that %s', async (_, body, words) => {
	const command = body === undefined ? ['/nonexistent/program'] : await script(body);
	const gatepass = await gatepassWith({...region, credentials: {command, timeout: 700}});
	const error = await failure(signedWith(gatepass));
	expect(error.message).toMatch(words);
	expect(inspect(error, {depth: 9})).not.toContain('canary');
});

test('a program that prints without end is stopped', async () => {
	const gatepass = await gatepassWith({
		...region,
		credentials: {command: await script('exec cat /dev/zero')},
	});
	expect((await failure(signedWith(gatepass))).message).toContain('more than 1 MiB');
});

test('passes the conformance kit with keys of a program', async () => {
	const command = await script(`echo '${printed({})}'`);
	const options = {service: 's3', ...region, credentials: {command}};
	await expect(conformance(AwsSigv4Strategy, {options, secrets: ['canary-secret']})).resolves.toHaveLength(
		14,
	);
});

test('from the program of a profile, whose line no shell reads', async () => {
	const {file} = await keyProgram(3_600_000);
	await writeFile(
		join(folder, 'config'),
		`[profile keyed]\nregion = eu-west-3\ncredential_process = "${file}" $(reboot)\n`,
	);
	expect(await signedWith(await gatepassWith({credentials: {profile: 'keyed'}}))).toBe(
		'AKP1 eu-west-3 $(reboot)',
	);
	expect(splitCommand(`a 'b c' "d \\"e" f\\ g ""`)).toEqual(['a', 'b c', 'd "e', 'f g', '']);
});

test("from a container's endpoint, with the token of a file that is read each time", async () => {
	const token = join(folder, 'token');
	await writeFile(token, 'first\n');
	const server = await startServer(({headers, url}, response) => {
		const life = url === '/short' ? 0 : 3_600_000;
		answerJson(response, 200, {
			AccessKeyId: `AKC-${headers.authorization}`,
			SecretAccessKey: 's',
			Token: 't',
			Expiration: new Date(Date.now() + life).toISOString(),
		});
	});
	onTestFinished(() => server.close());
	const env = {
		AWS_CONTAINER_CREDENTIALS_FULL_URI: `${server.url}/keys`,
		AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: token,
	};
	const gatepass = await gatepassWith({...region, credentials: {container: true}}, env);
	expect(await signedWith(gatepass)).toBe('AKC-first eu-west-3 t');
	await writeFile(token, 'second, later\n');
	expect(await signedWith(gatepass)).toBe('AKC-first eu-west-3 t');
	expect(server.requests).toHaveLength(1);
	expect(await signedWith(gatepass, true)).toBe('AKC-second, later eu-west-3 t');
	// Without a word about it, and named by the rule.
	expect(await signedWith(await gatepassWith(region, env))).toBe('AKC-second, later eu-west-3 t');
	const named = await gatepassWith({...region, credentials: {container: `${server.url}/short`}});
	await signedWith(named);
	await signedWith(named);
	expect(server.requests.filter(({url}) => url === '/short').length).toBeGreaterThan(1);
});

test.each([
	['there is none', {...region}, {}, ['AWS_ACCESS_KEY_ID', 'has no key', "no container's endpoint"]],
	['the profile is missing', {...region, credentials: {profile: 'nobody'}}, {}, ["no profile 'nobody'"]],
	['no region is named', {accessKeyId: 'AK', secretAccessKey: 'secret-1'}, {}, ['AWS_REGION']],
	[
		'the endpoint is not of this machine',
		{...region, credentials: {container: 'http://198.51.100.7/keys'}},
		{},
		['198.51.100.7/keys', 'plain http'],
	],
	['no endpoint is named', {...region, credentials: {container: true}}, {}, ['CREDENTIALS_FULL_URI']],
	[
		'the program is not there',
		{...region, credentials: {command: ['/no/such/program']}},
		{},
		['/no/such/program', 'is not there'],
	],
])('where %s, it is said what to do', async (_, options, env, words) => {
	const error = await failure(signedWith(await gatepassWith(options, env)));
	for (const word of words) expect(error.message).toContain(word);
});

describeWith(awsCli, "AWS's own tool", () => {
	test('gives keys, as the hint for a profile that takes a role says', async () => {
		await writeFile(
			join(folder, 'credentials'),
			'[kept]\naws_access_key_id = AKTOOL\naws_secret_access_key = canary-secret\naws_session_token = tok\n',
		);
		const command = [String(awsProgram()), 'configure', 'export-credentials', '--profile'];
		const keyed = await gatepassWith({...region, credentials: {command: [...command, 'kept']}});
		expect(await signedWith(keyed)).toBe('AKTOOL eu-west-3 tok');
		const missing = await gatepassWith({...region, credentials: {command: [...command, 'nobody']}});
		const error = await failure(signedWith(missing));
		expect(error).toBeInstanceOf(TokenRequestError);
		expect(error.message).toMatch(/ended with \d+: .*nobody.* could not be found/);
	});
});

test("a profile that takes a role is left to AWS's own tool, which is named", async () => {
	await writeFile(join(folder, 'config'), '[profile role]\nrole_arn = arn:aws:iam::1:role/x\n');
	const error = await failure(signedWith(await gatepassWith({...region, credentials: {profile: 'role'}})));
	expect(error.message).toContain('export-credentials');
});

test('an endpoint that never answers, and one that never ends, hold up nobody for ever', async () => {
	const server = await startServer(({url}, response) => {
		if (url !== '/endless') return;
		response.writeHead(200, {'content-type': 'application/json'});
		const more = (): boolean => response.write('"canary-secret"'.repeat(5000)) && more();
		response.on('drain', more);
		more();
	});
	onTestFinished(() => server.close());
	const gatepass = await gatepassWith(
		{...region, credentials: {container: `${server.url}/silent`}},
		{},
		// Long enough for the request to arrive.
		{tokenRequest: {timeout: 3000, retries: 0}},
	);
	const silent = await Promise.all([1, 2].map(() => failure(signedWith(gatepass))));
	for (const {message} of silent)
		expect(message).toMatch(/silent, which is to give keys for AWS, did not answer/);
	expect(server.requests).toHaveLength(1);
	const endless = await gatepassWith({...region, credentials: {container: `${server.url}/endless`}});
	const error = await failure(signedWith(endless));
	expect(error.message).toContain('larger than');
	expect(inspect(error, {depth: 9})).not.toContain('canary-secret');
});

test('an endpoint that refuses, and one that gives no keys, are named without what they said', async () => {
	let status = 403;
	const server = await startServer((_request, response) => {
		response
			.writeHead(status, {'content-type': 'application/json'})
			.end('{"SecretAccessKey": "s3cr3t-word"}');
	});
	onTestFinished(() => server.close());
	const gatepass = await gatepassWith({...region, credentials: {container: server.url}});
	expect((await failure(signedWith(gatepass))).message).toContain('answered 403');
	status = 200;
	const error = await failure(signedWith(gatepass));
	expect(error.message).toContain("'AccessKeyId'");
	expect(error.message).not.toContain('s3cr3t-word');
});
