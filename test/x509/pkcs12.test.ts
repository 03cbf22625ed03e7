/** PKCS#12 files as openssl writes them, in modern and in legacy encryption. */
import {createPrivateKey, X509Certificate} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {CertificateError} from '../../src/errors.ts';
import {isPassphraseNeeded} from '../../src/x509/passphrase.ts';
import {readPkcs12} from '../../src/x509/pkcs12.ts';
import {cpuOf, type Turns, turnsDuring} from '../cpu-time.ts';
import {describeWith} from '../servers/availability.ts';
import {createGridPki, type GridPki} from '../servers/grid-pki.ts';
import {opensslServer} from '../servers/openssl-server.ts';

const passphrase = 'hunter2 canary';
const users = ['alice', 'ecdsa', 'ed25519'] as const;
type User = (typeof users)[number];

describeWith(opensslServer, 'PKCS#12', () => {
	let pki: GridPki;
	beforeAll(async () => {
		pki = await createGridPki();
	});
	afterAll(() => pki.close());

	async function exported(user: User, parameters: readonly string[], secret = passphrase): Promise<Buffer> {
		await pki.openssl(
			...['pkcs12', '-export', '-in', `${user}.pem`, '-inkey', `${user}.key`, '-name', user],
			...[...parameters, '-passout', `pass:${secret}`, '-out', 'out.p12'],
		);
		return readFileSync(`${pki.folder}/out.p12`);
	}

	/** Key and first certificate must be the very ones that went in. */
	async function expectUser(user: User, bytes: Buffer, secret: string | undefined): Promise<number> {
		const {key, certificates} = await readPkcs12(bytes, 'f.p12', secret);
		const original = new X509Certificate(readFileSync(pki.users[user].certificate));
		expect(certificates[0]?.raw.equals(original.raw)).toBe(true);
		expect(key.equals(createPrivateKey(readFileSync(pki.users[user].key)))).toBe(true);
		return certificates.length;
	}

	const forms: [string, string[]][] = [
		['modern: AES-256, SHA-256', []],
		['AES-128, SHA-512', ['-keypbe', 'AES-128-CBC', '-certpbe', 'AES-128-CBC', '-macalg', 'sha512']],
		[
			'AES-192 with HMAC-SHA1, SHA-1',
			['-keypbe', 'AES-192-CBC', '-certpbe', 'AES-192-CBC', '-macalg', 'sha1'],
		],
		['legacy: RC2-40 and 3DES, SHA-1', ['-legacy']],
		['legacy: 3DES for both', ['-legacy', '-descert']],
		['legacy: RC2-40 for both', ['-legacy', '-keypbe', 'PBE-SHA1-RC2-40', '-certpbe', 'PBE-SHA1-RC2-40']],
		['without a check of its wholeness', ['-nomac']],
		['with the certificates plain', ['-certpbe', 'NONE']],
		['with the key plain', ['-keypbe', 'NONE']],
	];
	test.each(forms.flatMap(([form, parameters]) => users.map(user => ({form, user, parameters}))))(
		'$user: $form',
		async ({user, parameters}) => {
			expect(await expectUser(user, await exported(user, parameters), passphrase)).toBe(1);
		},
	);

	test.each([[], ['-legacy']])('a passphrase beyond ASCII %j', async (...parameters) => {
		const secret = 'Größe € 𝄞';
		await expectUser('ecdsa', await exported('ecdsa', parameters, secret), secret);
	});

	test.each([[], ['-legacy'], ['-keypbe', 'NONE', '-certpbe', 'NONE', '-nomac']])(
		'no passphrase %j',
		async (...parameters) => {
			const bytes = await exported('ecdsa', parameters, '');
			await expectUser('ecdsa', bytes, undefined);
			await expectUser('ecdsa', bytes, '');
		},
	);

	test('no passphrase at all, which is not the same as an empty one: openssl writes none such', async () => {
		const {default: forge} = await import('node-forge');
		const [certificate, key] = ['pem', 'key'].map(end => readFileSync(`${pki.folder}/alice.${end}`, 'utf8'));
		const none = null as unknown as string;
		const structure = forge.pkcs12.toPkcs12Asn1(
			forge.pki.privateKeyFromPem(key as string),
			[forge.pki.certificateFromPem(certificate as string)],
			none,
		);
		await expectUser('alice', Buffer.from(forge.asn1.toDer(structure).getBytes(), 'latin1'), undefined);
	});

	test('the whole chain comes out, the own certificate first', async () => {
		const bytes = await exported('alice', ['-certfile', 'ca.pem', '-CAfile', 'ca.pem', '-chain']);
		expect(await expectUser('alice', bytes, passphrase)).toBe(3);
		const {certificates} = await readPkcs12(bytes, 'f', passphrase);
		expect(new Set(certificates.map(({fingerprint256}) => fingerprint256)).size).toBe(3);
	});

	test('with lengths left open (BER), as some browsers write', async () => {
		const der = await exported('ecdsa', []);
		const headerLength = 2 + ((der[1] as number) - 0x80);
		const open = Buffer.concat([Buffer.from([0x30, 0x80]), der.subarray(headerLength), Buffer.from([0, 0])]);
		await expectUser('ecdsa', open, passphrase);
	});

	test.each(forms.filter(([form]) => !form.includes('plain')))(
		'%s: needs its passphrase',
		async (_, parameters) => {
			const bytes = await exported('ecdsa', parameters);
			for (const none of [undefined, '']) {
				const error = await failureOf(readPkcs12(bytes, 'my.p12', none));
				expect(isPassphraseNeeded(error)).toBe(true);
				expect(error.message).toMatch(/^The file my\.p12 is encrypted\. Give the option 'passphrase', as/);
			}
			const wrong = await failureOf(readPkcs12(bytes, 'my.p12', 'canary hunter3'));
			expect(isPassphraseNeeded(wrong)).toBe(false);
			expect(wrong.message).toMatch(
				/^The file my\.p12 does not open with the passphrase given\. Check the passphrase/,
			);
		},
	);

	test.each<[string, () => Promise<Buffer> | Buffer, RegExp]>([
		['nothing', () => Buffer.alloc(0), /^f is not a PKCS#12 file\. It is empty\. Copy it again$/],
		[
			'a certificate',
			() => readFileSync(pki.users.alice.certificate),
			/^f is not a PKCS#12 file\. It holds a certificate or a key: name the two in the options 'certificate' and 'key'$/,
		],
		[
			'bytes',
			() => Buffer.alloc(1000, 0x80),
			/^f is not a PKCS#12 file\. It should be what 'openssl pkcs12 -export'/,
		],
		[
			'half a file',
			async () => (await exported('alice', [])).subarray(0, 800),
			/^The PKCS#12 file f is damaged or cut off\. Copy it again$/,
		],
		[
			'a cipher that is not supported',
			() => exported('alice', ['-legacy', '-certpbe', 'PBE-SHA1-RC4-128']),
			/^The PKCS#12 file f is protected with RC4 with 128 bits \(PKCS#12\), which is not supported\. Convert it: openssl pkcs12 -legacy -in f -out f\.pem && openssl pkcs12 -export -in f\.pem -out f\.new$/,
		],
		[
			'no key',
			() => exported('alice', ['-nokeys']),
			/^The PKCS#12 file f holds no private key\. Export key and certificate together$/,
		],
		[
			'no certificate',
			() => exported('alice', ['-nocerts']),
			/^The PKCS#12 file f holds no certificate\. Export key and certificate together$/,
		],
	])('%s', async (_, bytes, message) => {
		expect((await failureOf(readPkcs12(await bytes(), 'f', passphrase))).message).toMatch(message);
	});

	test('a byte changed inside is noticed, although it would decrypt', async () => {
		const bytes = await exported('alice', ['-certpbe', 'NONE']);
		const at = bytes.indexOf('gatepass');
		expect(at).toBeGreaterThan(0);
		bytes.write('g4tepass', at);
		expect((await failureOf(readPkcs12(bytes, 'f', passphrase))).message).toMatch(/does not open/);
	});

	test("somebody else's key in it", async () => {
		// openssl does not put them together, so the key is exchanged in a file that hides and checks nothing.
		const bytes = await exported('ecdsa', ['-keypbe', 'NONE', '-certpbe', 'NONE', '-nomac']);
		const own = createPrivateKey(readFileSync(pki.users.ecdsa.key)).export({type: 'pkcs8', format: 'der'});
		const at = bytes.indexOf(own);
		expect(at).toBeGreaterThan(0);
		bytes.set(await freshKey(), at);
		expect((await failureOf(readPkcs12(bytes, 'f', undefined))).message).toBe(
			'The key in f does not belong to any certificate in it. Export the two together again',
		);
	});

	async function freshKey(): Promise<Buffer> {
		await pki.openssl(
			'genpkey',
			'-algorithm',
			'EC',
			'-pkeyopt',
			'ec_paramgen_curve:P-256',
			'-out',
			'fresh.key',
		);
		return createPrivateKey(readFileSync(`${pki.folder}/fresh.key`)).export({type: 'pkcs8', format: 'der'});
	}

	test('one with as many rounds as browsers ask for lets other things run meanwhile', async () => {
		const bytes = await exported('ecdsa', ['-iter', '600000']);
		// Loads the library, which takes a while of its own.
		await expectUser('ecdsa', await exported('ecdsa', []), passphrase);
		let turns: Turns = {count: 0, longest: 0};
		const spent = await cpuOf(async () => {
			turns = await turnsDuring(() => expectUser('ecdsa', bytes, passphrase));
		});
		// Derived in one go, even one of the keys would be a turn of a third of it and more; it is a fiftieth.
		expect(turns.longest).toBeLessThan(spent / 8);
	});

	test('one that asks for more rounds than anybody waits for is refused at once', async () => {
		const bytes = await exported('ecdsa', ['-iter', '70000']);
		const rounds = Buffer.from([0x02, 0x03, 0x01, 0x11, 0x70]);
		const at = bytes.lastIndexOf(rounds);
		expect(at).toBeGreaterThan(0);
		bytes.set([0x7f, 0xff, 0xff], at + 2);
		const spent = await cpuOf(async () =>
			expect((await failureOf(readPkcs12(bytes, 'f', passphrase))).message).toMatch(
				/^The PKCS#12 file f does not open: it asks for \d+ rounds of key derivation/,
			),
		);
		expect(spent).toBeLessThan(500);
	});

	test('a key encrypted with scrypt opens, and is refused at once where that asks for too much', async () => {
		await pki.openssl(
			...['pkcs8', '-topk8', '-scrypt', '-in', 'ecdsa.key', '-passout', `pass:${passphrase}`],
			...['-outform', 'DER', '-out', 'scrypt.der'],
		);
		const key = readFileSync(`${pki.folder}/scrypt.der`);
		const certificate = new X509Certificate(readFileSync(pki.users.ecdsa.certificate)).raw;
		expect(await expectUser('ecdsa', withoutMac(key, certificate), passphrase)).toBe(1);
		// 16,384 times 8 times 1.
		const at = key.indexOf(Buffer.from([0x02, 0x02, 0x40, 0x00, 0x02, 0x01, 0x08, 0x02, 0x01, 0x01]));
		expect(at).toBeGreaterThan(0);
		key[at + 9] = 127;
		const spent = await cpuOf(async () =>
			expect((await failureOf(readPkcs12(withoutMac(key, certificate), 'f', passphrase))).message).toMatch(
				/does not open: it asks for \d+ rounds/,
			),
		);
		expect(spent).toBeLessThan(500);
	});
});

/** A PKCS#12 file (RFC 7292 section 4) around an encrypted key, as openssl makes none with scrypt. */
function withoutMac(encryptedKey: Buffer, certificate: Buffer): Buffer {
	const element = (tag: number, ...parts: Buffer[]): Buffer => {
		const content = Buffer.concat(parts);
		const length = Buffer.from([0x82, content.length >> 8, content.length & 0xff]);
		return Buffer.concat([Buffer.from([tag]), length, content]);
	};
	const sequence = (...parts: Buffer[]): Buffer => element(0x30, ...parts);
	const octets = (...parts: Buffer[]): Buffer => element(0x04, ...parts);
	const tagged = (...parts: Buffer[]): Buffer => element(0xa0, ...parts);
	const identifier = (hex: string): Buffer => Buffer.from(hex, 'hex');
	const data = identifier('06092a864886f70d010701');
	const keyBag = sequence(identifier('060b2a864886f70d010c0a0102'), tagged(encryptedKey));
	const x509 = sequence(identifier('060a2a864886f70d01091601'), tagged(octets(certificate)));
	const certificateBag = sequence(identifier('060b2a864886f70d010c0a0103'), tagged(x509));
	const safe = sequence(data, tagged(octets(sequence(keyBag, certificateBag))));
	return sequence(Buffer.from([2, 1, 3]), sequence(data, tagged(octets(sequence(safe)))));
}

/** No library's error may stand behind it, and nothing in it may show a secret. */
async function failureOf(promise: Promise<unknown>): Promise<CertificateError> {
	const error: unknown = await promise.then(
		() => new Error('It did not fail'),
		error => error,
	);
	expect(error).toBeInstanceOf(CertificateError);
	expect((error as Error).cause).toBeUndefined();
	expect((error as Error).message).not.toMatch(/canary|hunter/);
	return error as CertificateError;
}
