/** Follows a chain of certificates from its leaf up to a CA that is trusted. */
import type {X509Certificate} from 'node:crypto';
import {isSelfIssued} from '../x509/certificates.ts';

/** Longer chains are made to waste time. */
const longestChain = 12;

export interface FollowedChain {
	/** The leaf first, each followed by its issuer. */
	readonly path: readonly X509Certificate[];
	/**
	 * Where it ends: at a root of the trust set (`complete`), at a root that is not among them (`unknown`), or at a
	 * certificate whose issuer is not there (`incomplete`).
	 */
	readonly end: 'complete' | 'incomplete' | 'unknown';
}

/** Finds the certificates that bear a name, the trusted ones. */
export type FindTrusted = (subject: string) => readonly X509Certificate[];

/**
 * Follow the chain of `leaf`. A trusted certificate goes before one that came along, as in OpenSSL, and one that is
 * valid before one that has ended.
 */
export function followChain(
	leaf: X509Certificate,
	others: readonly X509Certificate[],
	findTrusted: FindTrusted,
): FollowedChain {
	const path = [leaf];
	for (let last = leaf; ; ) {
		if (isSelfIssued(last)) {
			const {fingerprint256} = last;
			const isTrusted = findTrusted(last.subject).some(one => one.fingerprint256 === fingerprint256);
			return {path, end: isTrusted ? 'complete' : 'unknown'};
		}
		const {issuer} = last;
		if (path.length === longestChain || issuer === undefined) return {path, end: 'incomplete'};
		const next =
			findIssuer(last, findTrusted(issuer), path) ??
			findIssuer(
				last,
				others.filter(({subject}) => subject === issuer),
				path,
			);
		if (next === undefined) return {path, end: 'incomplete'};
		path.push(next);
		last = next;
	}
}

function findIssuer(
	certificate: X509Certificate,
	candidates: readonly X509Certificate[],
	path: readonly X509Certificate[],
): X509Certificate | undefined {
	const possible = candidates.filter(
		candidate => !path.includes(candidate) && hasIssued(candidate, certificate),
	);
	if (possible.length < 2) return possible[0];
	const now = Date.now();
	const isValid = ({validFromDate, validToDate}: X509Certificate): boolean =>
		validFromDate.getTime() <= now && now <= validToDate.getTime();
	return possible.toSorted(
		(one, other) =>
			Number(isValid(other)) - Number(isValid(one)) ||
			other.validToDate.getTime() - one.validToDate.getTime(),
	)[0];
}

/** Whether names and key identifiers fit, and the signature is right. */
function hasIssued(issuer: X509Certificate, certificate: X509Certificate): boolean {
	try {
		return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
	} catch {
		// A kind of key that OpenSSL does not know.
		return false;
	}
}
