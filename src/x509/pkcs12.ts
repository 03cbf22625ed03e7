/**
 * PKCS#12 files (RFC 7292), in modern and in legacy encryption.
 *
 * OpenSSL 3 opens the legacy ones only with a module that Node does not have, and tells no key; so node-forge opens
 * them, in JavaScript. It is loaded only when there is such a file.
 */
import {createPrivateKey, type KeyObject, X509Certificate} from 'node:crypto';
import type forge from 'node-forge';
import {CertificateError} from '../errors.ts';
import {withoutDuplicates} from './certificates.ts';
import {derFormOf, formsOf} from './form.ts';
import {passphraseNeeded} from './passphrase.ts';

/** More rounds of key derivation than this are no protection but a trap: they are made in JavaScript. */
const mostRounds = 1_000_000;

/**
 * The key and all certificates of a PKCS#12 file, the certificate of the key first.
 *
 * @throws {CertificateError} where it is damaged, does not open, or lacks a key or a certificate. Where no passphrase
 * was given and one is needed, `isPassphraseNeeded` knows the error.
 */
export async function readPkcs12(
	bytes: Buffer,
	file: string,
	passphrase: string | undefined,
): Promise<{key: KeyObject; certificates: X509Certificate[]}> {
	if (derFormOf(bytes) !== 'pkcs12') {
		throw new CertificateError(`${file} is not a PKCS#12 file. ${mendFor(bytes)}`);
	}
	const {default: library} = await import('node-forge');
	const content = openFile(library, bytes, file, passphrase);
	const bags = content.safeContents.flatMap(({safeBags}) => safeBags);
	let keys: KeyObject[];
	let certificates: X509Certificate[];
	try {
		keys = bags.flatMap(bag => keyOf(library, bag) ?? []);
		certificates = withoutDuplicates(bags.flatMap(bag => certificateOf(library, bag) ?? []));
	} catch {
		throw damaged(file);
	}
	if (keys.length === 0) throw lacking(file, 'private key');
	if (certificates.length === 0) throw lacking(file, 'certificate');
	for (const key of keys) {
		const own = certificates.find(certificate => certificate.checkPrivateKey(key));
		if (own !== undefined) return {key, certificates: withoutDuplicates([own, ...certificates])};
	}
	throw new CertificateError(
		`The key in ${file} does not belong to any certificate in it. Export the two together anew`,
	);
}

type Forge = typeof forge;

/** Every library's error is left out: it says nothing that a person could use. */
function openFile(
	library: Forge,
	bytes: Buffer,
	file: string,
	passphrase: string | undefined,
): forge.pkcs12.Pkcs12Pfx {
	let structure: forge.asn1.Asn1;
	try {
		structure = library.asn1.fromDer(bytes.toString('latin1'), false);
		if (roundsOf(library, structure) > mostRounds) throw new Error('It asks for too many rounds');
	} catch {
		throw damaged(file);
	}
	// An empty passphrase is written as an empty text or as none at all; each program has its own way.
	for (const candidate of passphrase ? [passphrase] : ['', undefined]) {
		try {
			return library.pkcs12.pkcs12FromAsn1(structure, false, candidate as string);
		} catch {}
	}
	if (!passphrase) throw passphraseNeeded(`The file ${file}`);
	throw new CertificateError(
		`The file ${file} does not open with the passphrase given. Check the passphrase, and that the file is whole`,
	);
}

/** The largest number of rounds of any key derivation: each is written as a salt followed by the number. */
function roundsOf(library: Forge, {value}: forge.asn1.Asn1, depth = 0): number {
	const {OCTETSTRING, INTEGER} = library.asn1.Type;
	// Real files go some fifteen levels deep.
	if (!Array.isArray(value) || depth > 40) return 0;
	let most = 0;
	for (const [index, child] of value.entries()) {
		if (child.type === INTEGER && value[index - 1]?.type === OCTETSTRING) {
			const digits = Buffer.from(String(child.value), 'latin1').toString('hex');
			most = Math.max(most, Number.parseInt(digits, 16) || 0);
		}
		most = Math.max(most, roundsOf(library, insideOf(library, child), depth + 1));
	}
	return most;
}

/** What an octet string holds is often an element itself. */
function insideOf(library: Forge, element: forge.asn1.Asn1): forge.asn1.Asn1 {
	if (element.type !== library.asn1.Type.OCTETSTRING || typeof element.value !== 'string') return element;
	try {
		return {...element, value: [library.asn1.fromDer(element.value, false)]};
	} catch {
		return element;
	}
}

/** RSA keys come decoded, others as they stand in the file. */
function keyOf(library: Forge, {key, asn1, type}: forge.pkcs12.Bag): KeyObject | undefined {
	const {oids} = library.pki;
	if (type !== oids.keyBag && type !== oids.pkcs8ShroudedKeyBag) return undefined;
	if (key) {
		return createPrivateKey({
			key: toDer(library, library.pki.privateKeyToAsn1(key)),
			format: 'der',
			type: 'pkcs1',
		});
	}
	return createPrivateKey({key: toDer(library, asn1), format: 'der', type: 'pkcs8'});
}

function certificateOf(library: Forge, {cert, asn1, type}: forge.pkcs12.Bag): X509Certificate | undefined {
	if (type !== library.pki.oids.certBag) return undefined;
	return new X509Certificate(toDer(library, cert ? library.pki.certificateToAsn1(cert) : asn1));
}

function toDer(library: Forge, element: forge.asn1.Asn1): Buffer {
	return Buffer.from(library.asn1.toDer(element).getBytes(), 'latin1');
}

function damaged(file: string): CertificateError {
	return new CertificateError(`The PKCS#12 file ${file} is damaged or cut off. Copy it anew`);
}

function lacking(file: string, what: string): CertificateError {
	return new CertificateError(
		`The PKCS#12 file ${file} holds no ${what}. Export key and certificate together`,
	);
}

function mendFor(bytes: Buffer): string {
	if (bytes.length === 0) return 'It is empty. Copy it anew';
	const forms = formsOf(bytes);
	if (forms.length > 0) return `It holds a ${forms[0]}: name it in the options 'certificate' and 'key'`;
	return "It should be what 'openssl pkcs12 -export' or a browser's export gives";
}
