/** Private keys in PEM and in DER: PKCS#8 (RFC 5958), PKCS#1 (RFC 8017), SEC1 (RFC 5915), encrypted or not. */
import {createPrivateKey, type KeyObject} from 'node:crypto';
import {CertificateError} from '../errors.ts';
import {derivationRounds} from './derivation.ts';
import {derFormOf, formsOf, type KeyForm} from './form.ts';
import {passphraseNeeded, passphraseWrong} from './passphrase.ts';
import {type PemBlock, pemBlocks} from './pem.ts';

/** A key of RSA with 16,384 bits has 9 kB. */
const largestKey = 64 * 1024;

/** More rounds than this are no protection but a trap: SHA-256 takes some three seconds for as many. */
const mostRounds = 5_000_000;

const keyLabel = /^(?:RSA |EC |ENCRYPTED )?PRIVATE KEY$/;

/**
 * The first private key of a file.
 *
 * @throws {CertificateError} where there is none, it is damaged, or does not open. Where no passphrase was given and
 * one is needed, `isPassphraseNeeded` knows the error.
 */
export function parsePrivateKey(bytes: Buffer, file: string, passphrase?: string): KeyObject {
	const encoded = findKey(bytes);
	if (encoded === undefined) throw new CertificateError(`${file} holds no private key. ${mendFor(bytes)}`);
	if (encoded.isEncrypted && (passphrase === undefined || passphrase === '')) {
		throw passphraseNeeded(`The key ${file}`);
	}
	try {
		if (encoded.der.length > largestKey) throw new Error('It is too long');
		if (derivationRounds(encoded.der) > mostRounds) throw new Error('It asks for too many rounds');
		return encoded.isEncrypted ? decrypt(encoded, passphrase as string) : open(encoded);
	} catch {
		// The library's error is left out: it says nothing that a person could use.
		throw encoded.isEncrypted
			? passphraseWrong(`The key ${file} does not open with the passphrase given. Check both`)
			: new CertificateError(`The key ${file} is damaged or cut off. Copy it again`);
	}
}

/** Whether the first private key of a file asks for a passphrase. */
export function isEncryptedKey(bytes: Buffer): boolean {
	return findKey(bytes)?.isEncrypted ?? false;
}

interface EncodedKey {
	readonly der: Buffer;
	readonly form: KeyForm | undefined;
	readonly isEncrypted: boolean;
	/** Where it is encrypted in the old way, by headers. */
	readonly block?: PemBlock;
}

function findKey(bytes: Buffer): EncodedKey | undefined {
	const form = derFormOf(bytes);
	if (form === 'pkcs8' || form === 'pkcs1' || form === 'sec1' || form === 'encrypted pkcs8') {
		return {der: bytes, form, isEncrypted: form === 'encrypted pkcs8'};
	}
	if (form !== undefined) return undefined;
	const block = pemBlocks(bytes).find(({label}) => keyLabel.test(label));
	if (block === undefined) return undefined;
	const der = block.isWhole ? Buffer.from(block.base64, 'base64') : Buffer.alloc(0);
	if (/^Proc-Type:.*ENCRYPTED/m.test(block.headers)) {
		return {der, form: block.label === 'EC PRIVATE KEY' ? 'sec1' : 'pkcs1', isEncrypted: true, block};
	}
	return {der, form: formOfLabel(block.label), isEncrypted: block.label === 'ENCRYPTED PRIVATE KEY'};
}

function formOfLabel(label: string): KeyForm {
	switch (label) {
		case 'RSA PRIVATE KEY':
			return 'pkcs1';
		case 'EC PRIVATE KEY':
			return 'sec1';
		case 'ENCRYPTED PRIVATE KEY':
			return 'encrypted pkcs8';
		default:
			return 'pkcs8';
	}
}

function open({der, form}: EncodedKey): KeyObject {
	const type = form as 'pkcs8' | 'pkcs1' | 'sec1';
	return createPrivateKey({key: der, format: 'der', type});
}

function decrypt({der, block}: EncodedKey, passphrase: string): KeyObject {
	if (block === undefined) return createPrivateKey({key: der, format: 'der', type: 'pkcs8', passphrase});
	// The headers say how it is encrypted, so OpenSSL needs them; it takes ages over a line that does not end.
	const lines = block.base64.match(/.{1,64}/g) ?? [];
	const {label, headers} = block;
	const key = `-----BEGIN ${label}-----\n${headers}\n\n${lines.join('\n')}\n-----END ${label}-----\n`;
	return createPrivateKey({key, format: 'pem', passphrase});
}

function mendFor(bytes: Buffer): string {
	const forms = formsOf(bytes);
	if (bytes.length === 0) return 'It is empty. Copy it again';
	if (forms.includes('certificate')) return 'It holds only a certificate: name the file that holds its key';
	if (forms.includes('pkcs12')) return "It is a PKCS#12 file: name it in the option 'pkcs12'";
	return "It should contain '-----BEGIN … PRIVATE KEY-----', or be a key in DER form";
}
