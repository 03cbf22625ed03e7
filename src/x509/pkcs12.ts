/**
 * PKCS#12 files (RFC 7292), in modern and in legacy encryption.
 *
 * OpenSSL 3 opens the legacy ones only with a module that Node does not have, and Node shows no key of a file that it
 * opens. So node-forge takes them apart, which are often BER, and deciphers RC2; it is loaded only when there is such a
 * file.
 */
import {createPrivateKey, type KeyObject, X509Certificate} from 'node:crypto';
import type forge from 'node-forge';
import {CertificateError} from '../errors.ts';
import {withoutDuplicates} from './certificates.ts';
import {
	type Choice,
	chooseIdentity,
	type HeldCertificate,
	type HeldKey,
	type Selection,
} from './choose-identity.ts';
import {derFormOf, formsOf} from './form.ts';
import {UnsupportedScheme} from './old-ciphers.ts';
import {passphraseNeeded, passphraseWrong} from './passphrase.ts';
import {decryptWithPassphrase, type Passphrase} from './passphrase-encryption.ts';
import {isAuthentic} from './pkcs12-mac.ts';
import {type Forge, inside, octets, oid, parse, toDer} from './pkcs12-structure.ts';
import {decryptPkcs8} from './private-keys.ts';
import {TooMuchWork, WorkBudget} from './work-budget.ts';

const data = '1.2.840.113549.1.7.1';
const encryptedData = '1.2.840.113549.1.7.6';
const keyBag = '1.2.840.113549.1.12.10.1.1';
const encryptedKeyBag = '1.2.840.113549.1.12.10.1.2';
const certificateBag = '1.2.840.113549.1.12.10.1.3';
const nestedBag = '1.2.840.113549.1.12.10.1.6';
const friendlyName = '1.2.840.113549.1.9.20';

interface Content {
	readonly keys: HeldKey[];
	readonly certificates: HeldCertificate[];
}

/** What a PKCS#12 file holds of one identity. */
export interface Pkcs12Identity extends Choice {
	/** All certificates of the file, that of the key first. */
	readonly certificates: readonly X509Certificate[];
}

/**
 * An identity of a PKCS#12 file: the one that is named, or the latest of those that are valid.
 *
 * @throws {CertificateError} where it is damaged, does not open, or lacks a key or a certificate. Where no passphrase
 * was given and one is needed, `isPassphraseNeeded` knows the error.
 */
export async function readPkcs12(
	bytes: Buffer,
	file: string,
	passphrase: string | undefined,
	selection: Selection = {},
): Promise<Pkcs12Identity> {
	if (derFormOf(bytes) !== 'pkcs12') {
		throw new CertificateError({
			code: 'pkcs12-malformed',
			what: `${file} is not a PKCS#12 file`,
			hint: hintFor(bytes),
		});
	}
	const {default: library} = await import('node-forge');
	const {keys, certificates} = await openFile(library, bytes, file, passphrase);
	if (keys.length === 0) throw lacking(file, 'private key');
	if (certificates.length === 0) throw lacking(file, 'certificate');
	const choice = chooseIdentity(keys, certificates, selection, `The PKCS#12 file ${file}`);
	if (choice !== undefined) {
		const all = [choice.certificate, ...certificates.map(({certificate}) => certificate)];
		return {...choice, certificates: withoutDuplicates(all)};
	}
	throw new CertificateError({
		code: 'key-does-not-match',
		what: `The key in ${file} does not belong to any certificate in it`,
		hint: 'Export the two together again',
	});
}

/** The libraries' errors are left out: they say nothing that a person could use. */
async function openFile(
	library: Forge,
	bytes: Buffer,
	file: string,
	passphrase: string | undefined,
): Promise<Content> {
	let structure: forge.asn1.Asn1;
	try {
		structure = parse(library, bytes);
	} catch {
		throw new CertificateError({
			code: 'certificate-damaged',
			what: `The PKCS#12 file ${file} is damaged or cut off`,
			hint: 'Copy it again',
		});
	}
	// An empty passphrase is written as an empty text or as none at all; each program has its own way.
	const candidates: Passphrase[] = passphrase ? [passphrase] : ['', null];
	const budget = new WorkBudget();
	for (const candidate of candidates) {
		try {
			return await openStructure(library, structure, candidate, budget);
		} catch (error) {
			if (error instanceof UnsupportedScheme || error instanceof TooMuchWork) throw explained(error, file);
		}
	}
	if (!passphrase) throw passphraseNeeded(`The file ${file}`);
	throw passphraseWrong(
		`The file ${file} does not open with the passphrase given`,
		'Check the passphrase, and that the file is whole',
	);
}

async function openStructure(
	library: Forge,
	structure: forge.asn1.Asn1,
	passphrase: Passphrase,
	budget: WorkBudget,
): Promise<Content> {
	const [, safe, macData] = inside(structure);
	const [type, wrapped] = inside(safe);
	if (oid(library, type) !== data) throw new UnsupportedScheme('a public key, or signed with one');
	const content = octets(inside(wrapped)[0]);
	if (macData !== undefined && !(await isAuthentic(library, macData, content, passphrase, budget))) {
		throw new Error('It was changed, or the passphrase is wrong');
	}
	const found: Content = {keys: [], certificates: []};
	for (const part of inside(parse(library, content))) {
		const bags = parse(library, await openPart(library, part, passphrase, budget));
		await readBags(library, inside(bags), passphrase, budget, found);
	}
	return found;
}

/** RFC 7292 section 4.1: a part is plain, or encrypted with the passphrase, or (not here) with a public key. */
async function openPart(
	library: Forge,
	part: forge.asn1.Asn1,
	passphrase: Passphrase,
	budget: WorkBudget,
): Promise<Buffer> {
	const [type, wrapped] = inside(part);
	const [content] = inside(wrapped);
	if (oid(library, type) === data) return octets(content);
	if (oid(library, type) !== encryptedData) throw new UnsupportedScheme('a public key');
	const [, algorithm, encrypted] = inside(inside(content)[1]);
	if (algorithm === undefined) throw new Error('It names no algorithm');
	return decryptWithPassphrase(toDer(library, algorithm), octets(encrypted), passphrase, budget);
}

async function readBags(
	library: Forge,
	bags: readonly forge.asn1.Asn1[],
	passphrase: Passphrase,
	budget: WorkBudget,
	found: Content,
): Promise<void> {
	for (const bag of bags) {
		const [type, wrapped, attributes] = inside(bag);
		const [value] = inside(wrapped);
		if (value === undefined) continue;
		const alias = aliasIn(library, attributes);
		switch (oid(library, type)) {
			case keyBag:
				found.keys.push({key: readKey(toDer(library, value)), alias});
				break;
			case encryptedKeyBag:
				found.keys.push({key: readKey(await decryptPkcs8(toDer(library, value), passphrase, budget)), alias});
				break;
			case certificateBag:
				found.certificates.push({
					certificate: new X509Certificate(octets(inside(inside(value)[1])[0])),
					alias,
				});
				break;
			case nestedBag:
				await readBags(library, inside(value), passphrase, budget, found);
				break;
		}
	}
}

/** RFC 2985 section 5.5.1: what a person calls it. */
function aliasIn(library: Forge, attributes: forge.asn1.Asn1 | undefined): string | undefined {
	for (const attribute of inside(attributes)) {
		const [type, values] = inside(attribute);
		const [value] = inside(values);
		if (value === undefined || oid(library, type) !== friendlyName) continue;
		// The library has made a text of it.
		return typeof value.value === 'string' ? value.value : undefined;
	}
	return undefined;
}

function readKey(der: Buffer): KeyObject {
	return createPrivateKey({key: der, format: 'der', type: 'pkcs8'});
}

function explained(error: UnsupportedScheme | TooMuchWork, file: string): CertificateError {
	if (error instanceof TooMuchWork) {
		return new CertificateError({
			code: 'key-derivation-too-long',
			what: `The PKCS#12 file ${file} does not open: it asks for ${error.rounds} rounds of key derivation, more than are made for any file`,
			hint: "Export it again with 'openssl pkcs12 -export'",
		});
	}
	return new CertificateError({
		code: 'pkcs12-encryption-unsupported',
		what: `The PKCS#12 file ${file} is protected with ${error.scheme}, which is not supported`,
		hint: `Convert it: openssl pkcs12 -legacy -in ${file} -out ${file}.pem && openssl pkcs12 -export -in ${file}.pem -out ${file}.new`,
	});
}

function lacking(file: string, what: string): CertificateError {
	return new CertificateError({
		code: 'key-missing',
		what: `The PKCS#12 file ${file} holds no ${what}`,
		hint: 'Export key and certificate together',
	});
}

function hintFor(bytes: Buffer): string {
	if (bytes.length === 0) return 'It is empty. Copy it again';
	const forms = formsOf(bytes);
	if (forms.includes('certificate') || forms.includes('key') || forms.includes('encrypted key')) {
		return "It holds a certificate or a key: name the two in the options 'certificate' and 'key'";
	}
	return "It should be what 'openssl pkcs12 -export' or a browser's export gives";
}
