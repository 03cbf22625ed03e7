/** Whether a PKCS#12 file is whole and its passphrase right: its own MAC (RFC 7292 section 4), and PBMAC1 (RFC 9579). */
import {createHmac, timingSafeEqual} from 'node:crypto';
import type forge from 'node-forge';
import {childrenOf, objectIdentifier, readElement} from './der.ts';
import {bmpPassphrase, deriveByPkcs12, purpose} from './key-derivation.ts';
import {UnsupportedScheme} from './old-ciphers.ts';
import {deriveKey, hashOfHmac, type Passphrase} from './passphrase-encryption.ts';
import {type Forge, inside, integer, octets, oid, toDer} from './pkcs12-structure.ts';
import type {WorkBudget} from './work-budget.ts';

const pbmac1 = '1.2.840.113549.1.5.14';

const hashes: Readonly<Record<string, {readonly name: string; readonly length: number}>> = {
	'1.2.840.113549.2.5': {name: 'md5', length: 16},
	'1.3.14.3.2.26': {name: 'sha1', length: 20},
	'2.16.840.1.101.3.4.2.4': {name: 'sha224', length: 28},
	'2.16.840.1.101.3.4.2.1': {name: 'sha256', length: 32},
	'2.16.840.1.101.3.4.2.2': {name: 'sha384', length: 48},
	'2.16.840.1.101.3.4.2.3': {name: 'sha512', length: 64},
	'2.16.840.1.101.3.4.2.5': {name: 'sha512-224', length: 28},
	'2.16.840.1.101.3.4.2.6': {name: 'sha512-256', length: 32},
};

/**
 * Whether `passphrase` is the one that `macData` was made with, and `content` is whole.
 *
 * @throws {UnsupportedScheme} or {TooMuchWork}.
 */
export async function isAuthentic(
	library: Forge,
	macData: forge.asn1.Asn1,
	content: Buffer,
	passphrase: Passphrase,
	budget: WorkBudget,
): Promise<boolean> {
	const [digestInfo, salt, rounds] = inside(macData);
	const [algorithm, digest] = inside(digestInfo);
	const name = oid(library, inside(algorithm)[0]);
	if (name === pbmac1) {
		const mac = await macByPbmac1(toDer(library, algorithm as forge.asn1.Asn1), content, passphrase, budget);
		return isEqual(octets(digest), mac);
	}
	const hash = hashes[name];
	if (hash === undefined) throw new UnsupportedScheme(`a MAC of ${name}`);
	const times = rounds === undefined ? 1 : integer(rounds);
	const settings = {salt: octets(salt), rounds: times, length: hash.length, name: hash.name, id: purpose.mac};
	const key = await deriveByPkcs12(bmpPassphrase(passphrase), settings, budget);
	return isEqual(octets(digest), createHmac(hash.name, key).update(content).digest());
}

/** RFC 9579 section 4: the key is as long as PBKDF2 is told, and the passphrase is UTF-8. What stands outside does not count. */
async function macByPbmac1(
	der: Buffer,
	content: Buffer,
	passphrase: Passphrase,
	budget: WorkBudget,
): Promise<Buffer> {
	const [, parameters] = childrenIn(der, readElement(der));
	const [derivation, scheme] = childrenIn(der, parameters);
	const [schemeName] = childrenIn(der, scheme);
	const identifier = schemeName === undefined ? '' : objectIdentifier(der, schemeName);
	const hash = hashOfHmac(identifier);
	if (hash === undefined) throw new UnsupportedScheme(`PBMAC1 with ${identifier}`);
	const key = await deriveKey(der, derivation, undefined, Buffer.from(passphrase ?? ''), budget);
	return createHmac(hash, key).update(content).digest();
}

function childrenIn(der: Buffer, element: ReturnType<typeof readElement>) {
	return element === undefined ? [] : childrenOf(der, element);
}

function isEqual(one: Buffer, other: Buffer): boolean {
	return one.length === other.length && timingSafeEqual(one, other);
}
