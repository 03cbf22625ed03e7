/** Private keys in PEM and in DER: PKCS#8 (RFC 5958), PKCS#1 (RFC 8017), SEC1 (RFC 5915), encrypted or not. */
import {createPrivateKey, type KeyObject} from 'node:crypto';
import {CertificateError} from '../errors.ts';
import type {HeldKey} from './choose-identity.ts';
import {childrenOf, derTag, readElement} from './der.ts';
import {derFormOf, formsOf, type KeyForm} from './form.ts';
import {decryptByHeaders, isEncryptedByHeaders} from './header-encryption.ts';
import {UnsupportedScheme} from './old-ciphers.ts';
import {isPassphraseNeeded, passphraseNeeded, passphraseWrong} from './passphrase.ts';
import {decryptWithPassphrase} from './passphrase-encryption.ts';
import {pemBlocks} from './pem.ts';
import {TooMuchWork, WorkBudget} from './work-budget.ts';

/** A key of RSA with 16,384 bits has 9 kB. */
const largestKey = 64 * 1024;

const keyLabel = /^(?:RSA |EC |ENCRYPTED )?PRIVATE KEY$/;

/**
 * The first private key of a file that is not encrypted.
 *
 * @throws {CertificateError} where there is none, or it is damaged. Where it is encrypted, `isPassphraseNeeded` knows
 * the error.
 */
export function parsePrivateKey(bytes: Buffer, file: string): KeyObject {
	return openPlain(findKey(bytes, file), file);
}

function openPlain(encoded: EncodedKey, file: string): KeyObject {
	if (encoded.isEncrypted) throw passphraseNeeded(`The key ${file}`);
	try {
		return open(encoded);
	} catch {
		// The library's error is left out: it says nothing that a person could use.
		throw new CertificateError({
			code: 'key-damaged',
			what: `The key ${file} is damaged or cut off`,
			hint: 'Copy it again',
		});
	}
}

/**
 * The first private key of a file, encrypted or not.
 *
 * @throws {CertificateError} where there is none, it is damaged, or does not open. Where no passphrase was given and
 * one is needed, `isPassphraseNeeded` knows the error.
 */
export async function openPrivateKey(
	bytes: Buffer,
	file: string,
	passphrase: string | undefined,
): Promise<KeyObject> {
	return openEncoded(findKey(bytes, file), file, passphrase, new WorkBudget());
}

async function openEncoded(
	encoded: EncodedKey,
	file: string,
	passphrase: string | undefined,
	budget: WorkBudget,
): Promise<KeyObject> {
	if (!encoded.isEncrypted || passphrase === undefined || passphrase === '') return openPlain(encoded, file);
	try {
		return open({...encoded, ...(await decrypt(encoded, passphrase, budget))});
	} catch (error) {
		throw explained(error, file);
	}
}

/** So many are looked at in one file. */
const mostKeys = 100;

/**
 * All private keys of a file. Where there are several, those that do not open are left out; but a file that asks for too
 * much work is not used at all, as it would take its time again at each look.
 *
 * @throws {CertificateError} as {@link openPrivateKey}, where none opens.
 */
export async function openPrivateKeys(
	bytes: Buffer,
	file: string,
	passphrase: string | undefined,
): Promise<HeldKey[]> {
	const encoded = allKeys(bytes).slice(0, mostKeys);
	if (encoded.length === 0) throw noKey(bytes, file);
	const budget = new WorkBudget();
	const keys: HeldKey[] = [];
	let failure: unknown;
	for (const one of encoded) {
		try {
			keys.push({key: await openEncoded(one, file, passphrase, budget), alias: one.alias});
		} catch (error) {
			if (asksForTooMuch(error)) throw error;
			if (failure === undefined || isPassphraseNeeded(error)) failure = error;
		}
	}
	if (keys.length > 0) return keys;
	throw failure;
}

function asksForTooMuch(error: unknown): boolean {
	return error instanceof CertificateError && error.diagnostics[0]?.code === 'key-derivation-too-long';
}

/** Whether the first private key of a file asks for a passphrase. */
export function isEncryptedKey(bytes: Buffer): boolean {
	return findFirst(bytes)?.isEncrypted ?? false;
}

interface EncodedKey {
	readonly der: Buffer;
	readonly form: KeyForm;
	readonly isEncrypted: boolean;
	/** Where these say how it is encrypted. */
	readonly headers?: string;
	readonly alias?: string | undefined;
}

function findKey(bytes: Buffer, file: string): EncodedKey {
	const encoded = findFirst(bytes);
	if (encoded !== undefined) return encoded;
	throw noKey(bytes, file);
}

function noKey(bytes: Buffer, file: string): CertificateError {
	return new CertificateError({
		code: 'key-missing',
		what: `${file} holds no private key`,
		hint: hintFor(bytes),
	});
}

function findFirst(bytes: Buffer): EncodedKey | undefined {
	return allKeys(bytes)[0];
}

function allKeys(bytes: Buffer): EncodedKey[] {
	const form = derFormOf(bytes);
	if (form === 'pkcs8' || form === 'pkcs1' || form === 'sec1' || form === 'encrypted pkcs8') {
		return [{der: bytes, form, isEncrypted: form === 'encrypted pkcs8'}];
	}
	if (form !== undefined) return [];
	return pemBlocks(bytes)
		.filter(({label}) => keyLabel.test(label))
		.map(({label, headers, base64, isWhole, alias}) => {
			const der = isWhole ? Buffer.from(base64, 'base64') : Buffer.alloc(0);
			const common = {der, form: formOfLabel(label), alias};
			if (isEncryptedByHeaders(headers)) return {...common, isEncrypted: true, headers};
			return {...common, isEncrypted: label === 'ENCRYPTED PRIVATE KEY'};
		});
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

function open({der, form}: Pick<EncodedKey, 'der' | 'form'>): KeyObject {
	if (der.length > largestKey) throw new Error('It is too long');
	return createPrivateKey({key: der, format: 'der', type: form as 'pkcs8' | 'pkcs1' | 'sec1'});
}

/** What is encrypted is never given to OpenSSL as it is: nothing else would run while that derives the key. */
async function decrypt(
	{der, form, headers}: EncodedKey,
	passphrase: string,
	budget: WorkBudget,
): Promise<Pick<EncodedKey, 'der' | 'form'>> {
	if (der.length > largestKey) throw new Error('It is too long');
	if (headers !== undefined) return {der: await decryptByHeaders(headers, der, passphrase), form};
	return {der: await decryptPkcs8(der, passphrase, budget), form: 'pkcs8'};
}

/** RFC 5958 section 3: an algorithm, and what it has encrypted. */
export async function decryptPkcs8(
	der: Buffer,
	passphrase: string | null,
	budget: WorkBudget,
): Promise<Buffer> {
	const outer = readElement(der);
	const [identifier, content] = outer === undefined ? [] : childrenOf(der, outer);
	if (identifier?.tag !== derTag.sequence || content?.tag !== derTag.octetString)
		throw new Error('It is no DER');
	return decryptWithPassphrase(
		der.subarray(identifier.start, identifier.end),
		der.subarray(content.begin, content.end),
		passphrase,
		budget,
	);
}

function explained(error: unknown, file: string): CertificateError {
	if (error instanceof UnsupportedScheme) {
		return new CertificateError({
			code: 'key-encryption-unsupported',
			what: `The key ${file} is encrypted with ${error.scheme}, which cannot be opened here`,
			hint: `Convert it: openssl pkcs8 -topk8 -provider legacy -provider default -in ${file} -out ${file}.new`,
		});
	}
	if (error instanceof TooMuchWork) {
		return new CertificateError({
			code: 'key-derivation-too-long',
			what: `The key ${file} does not open: it asks for ${error.rounds} rounds of key derivation, more than are made for any file`,
			hint: `Encrypt it again: openssl pkcs8 -topk8 -in ${file} -out ${file}.new`,
		});
	}
	// The library's error is left out: it says nothing that a person could use.
	return passphraseWrong(`The key ${file} does not open with the passphrase given`, 'Check both');
}

function hintFor(bytes: Buffer): string {
	const forms = formsOf(bytes);
	if (bytes.length === 0) return 'It is empty. Copy it again';
	if (forms.includes('certificate')) return 'It holds only a certificate: name the file that holds its key';
	if (forms.includes('pkcs12')) return "It is a PKCS#12 file: name it in the option 'pkcs12'";
	return "It should contain '-----BEGIN … PRIVATE KEY-----', or be a key in DER form";
}
