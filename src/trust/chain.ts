/** Follows a chain of certificates from its leaf up to a CA that is trusted. */
import type {X509Certificate} from 'node:crypto';
import {canonicalNames} from '../x509/canonical-name.ts';
import {isNamesake, isSelfIssued} from '../x509/certificates.ts';
import {standingOf, type TrustPurpose} from '../x509/trust-settings.ts';

/** Longer chains are made to waste time. */
const longestChain = 12;
/** Likewise many certificates of the same names: so many signatures are verified at most. */
const mostSignatures = 100;

export interface FollowedChain {
	/** The leaf first, each followed by its issuer. */
	readonly path: readonly X509Certificate[];
	/**
	 * Where it ends: at a root of the trust store, or at another certificate that its trust settings make one (`complete`);
	 * at one that they forbid to vouch (`rejected`); at a root that is not among them (`unknown`); or at a certificate whose
	 * issuer is not there (`incomplete`).
	 */
	readonly end: 'complete' | 'rejected' | 'incomplete' | 'unknown';
}

/** Finds the trusted certificates that bear a name (in the form of `canonicalNames`), in groups: a later one is asked for only where it is needed. */
export type FindTrusted = (subject: string) => Iterable<readonly X509Certificate[]>;

/**
 * Follow the chain of `leaf`, on each way that there is, until one ends at a root of the trust store. A trusted certificate
 * goes before one that came along, as in OpenSSL, and one that is valid before one that has expired.
 */
export function followChain(
	leaf: X509Certificate,
	others: readonly X509Certificate[],
	findTrusted: FindTrusted,
	purpose: TrustPurpose = 'server',
): FollowedChain {
	const seen = new Set([leaf.fingerprint256]);
	let signatures = 0;
	let firstEnd: FollowedChain | undefined;

	function* issuersOf(certificate: X509Certificate): Generator<X509Certificate> {
		const groups = function* () {
			yield* findTrusted(canonicalNames(certificate).issuer);
			yield others.filter(other => isNamesake(other, certificate));
		};
		for (const group of groups()) {
			for (const candidate of group.toSorted(preferred)) {
				if (seen.has(candidate.fingerprint256) || !certificate.checkIssued(candidate)) continue;
				if (++signatures > mostSignatures) return;
				if (!isSigned(certificate, candidate)) continue;
				seen.add(candidate.fingerprint256);
				yield candidate;
			}
		}
	}

	const follow = (path: readonly X509Certificate[]): FollowedChain | undefined => {
		const last = path.at(-1) as X509Certificate;
		const isRoot = isSelfIssued(last);
		const trusted = isRoot || path.length > 1 ? findAmong(last, findTrusted) : undefined;
		const standing = trusted && standingOf(trusted, purpose);
		if (standing === 'trusted' || (standing === 'usual' && isRoot)) return {path, end: 'complete'};
		if (standing === 'rejected') {
			firstEnd ??= {path, end: 'rejected'};
			return undefined;
		}
		if (path.length < longestChain) {
			for (const issuer of issuersOf(last)) {
				const found = follow([...path, issuer]);
				if (found !== undefined) return found;
			}
		}
		firstEnd ??= {path, end: isRoot ? 'unknown' : 'incomplete'};
		return undefined;
	};
	return follow([leaf]) ?? (firstEnd as FollowedChain);
}

/**
 * Whether OpenSSL would take that very chain. It does not say which one it took, and a server can send certificates that
 * lead us another way: what is checked of that one says nothing.
 */
export function isSound(
	{path, end}: FollowedChain,
	isAuthority: (certificate: X509Certificate) => boolean,
): boolean {
	return end === 'complete' && path.every(isValid) && path.slice(1).every(isAuthority);
}

/** The same certificate as the trust store has it, which may have settings. */
function findAmong(certificate: X509Certificate, findTrusted: FindTrusted): X509Certificate | undefined {
	for (const group of findTrusted(canonicalNames(certificate).subject)) {
		const found = group.find(({fingerprint256}) => fingerprint256 === certificate.fingerprint256);
		if (found !== undefined) return found;
	}
	return undefined;
}

function preferred(one: X509Certificate, other: X509Certificate): number {
	return (
		Number(isValid(other)) - Number(isValid(one)) || other.validToDate.getTime() - one.validToDate.getTime()
	);
}

function isValid({validFromDate, validToDate}: X509Certificate): boolean {
	const now = Date.now();
	return validFromDate.getTime() <= now && now <= validToDate.getTime();
}

function isSigned(certificate: X509Certificate, issuer: X509Certificate): boolean {
	try {
		return certificate.verify(issuer.publicKey);
	} catch {
		// A kind of key that OpenSSL does not know.
		return false;
	}
}
