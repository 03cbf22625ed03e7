/** Where the KDCs of a realm are, by files as the library reads them. */
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {kdcsOf} from '../../strategies/kerberos/realm-kdcs.ts';

let folder: string;
beforeEach(async () => {
	folder = await mkdtemp(join(tmpdir(), 'gatepass-kdcs-'));
});
afterEach(() => rm(folder, {recursive: true, force: true}));

async function write(name: string, text: string): Promise<string> {
	const file = join(folder, name);
	await mkdir(join(file, '..'), {recursive: true});
	await writeFile(file, text);
	return file;
}

test('those of the realm, in their order; without a realm, of the one that is the default', async () => {
	const file = await write(
		'krb5.conf',
		[
			'# kdc = comment',
			'[libdefaults]',
			'  default_realm = HOME.TEST',
			'[realms]',
			'  HOME.TEST = {',
			'    kdc = a.home.test:88',
			'    v4_instance_convert = {',
			'      kdc = not-one',
			'    }',
			'    kdc* = "tcp/b.home.test"',
			'  }',
			'  OTHER.TEST = {',
			'    kdc = c.other.test',
			'  }',
			'[domain_realm]',
			'  kdc = OTHER.TEST',
		].join('\n'),
	);
	const home = [`a.home.test:88 (${file})`, `tcp/b.home.test (${file})`];
	expect(await kdcsOf('HOME.TEST', file)).toEqual(home);
	expect(await kdcsOf(undefined, file)).toEqual(home);
	expect(await kdcsOf('OTHER.TEST', file)).toEqual([`c.other.test (${file})`]);
});

test('of files that are included, and of several', async () => {
	const inFolder = await write('conf.d/site', '[realms]\nA.TEST = {\nkdc = a.test\n}\n');
	await write('conf.d/site.rpmsave~', '[realms]\nA.TEST = {\nkdc = old.test\n}\n');
	const first = await write(
		'first.conf',
		`includedir ${join(folder, 'conf.d')}\ninclude ${folder}/first.conf\n`,
	);
	const second = await write('second.conf', '[realms]\r\nB.TEST = {\r\nkdc = b.test\r\n}\r\n');
	const both = `${first}:${join(folder, 'not-there')}:${second}`;
	expect(new Set(await kdcsOf('A.TEST', both))).toEqual(new Set([`a.test (${inFolder})`]));
	expect(await kdcsOf('B.TEST', both)).toEqual([`b.test (${second})`]);
});

test('none where no file names one, and DNS is not to be asked', async () => {
	const file = await write('krb5.conf', '[libdefaults]\ndns_lookup_kdc = false\n');
	expect(await kdcsOf('HOME.TEST', file)).toEqual([]);
	expect(await kdcsOf(undefined, join(folder, 'not-there'))).toEqual([]);
});
