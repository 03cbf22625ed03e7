/** Certificates and keys that cannot be used: each is told before any server sees it, with the file and the hint. */
import {createPrivateKey, X509Certificate} from 'node:crypto';
import {chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {inspect} from 'node:util';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi} from 'vitest';
import {CertificateError} from '../../src/errors.ts';
import {IdentityStore} from '../../src/identities/identity-store.ts';
import {type LoadedIdentity, readIdentity} from '../../src/identities/read-identity.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/index.ts';

const day = 86_400_000;
const passphrase = 'hunter2 canary';

let authority: TestAuthority;
let folder: string;
let alice: {certificate: string; key: string};
let bob: {certificate: string; key: string};
let caText: string;

beforeAll(async () => {
	authority = await createTestAuthority();
	const read = async (name: string, dates = {}): Promise<{certificate: string; key: string}> => {
		const files = await authority.issue(name, {subject: `CN=${name},O=Example`, ...dates});
		return {certificate: readFileSync(files.certificate, 'utf8'), key: readFileSync(files.key, 'utf8')};
	};
	alice = await read('alice');
	bob = await read('bob');
	caText = readFileSync(authority.ca, 'utf8');
});
afterAll(() => authority.close());
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), 'gatepass-identity-'));
});
afterEach(() => {
	vi.useRealTimers();
	rmSync(folder, {recursive: true, force: true});
});

/** Write the two texts and read them as an identity. */
function read(certificate: string | Buffer, key: string | Buffer, secret?: string): Promise<LoadedIdentity> {
	writeFileSync(join(folder, 'cert.pem'), certificate);
	writeFileSync(join(folder, 'key.pem'), key, {mode: 0o600});
	return readPair(join(folder, 'cert.pem'), join(folder, 'key.pem'), secret);
}

function readPair(certificate: string, key: string, secret?: string): Promise<LoadedIdentity> {
	return readIdentity({kind: 'pair', certificate, key, passphrase: secret, namedBy: 'the test'});
}

function encrypted(cipher = 'aes-256-cbc'): string {
	const key = createPrivateKey(alice.key);
	return key.export({type: 'pkcs8', format: 'pem', cipher, passphrase}) as string;
}

test('what is right is read, and says what it is', async () => {
	const identity = await read(alice.certificate, alice.key);
	const {validTo, fingerprint256} = new X509Certificate(alice.certificate);
	expect(identity).toMatchObject({
		subject: 'CN=alice,O=Example',
		thumbprint: fingerprint256.replaceAll(':', '').toLowerCase(),
		notAfter: Date.parse(validTo),
		files: {certificate: join(folder, 'cert.pem'), key: join(folder, 'key.pem')},
	});
	expect(createPrivateKey(identity.material().key).equals(createPrivateKey(alice.key))).toBe(true);
	expect(inspect(identity, {depth: 10, showHidden: true}) + JSON.stringify(identity)).not.toContain(
		'PRIVATE KEY',
	);
});

describe('what is right in another way is read too', () => {
	test.each<[string, (text: string) => string]>([
		['Windows line ends', text => text.replaceAll('\n', '\r\n')],
		['a byte order mark', text => `\uFEFF${text}`],
		[
			'text around it, as openssl writes',
			text => `Bag Attributes\n  friendlyName: x\n${text}\nsubject=CN=x\n`,
		],
		['blank lines', text => `\n\n${text}\n\n`],
	])('%s', async (_, change) => {
		expect((await read(change(alice.certificate), change(alice.key))).subject).toBe('CN=alice,O=Example');
	});

	test('a chain behind the certificate, all of which is shown', async () => {
		const {material} = await read(alice.certificate + caText, alice.key).then(identity => ({
			material: identity.material(),
		}));
		expect(material.cert.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
	});

	test('a chain in the wrong order, twice', async () => {
		const {material} = await read(caText + alice.certificate + caText, alice.key).then(identity => ({
			material: identity.material(),
		}));
		const [first, ...others] = material.cert.split(/(?=-----BEGIN)/);
		expect(new X509Certificate(first as string).subject).toContain('CN=alice');
		expect(others).toHaveLength(1);
	});

	test('certificate and key in DER', async () => {
		const key = createPrivateKey(alice.key).export({type: 'pkcs8', format: 'der'});
		const identity = await read(new X509Certificate(alice.certificate).raw, key);
		expect(identity.subject).toBe('CN=alice,O=Example');
	});

	test('both in one file', async () => {
		const both = alice.key + alice.certificate;
		expect((await read(both, both)).subject).toBe('CN=alice,O=Example');
	});

	test.each(['aes-256-cbc', 'aes-128-cbc', 'des-ede3-cbc'])('a key encrypted with %s', async cipher => {
		expect((await read(alice.certificate, encrypted(cipher), passphrase)).subject).toBe('CN=alice,O=Example');
	});

	test('a passphrase for a key that has none', async () => {
		expect((await read(alice.certificate, alice.key, passphrase)).subject).toBe('CN=alice,O=Example');
	});
});

describe('what is wrong', () => {
	const cutOff = (text: string): string => text.slice(0, text.length / 2);
	const damaged = (text: string): string => text.replace(/\n([A-Za-z0-9+/]{20})/, '\n!!!!!!!!!!!!!!!!!!!!');
	test.each<[string, () => Promise<unknown>, RegExp]>([
		[
			'the two exchanged',
			() => read(alice.key, alice.certificate),
			/cert\.pem holds no certificate\. It holds a private key: .* exchanged\?/,
		],
		[
			'a certificate for the key',
			() => read(alice.certificate, alice.certificate),
			/key\.pem holds no private key\. It holds only a certificate: name the file that holds its key$/,
		],
		[
			'an empty certificate',
			() => read('', alice.key),
			/cert\.pem holds no certificate\. It is empty\. Copy it again/,
		],
		[
			'an empty key',
			() => read(alice.certificate, ''),
			/key\.pem holds no private key\. It is empty\. Copy it again/,
		],
		[
			'a certificate cut off',
			() => read(cutOff(alice.certificate), alice.key),
			/The certificate in .*cert\.pem is damaged or cut off\. Copy it again/,
		],
		[
			'a certificate without its end',
			() => read(alice.certificate.replace(/-----END.*/s, ''), alice.key),
			/The certificate in .*cert\.pem is damaged or cut off/,
		],
		[
			'a chain cut off',
			() => read(alice.certificate + cutOff(caText), alice.key),
			/A certificate in .*cert\.pem is damaged or cut off/,
		],
		[
			'a chain damaged',
			() => read(alice.certificate + damaged(caText), alice.key),
			/A certificate in .*cert\.pem is damaged or cut off/,
		],
		[
			'a key cut off',
			() => read(alice.certificate, cutOff(alice.key)),
			/key\.pem is damaged or cut off\. Copy it again/,
		],
		[
			'a damaged certificate',
			() => read(damaged(alice.certificate), alice.key),
			/cert\.pem is damaged or cut off/,
		],
		['a damaged key', () => read(alice.certificate, damaged(alice.key)), /key\.pem is damaged or cut off/],
		[
			'binary files',
			() => read(Buffer.alloc(1000, 0x80), Buffer.alloc(1000, 0x80)),
			/cert\.pem holds no certificate/,
		],
		[
			'10 MB for a certificate',
			() => read(Buffer.alloc(10_000_000, 0x41), alice.key),
			/cert\.pem has 10000000 bytes, too many/,
		],
		[
			'10 MB for a key',
			() => read(alice.certificate, alice.key + 'A'.repeat(10_000_000)),
			/key\.pem has \d+ bytes, too many/,
		],
		[
			"somebody else's key",
			() => read(alice.certificate, bob.key),
			/key\.pem does not belong to the certificate .*cert\.pem\. Name the pair/,
		],
		[
			'no passphrase',
			() => read(alice.certificate, encrypted()),
			/key\.pem is encrypted\. Give the option 'passphrase'/,
		],
		[
			'an empty passphrase',
			() => read(alice.certificate, encrypted(), ''),
			/key\.pem (?:is encrypted|does not open)/,
		],
		[
			'the wrong passphrase',
			() => read(alice.certificate, encrypted(), 'canary hunter3'),
			/key\.pem does not open with the passphrase given\. Check both/,
		],
	])('%s', async (_, attempt, message) => {
		const error: unknown = await attempt().catch(error => error);
		expect(error).toBeInstanceOf(CertificateError);
		expect((error as Error).message).toMatch(message);
		const shown = inspect(error, {depth: 10, showHidden: true});
		for (const secret of ['canary', 'hunter', alice.key.split('\n')[1] ?? ''])
			expect(shown).not.toContain(secret);
	});

	test('a folder in the place of a file', async () => {
		mkdirSync(join(folder, 'cert.pem'));
		writeFileSync(join(folder, 'key.pem'), alice.key, {mode: 0o600});
		const reading = readPair(join(folder, 'cert.pem'), join(folder, 'key.pem'));
		await expect(reading).rejects.toThrow(/cert\.pem is not a file but a folder\. Name the file itself/);
	});

	test('a device in the place of a file', async () => {
		const reading = readPair('/dev/zero', '/dev/zero');
		await expect(reading).rejects.toThrow(/is not a file/);
	});

	test('a file that is missing is a credential that is unavailable', async () => {
		const reading = readPair(join(folder, 'none.pem'), join(folder, 'none.key'));
		await expect(reading).rejects.toMatchObject({
			code: 'ERR_GATEPASS_CREDENTIAL_UNAVAILABLE',
			message: expect.stringMatching(
				/There is no file .*none\.(?:pem|key)\. Put the certificate or key there/,
			),
		});
	});

	test('a file that this user may not read', async () => {
		writeFileSync(join(folder, 'cert.pem'), alice.certificate);
		writeFileSync(join(folder, 'key.pem'), alice.key, {mode: 0o600});
		chmodSync(folder, 0o755);
		// Root may read everything, so its part is played by another user.
		const isRoot = process.geteuid?.() === 0;
		if (isRoot) process.seteuid?.(65_534);
		else chmodSync(join(folder, 'key.pem'), 0);
		try {
			const reading = readPair(join(folder, 'cert.pem'), join(folder, 'key.pem'));
			await expect(reading).rejects.toThrow(
				/key\.pem cannot be read \(EACCES\)\. Make it readable for this user/,
			);
		} finally {
			if (isRoot) process.seteuid?.(0);
		}
	});

	test('a certificate that has expired, and one that has not begun', async () => {
		vi.useFakeTimers({toFake: ['Date'], now: Date.now() + 3 * day});
		await expect(read(alice.certificate, alice.key)).rejects.toThrow(
			/cert\.pem expired on \d{4}-\d\d-\d\d\. Renew it/,
		);
		vi.setSystemTime(Date.now() - 6 * day);
		await expect(read(alice.certificate, alice.key)).rejects.toThrow(
			/cert\.pem begins on \d{4}-\d\d-\d\d\. Check this machine's clock/,
		);
	});
});

describe('the store of identities', () => {
	function files(): {certificate: string; key: string} {
		writeFileSync(join(folder, 'cert.pem'), alice.certificate);
		writeFileSync(join(folder, 'key.pem'), alice.key, {mode: 0o600});
		return {certificate: 'cert.pem', key: 'key.pem'};
	}

	test('gives one object for one source, however it is written and how many ask at once', async () => {
		const store = new IdentityStore(folder, {});
		const source = files();
		const loaded = await Promise.all([
			store.load(source),
			store.load(source),
			store.load({certificate: './cert.pem', key: join(folder, 'key.pem')}),
		]);
		expect(new Set(loaded).size).toBe(1);
		expect(await store.load(source)).toBe(loaded[0]);
	});

	test('does not keep a failure', async () => {
		const store = new IdentityStore(folder, {});
		const source = files();
		writeFileSync(join(folder, 'cert.pem'), '');
		await expect(store.load(source)).rejects.toThrow(CertificateError);
		files();
		expect((await store.load(source)).subject).toBe('CN=alice,O=Example');
	});

	test('reads one that has expired again: it may have been renewed in its place', async () => {
		const store = new IdentityStore(folder, {});
		const source = files();
		const first = await store.load(source);
		vi.useFakeTimers({toFake: ['Date'], now: Date.now() + 3 * day});
		await expect(store.load(source)).rejects.toThrow(/expired on/);
		const renewed = await authority.issue('renewed', {subject: 'CN=renewed', notAfter: Date.now() + day});
		writeFileSync(join(folder, 'cert.pem'), readFileSync(renewed.certificate));
		writeFileSync(join(folder, 'key.pem'), readFileSync(renewed.key), {mode: 0o600});
		const [second, third] = await Promise.all([store.load(source), store.load(source)]);
		expect(second).not.toBe(first);
		expect(second.subject).toBe('CN=renewed');
		expect(third).toBe(second);
	});

	test('that is asked by many at once for one that was renewed gives them one object', async () => {
		const store = new IdentityStore(folder, {});
		const source = files();
		await store.load(source);
		vi.useFakeTimers({toFake: ['Date'], now: Date.now() + 3 * day});
		const renewed = await authority.issue('renewed-2', {subject: 'CN=renewed', notAfter: Date.now() + day});
		writeFileSync(join(folder, 'cert.pem'), readFileSync(renewed.certificate));
		writeFileSync(join(folder, 'key.pem'), readFileSync(renewed.key), {mode: 0o600});
		const loaded = await Promise.all(Array.from({length: 10}, () => store.load(source)));
		expect(new Set(loaded).size).toBe(1);
		expect(loaded[0]?.subject).toBe('CN=renewed');
	});
});
