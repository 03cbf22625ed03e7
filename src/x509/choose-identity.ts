/** Which of several identities in one file is meant: the one that is named, else one that is valid, and the latest. */
import {createPublicKey, type KeyObject, type X509Certificate} from 'node:crypto';
import {CertificateError} from '../errors.ts';
import {canonicalNames} from './canonical-name.ts';
import {isSelfIssued} from './certificates.ts';
import {purposeFaults} from './client-purpose.ts';
import {rfc2253Subject} from './names.ts';

/** A private key as a file holds it. */
export interface HeldKey {
	readonly key: KeyObject;
	/** What the file calls it: the alias of Java and Windows, PKCS#12's `friendlyName`. */
	readonly alias?: string | undefined;
}

/** A certificate as a file holds it. */
export interface HeldCertificate {
	readonly certificate: X509Certificate;
	readonly alias?: string | undefined;
}

/** Who is meant. */
export interface Selection {
	readonly alias?: string | undefined;
	/** SHA-256 or SHA-1 of the certificate, in hexadecimal digits, with or without colons. */
	readonly thumbprint?: string | undefined;
}

/** A key with its certificate. */
export interface HeldIdentity {
	readonly key: KeyObject;
	readonly certificate: X509Certificate;
	readonly alias?: string | undefined;
}

export interface Choice extends HeldIdentity {
	/** The other identities of the file, which were not chosen. */
	readonly others: readonly HeldIdentity[];
}

/**
 * Choose among all pairs of a key and its certificate.
 *
 * @param file names it in errors.
 * @returns `undefined` where no key belongs to any certificate.
 * @throws {CertificateError} where none of them is the one that is named.
 */
export function chooseIdentity(
	keys: readonly HeldKey[],
	certificates: readonly HeldCertificate[],
	selection: Selection,
	file: string,
	now = Date.now(),
): Choice | undefined {
	const all = pairs(keys, certificates);
	if (all.length === 0) return undefined;
	const named = all.filter(identity => isNamed(identity, selection));
	if (named.length === 0) throw notThere(all, selection, file);
	// A proxy may have the key of what it was made from.
	const issuers = new Set(named.map(({certificate}) => canonicalNames(certificate).issuer));
	const isMadeFrom = ({certificate}: HeldIdentity): boolean =>
		!isSelfIssued(certificate) && issuers.has(canonicalNames(certificate).subject);
	const [chosen] = named.toSorted(
		(one, other) =>
			Number(isMadeFrom(one)) - Number(isMadeFrom(other)) || compare(one.certificate, other.certificate, now),
	) as [HeldIdentity];
	return {...chosen, others: all.filter(identity => identity !== chosen)};
}

/** A key may have several certificates: those that it was renewed with. */
function pairs(keys: readonly HeldKey[], certificates: readonly HeldCertificate[]): HeldIdentity[] {
	const byPublicKey = new Map(keys.toReversed().map(held => [publicNameOf(held.key), held] as const));
	const seen = new Set<string>();
	return certificates.flatMap(({certificate, alias}) => {
		const held = publicKeyNameOf(certificate);
		const own = held === undefined ? undefined : byPublicKey.get(held);
		if (own === undefined || seen.has(certificate.fingerprint256)) return [];
		seen.add(certificate.fingerprint256);
		return [{key: own.key, certificate, alias: alias ?? own.alias}];
	});
}

function publicKeyNameOf(certificate: X509Certificate): string | undefined {
	try {
		return nameOf(certificate.publicKey);
	} catch {
		// A kind of key that OpenSSL does not know.
		return undefined;
	}
}

function publicNameOf(key: KeyObject): string | undefined {
	try {
		return nameOf(createPublicKey(key));
	} catch {
		return undefined;
	}
}

function nameOf(publicKey: KeyObject): string {
	return publicKey.export({type: 'spki', format: 'der'}).toString('latin1');
}

function isNamed({certificate, alias: own}: HeldIdentity, {alias, thumbprint}: Selection): boolean {
	// Java writes aliases in small letters, whatever it was given.
	if (alias !== undefined && own?.toLowerCase() !== alias.toLowerCase()) return false;
	if (thumbprint === undefined) return true;
	const wanted = digits(thumbprint);
	return [certificate.fingerprint256, certificate.fingerprint].some(one => digits(one) === wanted);
}

function digits(thumbprint: string): string {
	return thumbprint.replaceAll(':', '').toLowerCase();
}

/** One that is valid now goes before one that is not, one for clients before another; then the one that lasts longest. */
function compare(one: X509Certificate, other: X509Certificate, now: number): number {
	return (
		Number(isValid(other, now)) - Number(isValid(one, now)) ||
		purposeFaults([one]).length - purposeFaults([other]).length ||
		other.validToDate.getTime() - one.validToDate.getTime()
	);
}

function isValid({validFromDate, validToDate}: X509Certificate, now: number): boolean {
	return validFromDate.getTime() <= now && now <= validToDate.getTime();
}

function notThere(
	all: readonly HeldIdentity[],
	{alias, thumbprint}: Selection,
	file: string,
): CertificateError {
	const wanted = [
		...(alias === undefined ? [] : [`the alias '${alias}'`]),
		...(thumbprint === undefined ? [] : [`the thumbprint ${thumbprint}`]),
	];
	const there = all.map(describeHeld).join('; ');
	return new CertificateError(
		`${file} holds no identity with ${wanted.join(' and ')}, but ${there}. Name one of these, or none for the latest`,
	);
}

/** For machines. */
export function summaryOf({certificate, alias}: HeldIdentity) {
	return {
		...(alias !== undefined && {alias}),
		subject: rfc2253Subject(certificate),
		notAfter: certificate.validToDate.getTime(),
		thumbprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
	};
}

/** `alice (CN=alice,O=Example, until 2026-03-01)`. */
export function describeHeld({certificate, alias}: HeldIdentity): string {
	const subject = rfc2253Subject(certificate) || (certificate.subjectAltName ?? 'no name');
	const end = certificate.validToDate.toISOString().slice(0, 10);
	return alias === undefined ? `${subject}, until ${end}` : `${alias} (${subject}, until ${end})`;
}
