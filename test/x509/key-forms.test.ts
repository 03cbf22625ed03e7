/** Each form of encryption that a real tool writes opens, or is named with a command that converts it. */
import {execFile} from 'node:child_process';
import {createHmac, createPrivateKey, type KeyObject, pbkdf2Sync, X509Certificate} from 'node:crypto';
import {mkdirSync, readFileSync, renameSync, rmSync} from 'node:fs';
import {createSecureContext} from 'node:tls';
import {promisify} from 'node:util';
import {afterAll, beforeAll, expect, test} from 'vitest';
import type {CertificateError} from '../../src/errors.ts';
import {isPassphraseNeeded, isPassphraseWrong} from '../../src/x509/passphrase.ts';
import {readPkcs12} from '../../src/x509/pkcs12.ts';
import {isEncryptedKey, openPrivateKey} from '../../src/x509/private-keys.ts';
import {describeWith, findProgram} from '../servers/availability.ts';
import {createGridPki, type GridPki} from '../servers/grid-pki.ts';
import {gnutlsTools, keytool, nssTools} from '../servers/key-tools.ts';
import {opensslServer} from '../servers/openssl-server.ts';
import {type Form, formPassphrase, keyForms, pkcs12Forms} from './key-forms.ts';

const run = promisify(execFile);

describeWith([opensslServer, nssTools, gnutlsTools, keytool], 'what tools encrypt', () => {
	let pki: GridPki;
	let key: KeyObject;
	let certificate: X509Certificate;

	beforeAll(async () => {
		pki = await createGridPki();
		key = createPrivateKey(readFileSync(pki.users.alice.key));
		certificate = new X509Certificate(readFileSync(pki.users.alice.certificate));
		await pki.openssl(
			...['pkcs12', '-export', '-in', 'alice.pem', '-inkey', 'alice.key', '-name', 'alice'],
			...['-passout', `pass:${formPassphrase}`, '-out', 'alice.p12'],
		);
		mkdirSync(`${pki.folder}/nss`);
		await call('certutil', ['-N', '-d', 'sql:nss', '--empty-password']);
		await call('pk12util', ['-i', 'alice.p12', '-d', 'sql:nss', '-W', formPassphrase]);
	});
	afterAll(() => pki.close());

	async function call(program: string, parameters: readonly string[]): Promise<void> {
		await run(findProgram(program) as string, parameters, {cwd: pki.folder});
	}

	async function written({tool, parameters}: Form): Promise<Buffer> {
		const files: Readonly<Record<string, string>> = {
			IN: 'alice.key',
			CERTIFICATE: 'alice.pem',
			STORE: 'alice.p12',
			OUT: 'out',
		};
		rmSync(`${pki.folder}/out`, {force: true});
		await call(
			tool,
			parameters.map(parameter => files[parameter] ?? parameter),
		);
		return readFileSync(`${pki.folder}/out`);
	}

	async function failureOf(promise: Promise<unknown>): Promise<CertificateError> {
		const error = await promise.then(
			() => new Error('It opened'),
			(error: CertificateError) => error,
		);
		expect(error).toMatchObject({code: 'ERR_GATEPASS_CERTIFICATE'});
		expect(error.message).not.toContain(formPassphrase);
		return error as CertificateError;
	}

	test.each(keyForms.map(form => [form.title, form] as const))('a key: %s', async (_, form) => {
		const bytes = await written(form);
		expect(isEncryptedKey(bytes)).toBe(true);
		expect(isPassphraseNeeded(await failureOf(openPrivateKey(bytes, 'k', undefined)))).toBe(true);
		if (form.unsupported !== undefined) {
			const {message} = await failureOf(openPrivateKey(bytes, 'k', formPassphrase));
			expect(message).toBe(
				`The key k is encrypted with ${form.unsupported}, which cannot be opened here. Convert it: openssl pkcs8 -topk8 -provider legacy -provider default -in k -out k.new`,
			);
			return;
		}
		expect((await openPrivateKey(bytes, 'k', formPassphrase)).equals(key)).toBe(true);
		const wrong = await failureOf(openPrivateKey(bytes, 'k', 'hunter3'));
		expect(isPassphraseWrong(wrong)).toBe(true);
	});

	test.each(pkcs12Forms.map(form => [form.title, form] as const))('PKCS#12: %s', async (_, form) => {
		const bytes = await written(form);
		if (form.unsupported !== undefined) {
			const {message} = await failureOf(readPkcs12(bytes, 'f', formPassphrase));
			expect(message).toBe(
				`The PKCS#12 file f is protected with ${form.unsupported}, which is not supported. Convert it: openssl pkcs12 -legacy -in f -out f.pem && openssl pkcs12 -export -in f.pem -out f.new`,
			);
			return;
		}
		const {key: found, certificates} = await readPkcs12(bytes, 'f', formPassphrase);
		expect(found.equals(key)).toBe(true);
		expect(certificates[0]?.fingerprint256).toBe(certificate.fingerprint256);
	});

	test('the commands that errors name do convert', async () => {
		const shell = async (text: string): Promise<void> => {
			await run('/bin/sh', ['-c', text.replaceAll('openssl', findProgram('openssl') as string)], {
				cwd: pki.folder,
			});
		};
		const commandIn = (message: string): string => message.slice(message.indexOf('openssl'));
		await written(keyForms.find(({title}) => title === 'PKCS#12: RC4') as Form);
		renameSync(`${pki.folder}/out`, `${pki.folder}/old`);
		const refused = await failureOf(openPrivateKey(readFileSync(`${pki.folder}/old`), 'old', formPassphrase));
		const pass = `-passin 'pass:${formPassphrase}' -passout 'pass:${formPassphrase}'`;
		await shell(commandIn(refused.message).replace('-topk8', `-topk8 ${pass}`));
		const converted = readFileSync(`${pki.folder}/old.new`);
		expect((await openPrivateKey(converted, 'k', formPassphrase)).equals(key)).toBe(true);

		await written(pkcs12Forms.find(({title}) => title === 'OpenSSL: RC4') as Form);
		renameSync(`${pki.folder}/out`, `${pki.folder}/old`);
		const file = await failureOf(readPkcs12(readFileSync(`${pki.folder}/old`), 'old', formPassphrase));
		const command = commandIn(file.message)
			.replace('-legacy', `-legacy ${pass}`)
			.replace('-export', `-export ${pass}`);
		await shell(command);
		const opened = await readPkcs12(readFileSync(`${pki.folder}/old.new`), 'f', formPassphrase);
		expect(opened.key.equals(key)).toBe(true);
	});

	const element = (tag: number, ...parts: Buffer[]): Buffer => {
		const content = Buffer.concat(parts);
		const length =
			content.length < 128
				? Buffer.from([content.length])
				: Buffer.from([0x82, content.length >> 8, content.length & 0xff]);
		return Buffer.concat([Buffer.from([tag]), length, content]);
	};
	const hex = (text: string): Buffer => Buffer.from(text, 'hex');

	/** A file with PBMAC1 (RFC 9579), which openssl writes since 3.4. */
	async function withPbmac1(hash: 'sha256' | 'sha512', secret: string): Promise<Buffer> {
		await pki.openssl(
			...['pkcs12', '-export', '-nomac', '-in', 'alice.pem', '-inkey', 'alice.key'],
			...['-passout', `pass:${formPassphrase}`, '-out', 'out'],
		);
		const file = readFileSync(`${pki.folder}/out`);
		// The outer sequence and the version; then the content, whose octets are what is authenticated.
		const safe = file.subarray(4 + 3);
		const at = safe.indexOf(hex('06092a864886f70d010701')) + 11;
		const content = safe.subarray(at + 4 + 4);
		const prf = {sha256: hex('06082a864886f70d0209'), sha512: hex('06082a864886f70d020b')}[hash];
		const length = hash === 'sha256' ? 32 : 64;
		const salt = Buffer.from('salt of eight');
		const mac = createHmac(hash, pbkdf2Sync(secret, salt, 2048, length, hash))
			.update(content)
			.digest();
		const none = hex('0500');
		const derivation = element(
			0x30,
			hex('06092a864886f70d01050c'),
			element(
				0x30,
				element(4, salt),
				hex('02020800'),
				element(2, Buffer.from([length])),
				element(0x30, prf, none),
			),
		);
		const algorithm = element(
			0x30,
			hex('06092a864886f70d01050e'),
			element(0x30, derivation, element(0x30, prf, none)),
		);
		// Of the salt and the rounds outside, RFC 9579 says that they do not count.
		const macData = element(
			0x30,
			element(0x30, algorithm, element(4, mac)),
			element(4, Buffer.from('none')),
			hex('020101'),
		);
		return element(0x30, hex('020103'), safe, macData);
	}

	test.each(['sha256', 'sha512'] as const)('PKCS#12: PBMAC1 with %s', async hash => {
		const bytes = await withPbmac1(hash, formPassphrase);
		const {key: found} = await readPkcs12(bytes, 'f', formPassphrase);
		expect(found.equals(key)).toBe(true);
		const other = await withPbmac1(hash, 'another');
		expect((await failureOf(readPkcs12(other, 'f', formPassphrase))).message).toMatch(/does not open/);
		// So does OpenSSL, where it knows of it.
		const [major = 0, minor = 0] = process.versions.openssl.split('.').map(Number);
		if (major < 3 || (major === 3 && minor < 4)) return;
		expect(() => createSecureContext({pfx: bytes, passphrase: formPassphrase})).not.toThrow();
		expect(() => createSecureContext({pfx: other, passphrase: formPassphrase})).toThrow();
	});
});
