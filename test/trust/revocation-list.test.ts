/** Revocation lists: each kind of signature, each form, and what no bytes can make of them. */

import type {X509Certificate} from 'node:crypto';
import {readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import fc from 'fast-check';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {parseRevocationList} from '../../src/trust/revocation-list.ts';
import {cpuOf} from '../cpu-time.ts';
import {describeWith} from '../servers/availability.ts';
import {opensslServer} from '../servers/openssl-server.ts';
import {createPki, type Holder, type Pki} from './pki.ts';

let pki: Pki;
let ca: Holder;
let own: X509Certificate;
let revoked: Holder;
let other: Holder;
let der: Buffer;

const derOf = (pem: string): Buffer => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');

beforeAll(async () => {
	pki = await createPki();
	ca = await pki.authority('ca', '/CN=ca');
	own = await ca.read();
	revoked = await pki.issue('revoked', '/CN=revoked', ca);
	other = await pki.issue('other', '/CN=other', ca);
	der = derOf(await pki.list(ca, {revoked: [revoked]}));
});
afterAll(() => pki?.close());

describeWith(opensslServer, 'a revocation list', () => {
	test('tells who is revoked, and how long it holds', async () => {
		const list = parseRevocationList(der);
		expect(list.revokes(await revoked.read())).toBe(true);
		expect(list.revokes(await other.read())).toBe(false);
		expect(list).toMatchObject({size: 1, isComplete: true});
		expect(list.isSignedBy(own)).toBe(true);
		expect(list.isSignedBy(await (await pki.authority('impostor', '/CN=ca')).read())).toBe(false);
		const day = 86_400_000;
		expect(Math.abs(list.thisUpdate - Date.now())).toBeLessThan(60_000);
		expect(list.nextUpdate).toBe(list.thisUpdate + 2 * day);
		const late = parseRevocationList(derOf(await pki.list(ca, {nextUpdate: '20550201030405Z'})));
		expect(late.nextUpdate).toBe(Date.UTC(2055, 1, 1, 3, 4, 5));
		expect(late.thisUpdate).toBe(Date.UTC(2020, 0, 1));
	});

	test('in PEM, with text around it', async () => {
		const pem = await pki.list(ca, {revoked: [revoked]});
		for (const text of [pem, pem.replaceAll('\n', '\r\n'), `Certificate Revocation List\n${pem}\n`]) {
			expect(parseRevocationList(Buffer.from(text)).size).toBe(1);
		}
	});

	test.each([
		['RSA', ['rsa:2048'], []],
		['RSA with SHA-512', ['rsa:2048'], ['-md', 'sha512']],
		['RSA with SHA-1', ['rsa:2048'], ['-md', 'sha1']],
		['RSA-PSS', ['rsa:2048'], ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:32']],
		['RSA-PSS with SHA-384', ['rsa:2048'], ['-md', 'sha384', '-sigopt', 'rsa_padding_mode:pss']],
		['ECDSA with P-384', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384'], ['-md', 'sha384']],
		['Ed25519', ['ed25519'], ['-md', 'null']],
	])('signed with %s', async (name, key, signing) => {
		const signer = await pki.authority(name.replaceAll(' ', '-'), `/CN=${name}`, undefined, [
			'-newkey',
			...key,
		]);
		const list = parseRevocationList(derOf(await pki.list(signer, {signing})));
		expect(list.isSignedBy(await signer.read())).toBe(true);
		expect(list.isSignedBy(own)).toBe(false);
	});

	test('signed with MD5 counts for nothing', async () => {
		const signer = await pki.authority('md5', '/CN=md5', undefined, ['-newkey', 'rsa:2048']);
		const list = parseRevocationList(derOf(await pki.list(signer, {signing: ['-md', 'md5']})));
		expect(list.isSignedBy(await signer.read())).toBe(false);
	});

	test('with an extension that must be heeded, but is not known, does not tell all', async () => {
		const with_ = async (...extensions: string[]) =>
			parseRevocationList(derOf(await pki.list(ca, {extensions})));
		expect((await with_('1.2.3.4 = critical, DER:0500')).isComplete).toBe(false);
		expect((await with_('1.2.3.4 = DER:0500')).isComplete).toBe(true);
		const point = [
			'issuingDistributionPoint = critical, @idp',
			'[idp]',
			'fullname = URI:http://localhost/ca.crl',
		];
		expect((await with_(...point)).isComplete).toBe(true);
		expect((await with_(...point, 'onlyuser = TRUE')).isComplete).toBe(false);
	});

	test('no byte of it can be another one', () => {
		fc.assert(
			fc.property(fc.nat(der.length - 1), fc.integer({min: 1, max: 255}), (at, change) => {
				const changed = Buffer.from(der);
				changed[at] = (changed[at] as number) ^ change;
				let list: ReturnType<typeof parseRevocationList>;
				try {
					list = parseRevocationList(changed);
				} catch (error) {
					expect((error as Error).message).toMatch(/^holds /);
					return;
				}
				expect(list.isSignedBy(own)).toBe(false);
			}),
			{numRuns: 3000},
		);
	});

	test('whatever the bytes, it is read or refused', () => {
		const torn = fc.nat(der.length - 1).map(length => der.subarray(0, length));
		const some = fc.uint8Array({maxLength: 300}).map(bytes => Buffer.from([0x30, ...bytes]));
		const mixed = fc
			.tuple(fc.nat(der.length - 1), fc.uint8Array({maxLength: 20}), fc.nat(20))
			.map(([at, bytes, skip]) => Buffer.concat([der.subarray(0, at), bytes, der.subarray(at + skip)]));
		fc.assert(
			fc.property(fc.oneof(torn, some, mixed, fc.uint8Array().map(Buffer.from)), bytes => {
				try {
					const list = parseRevocationList(bytes);
					list.revokes(own);
					if (list.isSignedBy(own)) expect(bytes.subarray(0, der.length)).toEqual(der);
				} catch (error) {
					expect((error as Error).message).toMatch(/^holds /);
				}
			}),
			{numRuns: 3000},
		);
	});

	test('with 100,000 entries is read in less than seconds', async () => {
		const index = Array.from(
			{length: 100_000},
			(_, at) =>
				`R\t491231235959Z\t250101000000Z\t8F${(at * 7919).toString(16).padStart(30, '0').toUpperCase()}\tunknown\t/CN=${at}`,
		);
		await writeFile(join(pki.folder, 'big-index'), `${index.join('\n')}\n`);
		await writeFile(join(pki.folder, 'big-number'), '01\n');
		await writeFile(
			join(pki.folder, 'big.cnf'),
			'[ca]\ndefault_ca = own\n[own]\ndatabase = big-index\ncrlnumber = big-number\ndefault_md = sha256\ndefault_crl_days = 2\n',
		);
		const parameters = ['-config', 'big.cnf', '-keyfile', ca.key, '-cert', ca.certificate];
		await pki.openssl('ca', ...parameters, '-gencrl', '-out', 'big.crl');
		const bytes = await readFile(join(pki.folder, 'big.crl'));
		const other = await revoked.read();
		const spent = await cpuOf(() => {
			const list = parseRevocationList(bytes);
			expect(list.isSignedBy(own)).toBe(true);
			expect(list.size).toBe(100_000);
			expect(list.revokes(other)).toBe(false);
		});
		// It takes 50 ms; a library of ASN.1 takes seconds.
		expect(spent).toBeLessThan(3000);
	});
});
