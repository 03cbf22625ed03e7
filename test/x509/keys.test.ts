/** Private keys in every form that openssl writes. */
import {createPrivateKey, type KeyObject} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {CertificateError} from '../../src/errors.ts';
import {childrenOf, type DerElement, derTag, readElement} from '../../src/x509/der.ts';
import {isPassphraseNeeded} from '../../src/x509/passphrase.ts';
import {decryptPkcs8, isEncryptedKey, openPrivateKey, parsePrivateKey} from '../../src/x509/private-keys.ts';
import {TooMuchWork, WorkBudget} from '../../src/x509/work-budget.ts';
import {cpuOf, turnsDuring} from '../cpu-time.ts';
import {describeWith} from '../servers/availability.ts';
import {opensslServer} from '../servers/openssl-server.ts';
import {type OpensslFolder, openOpensslFolder} from './openssl-folder.ts';

const passphrase = 'hunter2 canary';
const newKeys = {
	rsa: ['RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
	ec: ['EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
	ed25519: ['ED25519'],
};
type KeyType = keyof typeof newKeys;

describeWith(opensslServer, 'private keys', () => {
	let made: OpensslFolder;
	const keys = {} as Record<KeyType, KeyObject>;

	beforeAll(async () => {
		made = await openOpensslFolder();
		for (const type of Object.keys(newKeys) as KeyType[]) {
			await made.openssl('genpkey', '-algorithm', ...newKeys[type], '-out', `${type}.pem`);
			keys[type] = createPrivateKey(readFileSync(made.file(`${type}.pem`)));
		}
	});
	afterAll(() => made.close());

	/** What openssl writes when told so. `IN` stands for the key's file. */
	async function written(type: KeyType, parameters: readonly string[]): Promise<Buffer> {
		const real = parameters.map(parameter => (parameter === 'IN' ? `${type}.pem` : parameter));
		await made.openssl(...real, '-out', 'out');
		return readFileSync(made.file('out'));
	}

	const pkcs8 = ['pkcs8', '-topk8', '-in', 'IN'];
	const secret = ['-passout', `pass:${passphrase}`];
	const all = Object.keys(newKeys) as KeyType[];
	const plain: [string, KeyType[], string[]][] = [
		['PKCS#8 in PEM', all, [...pkcs8, '-nocrypt']],
		['PKCS#8 in DER', all, [...pkcs8, '-nocrypt', '-outform', 'DER']],
		['PKCS#1 in PEM', ['rsa'], ['rsa', '-in', 'IN', '-traditional']],
		['PKCS#1 in DER', ['rsa'], ['rsa', '-in', 'IN', '-traditional', '-outform', 'DER']],
		['SEC1 in PEM', ['ec'], ['ec', '-in', 'IN']],
		['SEC1 in DER', ['ec'], ['ec', '-in', 'IN', '-outform', 'DER']],
	];
	test.each(plain.flatMap(([form, types, parameters]) => types.map(type => ({form, type, parameters}))))(
		'$type: $form',
		async ({type, parameters}) => {
			const bytes = await written(type, parameters);
			expect(isEncryptedKey(bytes)).toBe(false);
			expect(parsePrivateKey(bytes, 'k').equals(keys[type])).toBe(true);
			expect((await openPrivateKey(bytes, 'k', passphrase)).equals(keys[type])).toBe(true);
		},
	);

	const encrypted: [string, KeyType[], string[]][] = [
		['PBES2 with AES-256', all, [...pkcs8, '-v2', 'aes-256-cbc', ...secret]],
		['PBES2 with AES-256 in DER', all, [...pkcs8, '-v2', 'aes-256-cbc', ...secret, '-outform', 'DER']],
		['PBES2 with 3DES', all, [...pkcs8, '-v2', 'des3', ...secret]],
		['scrypt', all, [...pkcs8, '-scrypt', ...secret]],
		['3DES of PKCS#12', all, [...pkcs8, '-v1', 'PBE-SHA1-3DES', ...secret]],
		['Proc-Type with AES-256', ['rsa'], ['rsa', '-in', 'IN', '-traditional', '-aes256', ...secret]],
		['Proc-Type with 3DES', ['rsa'], ['rsa', '-in', 'IN', '-traditional', '-des3', ...secret]],
		['Proc-Type with AES-128', ['ec'], ['ec', '-in', 'IN', '-aes128', ...secret]],
	];
	test.each(encrypted.flatMap(([form, types, parameters]) => types.map(type => ({form, type, parameters}))))(
		'$type: encrypted, $form',
		async ({type, parameters}) => {
			const bytes = await written(type, parameters);
			expect(isEncryptedKey(bytes)).toBe(true);
			for (const text of [bytes, Buffer.from(bytes.toString('latin1').replaceAll('\n', '\r\n'), 'latin1')]) {
				if (text !== bytes && bytes[0] === 0x30) continue;
				expect((await openPrivateKey(text, 'k', passphrase)).equals(keys[type])).toBe(true);
			}
			for (const none of [undefined, '']) {
				const error = await failureOf(() => openPrivateKey(bytes, 'file.key', none));
				expect(isPassphraseNeeded(error)).toBe(true);
				expect(error.message).toBe(
					"The key file.key is encrypted. Give the option 'passphrase', as '${NAME}' for a variable or '${file:/path}' for a file",
				);
			}
			const wrong = await failureOf(() => openPrivateKey(bytes, 'file.key', 'canary hunter3'));
			expect(isPassphraseNeeded(wrong)).toBe(false);
			expect(wrong.message).toBe('The key file.key does not open with the passphrase given. Check both');
		},
	);

	test('a key that asks for more rounds than anybody waits for is refused at once', async () => {
		const bytes = await written('ec', [
			...pkcs8,
			'-v2',
			'aes-256-cbc',
			'-iter',
			'1193046',
			...secret,
			'-outform',
			'DER',
		]);
		const rounds = Buffer.from([0x02, 0x03, 0x12, 0x34, 0x56]);
		const at = bytes.indexOf(rounds);
		expect(at).toBeGreaterThan(0);
		// 8.3 million, which would take some seconds.
		bytes.set([0x7f, 0xff, 0xff], at + 2);
		const spent = await cpuOf(async () =>
			expect((await failureOf(() => openPrivateKey(bytes, 'k', passphrase))).message).toMatch(
				/^The key k does not open: it asks for \d+ rounds of key derivation, more than are made for any file\. Encrypt it again: openssl pkcs8 -topk8 -in k -out k\.new$/,
			),
		);
		expect(spent).toBeLessThan(500);
	});

	/** Write the salt in pieces, as BER allows and DER does not; OpenSSL takes it all the same. */
	function withSaltInPieces(der: Buffer): Buffer {
		const encode = (tag: number, content: Buffer): Buffer => {
			const length =
				content.length < 128 ? [content.length] : [0x82, content.length >> 8, content.length & 0xff];
			return Buffer.concat([Buffer.from([tag, ...length]), content]);
		};
		const rebuild = (element: DerElement): Buffer => {
			const whole = der.subarray(element.start, element.end);
			if (element.tag === derTag.sequence) {
				return encode(element.tag, Buffer.concat(childrenOf(der, element).map(rebuild)));
			}
			// The salt is the only string of eight bytes.
			return element.tag === derTag.octetString && whole.length === 10 ? encode(0x24, whole) : whole;
		};
		return rebuild(readElement(der) as DerElement);
	}

	test('a salt in pieces does not get past the bound: what is counted is what is derived', async () => {
		const bytes = await written('ec', [
			...pkcs8,
			'-v2',
			'aes-256-cbc',
			'-iter',
			'70000',
			...secret,
			'-outform',
			'DER',
		]);
		const inPieces = withSaltInPieces(bytes);
		// The attack is real: OpenSSL opens it.
		const opened = createPrivateKey({key: inPieces, format: 'der', type: 'pkcs8', passphrase});
		expect(opened.equals(keys.ec)).toBe(true);
		const at = inPieces.indexOf(Buffer.from([0x02, 0x03, 0x01, 0x11, 0x70]));
		inPieces.set([0x7f, 0xff, 0xff], at + 2);
		const spent = await cpuOf(async () =>
			expect((await failureOf(() => openPrivateKey(inPieces, 'k', passphrase))).message).toMatch(
				/does not open/,
			),
		);
		expect(spent).toBeLessThan(500);
	});

	test('the rounds of all that a file holds are counted together', async () => {
		const der = await written('ec', [
			...pkcs8,
			'-v2',
			'aes-256-cbc',
			'-iter',
			'70000',
			...secret,
			'-outform',
			'DER',
		]);
		const budget = new WorkBudget();
		await decryptPkcs8(der, passphrase, budget);
		budget.spend(4_000_000);
		budget.spend(4_000_000);
		budget.spend(3_900_000);
		await expect(decryptPkcs8(der, passphrase, budget)).rejects.toThrow(TooMuchWork);
	});

	test('others run while a key is derived', async () => {
		const bytes = await written('ec', [...pkcs8, '-v2', 'aes-256-cbc', '-iter', '1500000', ...secret]);
		const turns = await turnsDuring(() => openPrivateKey(bytes, 'k', passphrase));
		// Derived here, it would be one turn.
		expect(turns.count).toBeGreaterThan(20);
	});

	test('the same for scrypt, whose work is the product of three numbers', async () => {
		const bytes = await written('ec', [...pkcs8, '-scrypt', ...secret, '-outform', 'DER']);
		// 16,384 times 8 times 1.
		const at = bytes.indexOf(Buffer.from([0x02, 0x02, 0x40, 0x00, 0x02, 0x01, 0x08, 0x02, 0x01, 0x01]));
		expect(at).toBeGreaterThan(0);
		bytes[at + 9] = 127;
		const spent = await cpuOf(async () =>
			expect((await failureOf(() => openPrivateKey(bytes, 'k', passphrase))).message).toMatch(
				/^The key k does not open: it asks for \d+ rounds of key derivation, more than are made for any file\. Encrypt it again: openssl pkcs8 -topk8 -in k -out k\.new$/,
			),
		);
		expect(spent).toBeLessThan(500);
	});

	test('a key in one line of a megabyte takes no time', async () => {
		const text = `-----BEGIN RSA PRIVATE KEY-----\n${'A'.repeat(1024 * 1024 - 100)}\n-----END RSA PRIVATE KEY-----\n`;
		const encryptedText = text.replace(
			'\n',
			'\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF\n\n',
		);
		const spent = await cpuOf(async () => {
			expect((await failureOf(() => parsePrivateKey(Buffer.from(text), 'k'))).message).toMatch(
				/damaged or cut off/,
			);
			expect((await failureOf(() => openPrivateKey(Buffer.from(encryptedText), 'k', 'x'))).message).toMatch(
				/does not open/,
			);
		});
		expect(spent).toBeLessThan(500);
	});

	test.each<[string, () => Buffer, RegExp]>([
		['nothing', () => Buffer.alloc(0), /^f holds no private key\. It is empty\. Copy it again$/],
		[
			'text',
			() => Buffer.from('hello'),
			/^f holds no private key\. It should contain '-----BEGIN … PRIVATE KEY-----', or be a key in DER form$/,
		],
		[
			'a public key',
			() =>
				Buffer.from(
					keys.ec.export({type: 'pkcs8', format: 'pem'}).toString().replaceAll('PRIVATE', 'PUBLIC'),
				),
			/^f holds no private key\. It should contain/,
		],
		[
			'half a key',
			() => half(readFileSync(join(made.folder, 'rsa.pem'))),
			/^The key f is damaged or cut off\. Copy it again$/,
		],
		[
			'half a key in DER',
			() => half(keys.rsa.export({type: 'pkcs1', format: 'der'})),
			/^The key f is damaged or cut off\. Copy it again$/,
		],
	])('%s instead of a key', async (_, bytes, message) => {
		const error = await failureOf(() => parsePrivateKey(bytes(), 'f'));
		expect(error.message).toMatch(message);
	});
});

function half(bytes: Buffer): Buffer {
	return bytes.subarray(0, bytes.length / 2);
}

/** No library's error, which might show what the file holds, may stand behind it. */
async function failureOf(act: () => unknown): Promise<CertificateError> {
	try {
		await act();
	} catch (error) {
		expect(error).toBeInstanceOf(CertificateError);
		expect((error as Error).cause).toBeUndefined();
		return error as CertificateError;
	}
	throw new Error('It did not fail');
}
