/** Where a grid certificate is looked for when a rule does not say: as cernrequests does. */
import {copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, afterEach, beforeAll, beforeEach, expect, test} from 'vitest';
import {IdentityStore} from '../../src/identities/identity-store.ts';
import type {IdentitySource} from '../../src/services.ts';
import {type CertificateFiles, createTestAuthority, type TestAuthority} from '../../src/testing/index.ts';

let authority: TestAuthority;
let home: string;
const people = new Map<string, CertificateFiles>();

beforeAll(async () => {
	authority = await createTestAuthority();
	for (const name of ['named', 'private', 'globus', 'option']) {
		people.set(name, await authority.issue(name, {subject: `CN=${name}`}));
	}
});
afterAll(() => authority.close());
beforeEach(() => {
	home = realpathSync(mkdtempSync(join(tmpdir(), 'gatepass-home-')));
});
afterEach(() => rmSync(home, {recursive: true, force: true}));

/** Put somebody's files into a folder below the home folder. */
function put(folder: string, name: string, only: 'both' | 'certificate' | 'key' = 'both'): string {
	const path = join(home, folder);
	mkdirSync(path, {recursive: true});
	const {certificate, key} = people.get(name) as CertificateFiles;
	if (only !== 'key') copyFileSync(certificate, join(path, 'usercert.pem'));
	if (only !== 'certificate') copyFileSync(key, join(path, 'userkey.pem'));
	return path;
}

function load(source: IdentitySource = {}, variables: Record<string, string> = {}) {
	return new IdentityStore(home, {HOME: home, ...variables}).load(source);
}

test('first the folder in CERN_CERTIFICATE_PATH, then ~/private, then ~/.globus', async () => {
	put('.globus', 'globus');
	expect((await load()).subject).toBe('CN=globus');
	put('private', 'private');
	expect((await load()).subject).toBe('CN=private');
	const CERN_CERTIFICATE_PATH = put('elsewhere', 'named');
	expect((await load({}, {CERN_CERTIFICATE_PATH})).subject).toBe('CN=named');
	expect((await load({}, {CERN_CERTIFICATE_PATH: '~/elsewhere'})).subject).toBe('CN=named');
	expect((await load({}, {CERN_CERTIFICATE_PATH: ''})).subject).toBe('CN=private');
});

test('a folder with only one of the two files is passed over', async () => {
	put('private', 'private', 'certificate');
	put('.globus', 'globus');
	expect((await load()).subject).toBe('CN=globus');
});

test.each<['both' | 'certificate' | 'key' | 'neither', RegExp]>([
	['certificate', /lacks userkey\.pem\. /],
	['key', /lacks usercert\.pem\. /],
	['neither', /lacks usercert\.pem and userkey\.pem\. /],
])(
	'a folder that was named and has %s of them is an error, although others are there',
	async (only, message) => {
		put('private', 'private');
		put('.globus', 'globus');
		const folder = only === 'neither' ? join(home, 'none') : put('elsewhere', 'named', only);
		const expected = {code: 'ERR_GATEPASS_CREDENTIAL_UNAVAILABLE', message: expect.stringMatching(message)};
		const byVariable = load({}, {CERN_CERTIFICATE_PATH: folder});
		await expect(byVariable).rejects.toMatchObject(expected);
		await expect(byVariable).rejects.toThrow(`${folder}, named by the variable CERN_CERTIFICATE_PATH`);
		const byOption = load({directory: folder});
		await expect(byOption).rejects.toMatchObject(expected);
		await expect(byOption).rejects.toThrow(`${folder}, named by the option 'directory'`);
	},
);

test('none anywhere: says where it looked and what to do', async () => {
	await expect(load()).rejects.toMatchObject({
		code: 'ERR_GATEPASS_CREDENTIAL_UNAVAILABLE',
		message: `There is no grid certificate: neither ${home}/private nor ${home}/.globus holds both usercert.pem and userkey.pem. Put them there, or name their folder in CERN_CERTIFICATE_PATH or in the option 'directory'`,
	});
});

test('options go before the variable, and start at the folder of the configuration', async () => {
	const CERN_CERTIFICATE_PATH = put('elsewhere', 'named');
	put('here', 'option');
	expect((await load({directory: 'here'}, {CERN_CERTIFICATE_PATH})).subject).toBe('CN=option');
	expect((await load({directory: '~/here'}, {CERN_CERTIFICATE_PATH})).subject).toBe('CN=option');
	const files = {certificate: 'here/usercert.pem', key: './here/userkey.pem'};
	expect((await load(files, {CERN_CERTIFICATE_PATH})).subject).toBe('CN=option');
});
