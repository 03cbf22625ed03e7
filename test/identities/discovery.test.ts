/** Where a grid certificate is looked for when a rule does not say: where the grid's tools and cernrequests keep it. */
import {
	appendFileSync,
	copyFileSync,
	lchownSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	realpathSync,
	rmSync,
	symlinkSync,
	unlinkSync,
	writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi} from 'vitest';
import {CredentialUnavailableError} from '../../src/errors.ts';
import {discover} from '../../src/identities/discover.ts';
import {IdentityStore} from '../../src/identities/identity-store.ts';
import type {IdentitySource} from '../../src/strategy/services.ts';
import {type CertificateFiles, createTestAuthority, type TestAuthority} from '../../src/testing/index.ts';

let authority: TestAuthority;
let home: string;
const people = new Map<string, CertificateFiles>();
const names = ['option', 'X509_USER_PROXY', 'tmp', 'X509_USER_CERT', 'named', 'private', 'globus'];
const userProxy = `x509up_u${process.geteuid?.()}`;

beforeAll(async () => {
	authority = await createTestAuthority();
	for (const name of names) people.set(name, await authority.issue(name, {subject: `CN=${name}`}));
	const ended = {subject: 'CN=ended', notBefore: 0, notAfter: Date.UTC(2026, 0, 2)};
	people.set('ended', await authority.issue('ended', ended));
});
afterAll(() => authority.close());
beforeEach(() => {
	home = realpathSync(mkdtempSync(join(tmpdir(), 'gatepass-home-')));
	mkdirSync(join(home, 'tmp'));
});
afterEach(() => {
	vi.restoreAllMocks();
	rmSync(home, {recursive: true, force: true});
});

type Part = 'usercert.pem' | 'userkey.pem';
const both: readonly Part[] = ['usercert.pem', 'userkey.pem'];

/** Put somebody's files into a folder below the home folder. */
function put(folder: string, name: string, parts = both): string {
	const path = join(home, folder);
	mkdirSync(path, {recursive: true});
	const {certificate, key} = people.get(name) as CertificateFiles;
	if (parts.includes('usercert.pem')) copyFileSync(certificate, join(path, 'usercert.pem'));
	if (parts.includes('userkey.pem')) copyFileSync(key, join(path, 'userkey.pem'));
	return path;
}

/** Both in one file, as in a proxy file. */
function putInOneFile(file: string, name: string): string {
	const {certificate, key} = people.get(name) as CertificateFiles;
	writeFileSync(join(home, file), readFileSync(certificate, 'utf8') + readFileSync(key, 'utf8'), {
		mode: 0o600,
	});
	return join(home, file);
}

function open(variables: Record<string, string> = {}): IdentityStore {
	return new IdentityStore(home, {HOME: home, ...variables}, {proxyFolder: join(home, 'tmp')});
}

async function found(source: IdentitySource = {}, variables: Record<string, string> = {}): Promise<string> {
	return (await open(variables).load(source)).subject.replace('CN=', '');
}

async function failure(source: IdentitySource = {}, variables: Record<string, string> = {}): Promise<string> {
	const error: unknown = await open(variables)
		.load(source)
		.catch(error => error);
	expect(error).toBeInstanceOf(CredentialUnavailableError);
	return (error as Error).message;
}

test('each place goes before the next', async () => {
	const variables: Record<string, string> = {};
	put('.globus', 'globus');
	expect(await found({}, variables)).toBe('globus');
	put('private', 'private');
	expect(await found({}, variables)).toBe('private');
	variables.CERN_CERTIFICATE_PATH = put('elsewhere', 'named');
	expect(await found({}, variables)).toBe('named');
	const {certificate, key} = people.get('X509_USER_CERT') as CertificateFiles;
	Object.assign(variables, {X509_USER_CERT: certificate, X509_USER_KEY: key});
	expect(await found({}, variables)).toBe('X509_USER_CERT');
	putInOneFile(`tmp/${userProxy}`, 'tmp');
	expect(await found({}, variables)).toBe('tmp');
	variables.X509_USER_PROXY = putInOneFile('proxy.pem', 'X509_USER_PROXY');
	expect(await found({}, variables)).toBe('X509_USER_PROXY');
	const option = people.get('option') as CertificateFiles;
	expect(await found({certificate: option.certificate, key: option.key}, variables)).toBe('option');
	expect(await found({directory: put('here', 'option')}, variables)).toBe('option');
	expect(await found({proxy: putInOneFile('option.pem', 'option')}, variables)).toBe('option');
});

test('an empty variable is one that is not set; ~ is the home folder', async () => {
	put('private', 'private');
	put('elsewhere', 'named');
	const empty = Object.fromEntries(
		['X509_USER_PROXY', 'X509_USER_CERT', 'X509_USER_KEY', 'CERN_CERTIFICATE_PATH'].map(name => [name, '']),
	);
	expect(await found({}, empty)).toBe('private');
	expect(await found({}, {CERN_CERTIFICATE_PATH: '~/elsewhere'})).toBe('named');
});

test('paths in options start at the folder of the configuration', async () => {
	put('here', 'option');
	expect(await found({directory: 'here'})).toBe('option');
	expect(await found({directory: '~/here'})).toBe('option');
	expect(await found({certificate: 'here/usercert.pem', key: './here/userkey.pem'})).toBe('option');
	putInOneFile('proxy.pem', 'option');
	expect(await found({proxy: 'proxy.pem'})).toBe('option');
});

test('X509_USER_CERT and X509_USER_KEY may name a proxy', async () => {
	const proxy = putInOneFile('proxy.pem', 'X509_USER_PROXY');
	const variables = {X509_USER_CERT: proxy, X509_USER_KEY: proxy};
	expect(await found({}, variables)).toBe('X509_USER_PROXY');
	expect(open(variables).find({})).toMatchObject({kind: 'proxy', certificate: proxy, key: proxy});
});

describe('the forms in a folder', () => {
	const search = (source: IdentitySource, variables: Record<string, string> = {}) =>
		discover(source, home, {HOME: home, ...variables}, {proxyFolder: join(home, 'tmp')}).found;

	test('the pair goes before usercred.p12', () => {
		const folder = put('.globus', 'globus');
		writeFileSync(join(folder, 'usercred.p12'), '');
		expect(search({})).toMatchObject({kind: 'pair', certificate: join(folder, 'usercert.pem')});
	});

	test.each(['directory', 'CERN_CERTIFICATE_PATH', '~/private', '~/.globus'])(
		'usercred.p12 in %s is taken where the pair is not whole',
		place => {
			const folder = place.startsWith('~') ? place.slice(2) : 'elsewhere';
			const file = join(put(folder, 'globus', ['usercert.pem']), 'usercred.p12');
			writeFileSync(file, '');
			const source = place === 'directory' ? {directory: folder} : {};
			const variables: Record<string, string> =
				place === 'CERN_CERTIFICATE_PATH' ? {CERN_CERTIFICATE_PATH: join(home, folder)} : {};
			expect(search({...source, passphrase: 'p', requireRobot: true}, variables)).toMatchObject({
				kind: 'pkcs12',
				certificate: file,
				key: file,
				passphrase: 'p',
				requireRobot: true,
			});
		},
	);
});

describe('a place that was named and lacks what it should have is an error, although others are there', () => {
	beforeEach(() => {
		put('private', 'private');
		put('.globus', 'globus');
	});

	test.each<[string, readonly Part[], RegExp]>([
		['the certificate alone', ['usercert.pem'], / lacks userkey\.pem\. Put/],
		['the key alone', ['userkey.pem'], / lacks usercert\.pem\. Put/],
		['nothing', [], / lacks usercert\.pem and userkey\.pem, and lacks usercred\.p12\. Put/],
	])('a folder with %s', async (_, parts, message) => {
		const folder = put('elsewhere', 'named', parts);
		const byVariable = await failure({}, {CERN_CERTIFICATE_PATH: folder});
		expect(byVariable).toMatch(message);
		expect(byVariable).toContain(`${folder}, named by the variable CERN_CERTIFICATE_PATH,`);
		const byOption = await failure({directory: folder});
		expect(byOption).toMatch(message);
		expect(byOption).toContain(`${folder}, named by the option 'directory',`);
	});

	test('a folder that is not there', async () => {
		const message = await failure({}, {CERN_CERTIFICATE_PATH: join(home, 'none')});
		expect(message).toMatch(
			/^There is no folder .*none, named by the variable CERN_CERTIFICATE_PATH\. Make it/,
		);
	});

	test.each<[string, IdentitySource, Record<string, string>]>([
		["the option 'proxy'", {proxy: 'none.pem'}, {}],
		["the option 'pkcs12'", {pkcs12: 'none.pem'}, {}],
		["the option 'certificate'", {certificate: 'none.pem', key: 'private/userkey.pem'}, {}],
		["the option 'key'", {certificate: 'private/usercert.pem', key: 'none.pem'}, {}],
		['the variable X509_USER_PROXY', {}, {X509_USER_PROXY: '~/none.pem'}],
		[
			'the variable X509_USER_CERT',
			{},
			{X509_USER_CERT: '~/none.pem', X509_USER_KEY: '~/private/userkey.pem'},
		],
		[
			'the variable X509_USER_KEY',
			{},
			{X509_USER_CERT: '~/private/usercert.pem', X509_USER_KEY: '~/none.pem'},
		],
	])('a file named by %s', async (namedBy, source, variables) => {
		expect(await failure(source, variables)).toBe(
			`There is no file ${home}/none.pem, named by ${namedBy}. Put it there, or name another`,
		);
	});

	test('X509_USER_CERT without X509_USER_KEY, and the other way round', async () => {
		const file = join(home, 'private/usercert.pem');
		expect(await failure({}, {X509_USER_CERT: file})).toMatch(
			/^The variable X509_USER_CERT is set, but X509_USER_KEY is not\. Set both/,
		);
		expect(await failure({}, {X509_USER_KEY: file})).toMatch(
			/^The variable X509_USER_KEY is set, but X509_USER_CERT is not\. Set both/,
		);
	});

	test('a link that leads nowhere is there, and said to lead nowhere', async () => {
		symlinkSync('nowhere', join(home, 'proxy.pem'));
		expect(await failure({}, {X509_USER_PROXY: '~/proxy.pem'})).toMatch(
			/proxy\.pem is a symbolic link to a file/,
		);
	});
});

describe('a default place is passed over', () => {
	const passedOver = (variables: Record<string, string> = {}): readonly string[] =>
		open(variables)
			.explain({})
			.map(line => line.replaceAll(home, '~'));

	test('where one of the two files is not there', async () => {
		put('private', 'private', ['usercert.pem']);
		put('.globus', 'globus');
		expect(await found()).toBe('globus');
	});

	test('where a file is a link that leads nowhere, or in a circle', async () => {
		const folder = put('private', 'private', ['usercert.pem']);
		symlinkSync('nowhere', join(folder, 'userkey.pem'));
		put('.globus', 'globus');
		expect(await found()).toBe('globus');
		expect(passedOver()).toContain(
			'~/private: passed over: it has userkey.pem as a symbolic link to a file that is not there',
		);
		unlinkSync(join(folder, 'userkey.pem'));
		symlinkSync('userkey.pem', join(folder, 'userkey.pem'));
		expect(await found()).toBe('globus');
		expect(passedOver()).toContain(
			'~/private: passed over: it has a userkey.pem that cannot be read (ELOOP)',
		);
	});

	test('and explained, each in its turn', () => {
		put('private', 'private', ['userkey.pem']);
		put('.globus', 'globus');
		expect(passedOver()).toEqual([
			'the variable X509_USER_PROXY: passed over: it is not set',
			`~/tmp/${userProxy}: passed over: it does not exist`,
			'the variables X509_USER_CERT and X509_USER_KEY: passed over: they are not set',
			'the variable CERN_CERTIFICATE_PATH: passed over: it is not set',
			'~/private: passed over: it lacks usercert.pem',
			'~/.globus/usercert.pem with ~/.globus/userkey.pem: taken',
		]);
		expect(passedOver({X509_USER_PROXY: putInOneFile('proxy.pem', 'X509_USER_PROXY')})).toEqual([
			'~/proxy.pem: named by the variable X509_USER_PROXY',
		]);
		expect(passedOver({X509_USER_PROXY: '~/none'})).toEqual([
			'There is no file ~/none, named by the variable X509_USER_PROXY. Put it there, or name another',
		]);
	});

	test("where it is yesterday's proxy", async () => {
		put('.globus', 'globus');
		putInOneFile(`tmp/${userProxy}`, 'ended');
		expect(await found()).toBe('globus');
		expect(passedOver()).toContain(`~/tmp/${userProxy}: passed over: it expired on 2026-01-02T00:00:00.000Z`);
	});

	test('where what it was made from has expired', async () => {
		const file = putInOneFile(`tmp/${userProxy}`, 'tmp');
		appendFileSync(file, readFileSync((people.get('ended') as CertificateFiles).certificate));
		expect(passedOver()).toContain(`~/tmp/${userProxy}: passed over: it expired on 2026-01-02T00:00:00.000Z`);
	});

	test('but not where somebody named it', async () => {
		const file = putInOneFile(`tmp/${userProxy}`, 'ended');
		const loading = open({X509_USER_PROXY: file}).load({});
		await expect(loading).rejects.toMatchObject({code: 'ERR_GATEPASS_CERTIFICATE'});
		await expect(loading).rejects.toThrow(/ expired on 2026-01-02/);
	});

	test('and not where the proxy is damaged: that is said', async () => {
		put('.globus', 'globus');
		writeFileSync(join(home, 'tmp', userProxy), 'nothing', {mode: 0o600});
		await expect(open().load({})).rejects.toThrow(/holds no certificate/);
	});

	test('where the proxy, or the link to it, is another user’s', async () => {
		put('.globus', 'globus');
		const own = process.geteuid?.() ?? 0;
		// This user's files, as somebody sees them who is not this user.
		vi.spyOn(process as {geteuid: () => number}, 'geteuid').mockReturnValue(own + 1);
		putInOneFile(`tmp/x509up_u${own + 1}`, 'tmp');
		expect(passedOver()).toContain(`~/tmp/x509up_u${own + 1}: passed over: it belongs to another user`);
		vi.restoreAllMocks();
		// Only root can give a link away.
		if (own !== 0) return;
		symlinkSync(putInOneFile('proxy.pem', 'tmp'), join(home, 'tmp', userProxy));
		expect(await found()).toBe('tmp');
		lchownSync(join(home, 'tmp', userProxy), 65_534, 65_534);
		expect(await found()).toBe('globus');
	});
});

test('none anywhere: says where it looked and what to do', async () => {
	expect((await failure()).replaceAll(home, '~')).toBe(
		'There is no grid certificate (the variable X509_USER_PROXY: it is not set; ' +
			`~/tmp/${userProxy}: it does not exist; the variables X509_USER_CERT and X509_USER_KEY: they are not set; ` +
			'the variable CERN_CERTIFICATE_PATH: it is not set; ~/private: there is no such folder; ' +
			'~/.globus: there is no such folder). Put usercert.pem and userkey.pem into ~/.globus, ' +
			'make a proxy with voms-proxy-init, or name a place in the options',
	);
});
