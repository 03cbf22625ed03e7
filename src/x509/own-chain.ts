/**
 * Which of the certificates in a file are shown to a server: the certificate itself, then each one's issuer.
 *
 * A CA that has changed its key or was signed by another one has several certificates, so there may be several ways up.
 * A server needs one that is valid now; what has expired never helps it.
 */
import type {X509Certificate} from 'node:crypto';
import {canonicalNames} from './canonical-name.ts';
import {isIssuedBy, isSelfIssued} from './certificates.ts';
import {proxyInfoOf} from './proxy.ts';
import {weakHashOf, weakKeyOf} from './strength.ts';

/** Files can be made to waste time: so many signatures are verified, and so many ways looked at. */
const mostSignatures = 100;
const mostWays = 64;

/** What is shown of a file's certificates. */
export interface OwnChain {
	/** The certificate, then each one's issuer, as far as they are valid; the first one in any case. */
	readonly chain: readonly X509Certificate[];
	/** The CA certificates that would follow, but are not valid now; and a root whose key is too weak for OpenSSL. */
	readonly leftOut: readonly X509Certificate[];
	/** Whether servers can do without those: a root they have themselves, and one CA certificate leads on from another. */
	readonly isEnough: boolean;
	/** When the way that lasts longest ends, in milliseconds since 1970. Of roots, a server has the one that it needs. */
	readonly notAfter: number;
}

/**
 * The chain of `leaf`, as far as `certificates` holds it. Those that do not belong to it are left out
 * (RFC 8446 section 4.4.2). Of several ways, one that is valid goes before one that is not, and one whose signatures
 * OpenSSL takes before another; then one that leads on to further CAs, so that servers that know only those are content;
 * then the one that lasts longest.
 */
export function chooseChain(
	certificates: readonly X509Certificate[],
	leaf: X509Certificate,
	now = Date.now(),
): OwnChain {
	const ways = waysFrom(certificates, leaf, now).map(path => judge(path, now));
	const [best] = ways.toSorted(
		(one, other) =>
			Number(other.isWhole) - Number(one.isWhole) ||
			Number(one.isWeak) - Number(other.isWeak) ||
			other.links - one.links ||
			other.notAfter - one.notAfter,
	) as [Way];
	const notAfter = Math.max(...ways.filter(({isWhole}) => isWhole).map(way => way.notAfter));
	return {...best, notAfter: best.isWhole ? notAfter : best.notAfter};
}

/** The same with what has expired, where nothing else leads on. */
export function orderChain(
	certificates: readonly X509Certificate[],
	leaf: X509Certificate,
): X509Certificate[] {
	const {chain, leftOut} = chooseChain(certificates, leaf);
	return [...chain, ...leftOut];
}

interface Way extends OwnChain {
	/** Whether nothing of it is left out but a root. */
	readonly isWhole: boolean;
	/** Whether one of them is signed with a hash that OpenSSL refuses. */
	readonly isWeak: boolean;
	/** How many certificates are shown, without a root. */
	readonly links: number;
}

function judge(path: readonly X509Certificate[], now: number): Way {
	// A proxy stands above what it was made from; none of these is a CA's.
	const holder = path.findIndex(certificate => proxyInfoOf(certificate) === undefined);
	const firstCa = holder === -1 ? path.length : holder + 1;
	const invalid = path.findIndex(
		(certificate, index) => index >= firstCa && !(isValid(certificate, now) && isStrong(certificate)),
	);
	const chain = invalid === -1 ? path : path.slice(0, invalid);
	const leftOut = path.slice(chain.length);
	const links = chain.filter(isLink);
	const isWhole = leftOut.every(isSelfIssued);
	return {
		chain,
		leftOut,
		isWhole,
		isEnough: isWhole || chain.length > firstCa,
		isWeak: links.some(certificate => weakHashOf(certificate) !== undefined),
		links: links.length,
		notAfter: Math.min(...links.map(({validToDate}) => validToDate.getTime())),
	};
}

/** Not a root above the certificate itself. */
function isLink(certificate: X509Certificate, index: number): boolean {
	return index === 0 || !isSelfIssued(certificate);
}

/** Each way up from `leaf`, as far as it goes. */
function waysFrom(
	certificates: readonly X509Certificate[],
	leaf: X509Certificate,
	now: number,
): X509Certificate[][] {
	const bySubject = Map.groupBy(certificates, certificate => canonicalNames(certificate).subject);
	for (const group of bySubject.values()) group.sort((one, other) => compare(one, other, now));
	const ways: X509Certificate[][] = [];
	let signatures = 0;
	const follow = (path: X509Certificate[]): void => {
		const last = path.at(-1) as X509Certificate;
		const namesakes = isSelfIssued(last) ? [] : (bySubject.get(canonicalNames(last).issuer) ?? []);
		let leadsOn = false;
		for (const issuer of namesakes) {
			// The same CA twice would lead in a circle.
			if (path.some(one => isSameHolder(one, issuer)) || ways.length >= mostWays) continue;
			if (++signatures > mostSignatures) break;
			if (!isIssuedBy(last, issuer)) continue;
			leadsOn = true;
			follow([...path, issuer]);
		}
		if (!leadsOn && ways.length < mostWays) ways.push(path);
	};
	follow([leaf]);
	return ways;
}

/** What is looked at first, where there is much to look at. */
function compare(one: X509Certificate, other: X509Certificate, now: number): number {
	return (
		Number(isValid(other, now)) - Number(isValid(one, now)) ||
		Number(isSelfIssued(one)) - Number(isSelfIssued(other)) ||
		other.validToDate.getTime() - one.validToDate.getTime()
	);
}

function isSameHolder(one: X509Certificate, other: X509Certificate): boolean {
	if (one.fingerprint256 === other.fingerprint256) return true;
	return canonicalNames(one).subject === canonicalNames(other).subject && hasSameKey(one, other);
}

function hasSameKey(one: X509Certificate, other: X509Certificate): boolean {
	try {
		return one.publicKey.equals(other.publicKey);
	} catch {
		// A kind of key that OpenSSL does not know.
		return false;
	}
}

/** Only of a root: nobody can do without another one. */
function isStrong(certificate: X509Certificate): boolean {
	return !isSelfIssued(certificate) || weakKeyOf(certificate) === undefined;
}

function isValid({validFromDate, validToDate}: X509Certificate, now: number): boolean {
	return validFromDate.getTime() <= now && now <= validToDate.getTime();
}
