/** What stands in the place of a token file: only a regular file of a sensible size is read, and nothing waits. */
import {execFileSync} from 'node:child_process';
import {mkdirSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync} from 'node:fs';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {CredentialUnavailableError, createGatepass, type Gatepass} from '../../src/index.ts';

const url = 'https://storage.example.org/file';
const name = `bt_u${process.geteuid?.()}`;

let folder: string;
let gatepass: Gatepass | undefined;
beforeEach(async () => {
	folder = await mkdtemp(join(tmpdir(), 'gatepass-token-files-'));
});
afterEach(async () => {
	await gatepass?.close();
	gatepass = undefined;
	await rm(folder, {recursive: true, force: true});
});

async function open(
	rule: {strategy: string; options?: object},
	env: Record<string, string> = {},
): Promise<Gatepass> {
	gatepass = await createGatepass({
		config: {cache: {url: 'memory:'}, hostRules: [{match: url, ...rule} as never]},
		env,
		cwd: folder,
	});
	return gatepass;
}

/** The ways in which a file becomes a token. */
const ways: [string, (file: string) => Promise<Gatepass>][] = [
	['named in the rule', file => open({strategy: 'wlcg-token', options: {file}})],
	['named by BEARER_TOKEN_FILE', file => open({strategy: 'wlcg-token'}, {BEARER_TOKEN_FILE: file})],
	['in the runtime folder', () => open({strategy: 'wlcg-token'}, {XDG_RUNTIME_DIR: folder})],
	[
		'to be exchanged',
		file =>
			open({
				strategy: 'sso-token-exchange',
				options: {
					clientId: 'a',
					clientSecret: 'b',
					tokenEndpoint: 'https://login.example.org/token',
					subjectToken: {file},
				},
			}),
	],
];

const oddities: [string, (file: string) => void, RegExp][] = [
	['a named pipe', file => void execFileSync('mkfifo', [file]), /is not a file but a named pipe/],
	['a link to a device', file => symlinkSync('/dev/zero', file), /is not a file but a device/],
	['a folder', file => mkdirSync(file), /is not a file but a folder/],
	[
		'a file of 100 GB',
		file => {
			writeFileSync(file, '');
			truncateSync(file, 100 * 2 ** 30);
		},
		/has 107374182400 bytes/,
	],
];

describe.each(ways)('a token file %s', (_, use) => {
	test.each(oddities)('that is %s is refused at once', async (_, make, message) => {
		const file = join(folder, name);
		make(file);
		const failure = (await use(file)).authorize(url).catch((error: unknown) => error);
		expect(await failure).toBeInstanceOf(CredentialUnavailableError);
		expect(await failure).toMatchObject({message: expect.stringMatching(message)});
		expect(await failure).toMatchObject({message: expect.stringContaining(file)});
	});
});

test('a pipe that takes the place of a file that was read before is refused, too', async () => {
	const file = join(folder, 'token');
	writeFileSync(file, 'first');
	const opened = await open({strategy: 'wlcg-token', options: {file}});
	expect((await opened.authorize(url)).headers).toEqual({authorization: 'Bearer first'});
	rmSync(file);
	execFileSync('mkfifo', [file]);
	await expect(opened.authorize(url)).rejects.toThrow(/is not a file but a named pipe/);
});

test('a second token of the same size in the same second is seen', async () => {
	const file = join(folder, 'token');
	// As a file system tells the times that counts in seconds.
	const second = new Date(Math.floor(Date.now() / 1000) * 1000);
	const write = (text: string): void => {
		writeFileSync(file, text);
		utimesSync(file, second, second);
	};
	write('first');
	const opened = await open({strategy: 'wlcg-token', options: {file}});
	expect((await opened.authorize(url)).headers).toEqual({authorization: 'Bearer first'});
	write('other');
	expect((await opened.authorize(url)).headers).toEqual({authorization: 'Bearer other'});
});

test.each([
	['a JWT', 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl'],
	['a long text', 'canary'.repeat(100)],
	['lines', 'canary\ncanary'],
])('the token itself in place of its file, %s: the message does not repeat it', async (_, token) => {
	for (const [title, use] of ways.filter(([title]) => title !== 'in the runtime folder')) {
		const error = await (await use(token)).authorize(url).catch((error: unknown) => error);
		expect(error, title).toBeInstanceOf(CredentialUnavailableError);
		expect((error as Error).message).toMatch(/name of a (token )?file/);
		expect(String((error as Error).stack)).not.toContain(token);
	}
});

test('where there is none, all places of the discovery are named', async () => {
	const without = await (await open({strategy: 'wlcg-token'}))
		.authorize(url)
		.catch((error: unknown) => error);
	expect((without as Error).message).toContain(
		`BEARER_TOKEN and BEARER_TOKEN_FILE are not set, and there is none in $XDG_RUNTIME_DIR/${name} (the variable XDG_RUNTIME_DIR is not set) or /tmp/${name}.`,
	);
	const opened = await open({strategy: 'wlcg-token'}, {XDG_RUNTIME_DIR: folder});
	const withIt = await opened.authorize(url).catch((error: unknown) => error);
	expect((withIt as Error).message).toContain(`there is none in ${folder}/${name} or /tmp/${name}.`);
});
