import {execFile, execFileSync} from 'node:child_process';
import {X509Certificate} from 'node:crypto';
import {globSync, readFileSync} from 'node:fs';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {oldSubjectHash, subjectHash} from '../../src/x509/subject-hash.ts';

const run = promisify(execFile);
let folder: string;
beforeAll(async () => {
	folder = await mkdtemp(join(tmpdir(), 'gatepass-hash-'));
});
afterAll(() => rm(folder, {recursive: true, force: true}));

function hashesByOpenssl(file: string): string[] {
	const args = ['x509', '-in', file, '-noout', '-subject_hash', '-subject_hash_old'];
	return execFileSync('openssl', args, {encoding: 'utf8'}).trim().split('\n');
}

function hashes(file: string): string[] {
	const certificate = new X509Certificate(readFileSync(file));
	return [subjectHash(certificate), oldSubjectHash(certificate)];
}

const bundled = globSync('bundles/*/certificates/*.0', {cwd: join(import.meta.dirname, '../..')});

test.each(bundled)('%s has the hashes that openssl gives it', file => {
	const path = join(import.meta.dirname, '../..', file);
	expect(hashes(path)).toEqual(hashesByOpenssl(path));
});

// What OpenSSL holds for equal has one hash, and the old one tells it apart.
test.each([
	['capital letters', '/O=Example Lab/CN=GRID Authority', 'utf8only'],
	['spaces', '/O=  Example   Lab /CN=Grid Authority', 'utf8only'],
	['other letters', '/O=Gruppe Ä/CN=Ünïcode Authority', 'utf8only'],
	['strings of one byte and of two bytes a letter', '/O=Gruppe Ä/CN=Łódź Authority', 'default'],
	['several values in one part', '/O=Example/OU=b+CN=a', 'utf8only'],
	['a long value', `/O=${'x'.repeat(60)}/OU=${'y'.repeat(60)}/CN=${'z'.repeat(60)}`, 'utf8only'],
])('%s in a subject', async (_, subject, mask) => {
	const file = join(folder, `${mask}.pem`);
	const configuration = `[req]\nstring_mask = ${mask}\ndistinguished_name = dn\n[dn]\n`;
	const config = join(folder, 'openssl.cnf');
	await writeFile(config, configuration);
	await run('openssl', [
		...[
			'req',
			'-x509',
			'-newkey',
			'ec',
			'-pkeyopt',
			'ec_paramgen_curve:P-256',
			'-nodes',
			'-utf8',
			'-multivalue-rdn',
		],
		...['-config', config, '-subj', subject, '-keyout', join(folder, 'key.pem'), '-out', file, '-days', '1'],
	]);
	expect(hashes(file)).toEqual(hashesByOpenssl(file));
});
