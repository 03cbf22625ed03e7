/** `grid-certificate`: its options, what a rule with several places is told, and what it says of itself. */
import {copyFile, mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {ConfigurationError, createGatepass, type Gatepass, Identities} from '../../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/index.ts';

const url = 'https://grid.example.org/';
let authority: TestAuthority;
let folder: string;
let gatepass: Gatepass | undefined;
beforeAll(async () => {
	authority = await createTestAuthority();
	await authority.issue('alice', {subject: 'CN=alice'});
	await authority.issue('robot', {subject: 'CN=Robot: reports'});
});
afterAll(() => authority.close());
beforeEach(async () => {
	folder = await mkdtemp(join(tmpdir(), 'gatepass-grid-'));
});
afterEach(async () => {
	await gatepass?.close();
	await rm(folder, {recursive: true, force: true});
});

const file = (name: string): string => join(authority.folder, name);

async function open(options: Record<string, unknown>, strategy = 'grid-certificate'): Promise<Gatepass> {
	gatepass = await createGatepass({
		config: {cache: {url: 'memory:'}, hostRules: [{match: url, strategy, options}]},
		env: {HOME: folder},
		cwd: folder,
	});
	return gatepass;
}

async function mistakes(options: Record<string, unknown>, strategy?: string): Promise<string[]> {
	const error: unknown = await open(options, strategy).catch(error => error);
	expect(error).toBeInstanceOf(ConfigurationError);
	return (error as ConfigurationError).problems.map(
		({path, message, hint}) => `${path}: ${message}. ${hint}`,
	);
}

describe('options that do not go together are mistakes', () => {
	test.each<[Record<string, unknown>, string]>([
		[{certificate: 'a'}, `certificate: 'certificate' and 'key' belong together`],
		[{key: 'a'}, `key: 'certificate' and 'key' belong together`],
		[{pkcs12: 'a', directory: 'b'}, `directory: 'pkcs12' and 'directory' name different places`],
		[{pkcs12: 'a', proxy: 'b'}, `proxy: 'pkcs12' and 'proxy' name different places`],
		[
			{certificate: 'a', key: 'b', directory: 'c'},
			`directory: 'certificate' and 'directory' name different places`,
		],
		[
			{certificate: 'a', key: 'b', pkcs12: 'c', proxy: 'd'},
			`pkcs12: 'certificate' and 'pkcs12' and 'proxy' name different places`,
		],
	])('%j', async (options, expected) => {
		const told = await mistakes(options);
		expect(told).toHaveLength(1);
		expect(told[0]).toContain(`hostRules[0].options.${expected}`);
	});

	test('what is wrong twice is told twice', async () => {
		expect(await mistakes({key: 'a', directory: 'b'})).toHaveLength(2);
	});

	test("in the option 'identity' of sso strategies too", async () => {
		const identity = {proxy: 'a', directory: 'b'};
		const told = await mistakes(
			{clientId: 'c', issuer: 'https://login.example.org', identity},
			'sso-client-credentials',
		);
		expect(told[0]).toContain(
			`hostRules[0].options.identity.directory: 'proxy' and 'directory' name different`,
		);
	});

	test('one that nobody knows, an empty path, and a robot that is no yes or no', async () => {
		expect(await mistakes({pkcs11: 'a'})).toEqual([
			expect.stringContaining('options.pkcs11: there is no setting'),
		]);
		expect(await mistakes({proxy: ''})).toEqual([expect.stringContaining('options.proxy: ')]);
		expect(await mistakes({requireRobot: 'yes'})).toEqual([
			expect.stringContaining('options.requireRobot: '),
		]);
	});
});

describe('what is shown', () => {
	const shownBy = async (options: Record<string, unknown>): Promise<string> => {
		await (await open(options)).authorize(url);
		return (await gatepass?.status())?.[0]?.detail ?? '';
	};

	test('a robot where one is demanded, and nobody else', async () => {
		const robot = {certificate: file('robot.pem'), key: file('robot.key'), requireRobot: true};
		expect(await shownBy(robot)).toBe(`CN=Robot: reports from ${file('robot.pem')}`);
		await gatepass?.close();
		const person = await open({certificate: file('alice.pem'), key: file('alice.key'), requireRobot: true});
		await expect(person.authorize(url)).rejects.toThrow(/alice\.pem is .*, but 'requireRobot' is set/);
	});

	test('status says when it ends; of a place that was named there is no more to say', async () => {
		const opened = await open({certificate: file('alice.pem'), key: file('alice.key')});
		expect(await opened.status()).toEqual([
			{
				match: url,
				strategy: 'grid-certificate',
				source: 'hostRules[0]',
				available: true,
				diagnostics: [],
				detail: `CN=alice from ${file('alice.pem')}`,
				expiresAt: expect.any(Number),
			},
		]);
		expect(opened.explain(url).notes).toEqual([
			`${file('alice.pem')} with ${file('alice.key')}: named by the option 'certificate' and the option 'key'`,
		]);
	});
});

test('a chain says of each strategy where it looks', async () => {
	await mkdir(join(folder, 'cert'));
	await copyFile(file('alice.pem'), join(folder, 'cert/usercert.pem'));
	const opened = await open(
		{
			of: [
				{strategy: 'grid-certificate', options: {directory: 'cert'}},
				{strategy: 'static-token', options: {token: 'second'}},
			],
		},
		'chain',
	);
	const lacks = `The folder ${folder}/cert, named by the option 'directory', lacks userkey.pem. Put there what it lacks, or name another folder`;
	expect(opened.explain(url).notes).toEqual([
		'grid-certificate: not tried yet',
		`  ${lacks}`,
		'static-token: not tried yet',
	]);
	await expect(opened.authorize(url)).resolves.toMatchObject({headers: {authorization: 'Bearer second'}});
	expect(opened.explain(url).notes?.[0]).toBe(
		`grid-certificate: passed over, as it is not available: ${lacks}`,
	);
	// What is there and cannot be used ends the chain: somebody has to look at it.
	await writeFile(join(folder, 'cert/userkey.pem'), 'nothing', {mode: 0o600});
	await expect(opened.authorize(url)).rejects.toMatchObject({code: 'ERR_GATEPASS_CERTIFICATE'});
	expect((await opened.status())[0]).toMatchObject({
		available: false,
		notes: expect.arrayContaining([expect.stringMatching(/^ {2}.*usercert\.pem with .*named by/)]),
	});
});

test("somebody's own identities need not explain themselves", async () => {
	const own = (await import('tsyringe')).container.createChildContainer();
	const identity = {
		subject: 'CN=vault',
		issuer: 'CN=ca',
		kind: undefined,
		thumbprint: 'a',
		notBefore: 0,
		notAfter: 1,
		files: {certificate: 'vault:cert', key: 'vault:key'},
		material: () => ({cert: '', key: ''}),
	};
	own.register(Identities, {useValue: {load: async () => identity}});
	gatepass = await createGatepass({
		container: own,
		config: {cache: {url: 'memory:'}, hostRules: [{match: url, strategy: 'grid-certificate'}]},
		env: {HOME: folder},
	});
	expect((await gatepass.status())[0]).toMatchObject({available: true, detail: 'CN=vault from vault:cert'});
	expect(gatepass.explain(url).notes ?? []).toEqual([]);
});
