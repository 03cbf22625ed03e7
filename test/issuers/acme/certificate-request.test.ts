/** Certificate requests that are made here, as OpenSSL reads them, and those of others. */
import {execFileSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import type {CertificateKeyType} from '../../../src/config/certificate-settings.ts';
import {
	generateCertificateKey,
	identifierOf,
	makeCertificateRequest,
	readCertificateRequest,
	validateKeyCsr,
} from '../../../src/issuers/acme/certificate-request.ts';

async function folder(): Promise<string> {
	const made = await mkdtemp(join(tmpdir(), 'gatepass-request-'));
	onTestFinished(() => rm(made, {recursive: true, force: true}));
	return made;
}

const kinds: readonly [CertificateKeyType, RegExp][] = [
	[{type: 'ecdsa'}, /ecdsa-with-SHA256.*ASN1 OID: prime256v1/s],
	[{type: 'ecdsa', curve: 'secp384r1'}, /ASN1 OID: secp384r1.*ecdsa-with-SHA384/s],
	[{type: 'rsa', size: 3072}, /\(3072 bit\).*sha256WithRSAEncryption/s],
];

test.each(kinds)('of a key %j is what OpenSSL takes, with every kind of name', async (kind, words) => {
	const key = generateCertificateKey(kind);
	const names = ['www.example.org', '*.example.org', '192.0.2.1', '2001:db8::1', 'bücher.example'];
	const request = makeCertificateRequest(key, names.map(identifierOf));
	const file = join(await folder(), 'request.der');
	await writeFile(file, request);
	const said = execFileSync(
		'openssl',
		['req', '-inform', 'DER', '-in', file, '-noout', '-verify', '-text', '-nameopt', 'RFC2253'],
		{encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe']},
	);
	for (const one of words.source.split('.*')) expect(said).toMatch(new RegExp(one));
	expect(said).toMatch(
		/DNS:www\.example\.org, DNS:\*\.example\.org, IP Address:192\.0\.2\.1, IP Address:2001:DB8:0:0:0:0:0:1, DNS:xn--bcher-kva\.example/,
	);
	expect(said).toMatch(/Subject:\s*\n/);
	// And what this project itself reads in those of others.
	const {identifiers} = await readCertificateRequest(request);
	expect(identifiers.map(({value}) => value)).toEqual([
		...['www.example.org', '*.example.org', '192.0.2.1', '2001:db8::1', 'xn--bcher-kva.example'],
	]);
	const pem = key.export({type: 'pkcs8', format: 'pem'}) as string;
	await validateKeyCsr(pem, request);
});

test('of others is read in PEM and in DER', async () => {
	const place = await folder();
	const [pem, der, key] = ['r.pem', 'r.der', 'k.pem'].map(name => join(place, name)) as [
		string,
		string,
		string,
	];
	const quiet = {stdio: 'ignore'} as const;
	execFileSync(
		'openssl',
		[
			...['req', '-new', '-newkey', 'rsa:2048', '-nodes', '-subj', '/', '-keyout', key, '-out', pem],
			...['-addext', 'subjectAltName=DNS:r.example.test'],
		],
		quiet,
	);
	execFileSync('openssl', ['req', '-in', pem, '-outform', 'DER', '-out', der], quiet);
	const [one, other] = [
		await readCertificateRequest(readFileSync(pem, 'utf8')),
		await readCertificateRequest(readFileSync(der)),
	];
	expect(one).toEqual(other);
	expect(one.identifiers).toEqual([{type: 'dns', value: 'r.example.test'}]);
	expect(await readCertificateRequest(readFileSync(pem))).toEqual(one);
	await validateKeyCsr(readFileSync(key), readFileSync(der));
	// As older tools head it, with words around it, and the key in DER.
	const wordy = readFileSync(pem, 'utf8').replaceAll('CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST');
	execFileSync('openssl', ['pkey', '-in', key, '-outform', 'DER', '-out', `${key}.der`], quiet);
	await validateKeyCsr(readFileSync(`${key}.der`), Buffer.from(`For Alice\n${wordy}`));
});

test('and its key: three messages', async () => {
	const [key, other] = [generateCertificateKey(), generateCertificateKey()];
	const pem = key.export({type: 'pkcs8', format: 'pem'}) as string;
	const request = makeCertificateRequest(key, [identifierOf('a.example.test')]);
	await validateKeyCsr(pem);
	await expect(validateKeyCsr('no key')).rejects.toMatchObject({
		message: expect.stringContaining('The private key is not valid'),
		diagnostics: [{code: 'key-damaged'}],
	});
	const broken = Buffer.from(request);
	broken.writeUInt8(broken.readUInt8(broken.length - 1) ^ 1, broken.length - 1);
	for (const unsound of [broken, 'no request', pem, Buffer.from(pem)]) {
		await expect(validateKeyCsr(pem, unsound)).rejects.toMatchObject({
			message: expect.stringContaining('The certificate request is not valid'),
			diagnostics: [{code: 'certificate-request-malformed'}],
		});
	}
	await expect(
		validateKeyCsr(other.export({type: 'pkcs8', format: 'pem'}) as string, request),
	).rejects.toMatchObject({
		message: expect.stringContaining('The private key and the certificate request do not match'),
		diagnostics: [{code: 'key-does-not-match'}],
	});
	await expect(readCertificateRequest(makeCertificateRequest(key, []))).rejects.toThrow(/subjectAltName/);
});
