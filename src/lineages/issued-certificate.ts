/** What a certificate authority has issued: reads it in any form, and checks it before it is put into use. */
import type {KeyObject, X509Certificate} from 'node:crypto';
import {CertificateError} from '../errors.ts';
import {judgeClientUse} from '../identities/client-use.ts';
import {canonicalNames} from '../x509/canonical-name.ts';
import {
	isIssuedBy,
	isNamesake,
	isSelfIssued,
	parseCertificates,
	withoutDuplicates,
} from '../x509/certificates.ts';
import {kindOf} from '../x509/kind.ts';
import {rfc2253Issuer, rfc2253Subject} from '../x509/names.ts';
import {chooseChain} from '../x509/own-chain.ts';
import {certificatesInPkcs7, pkcs7In} from '../x509/pkcs7.ts';

/** All certificates in PEM, DER or PKCS#7 (RFC 2315, `.p7b`). `source` names them in errors. */
export async function readIssued(bytes: Buffer, source: string): Promise<X509Certificate[]> {
	const bundles = pkcs7In(bytes);
	if (bundles.length === 0) return parseCertificates(bytes, source);
	return withoutDuplicates(bundles.flatMap(bundle => certificatesInPkcs7(bundle, source)));
}

/** The certificate of a key. */
export function certificateOfKey(
	certificates: readonly X509Certificate[],
	key: KeyObject,
): X509Certificate | undefined {
	return certificates.find(({publicKey}) => publicKey.equals(key));
}

/**
 * Whether a certificate can be put into use: a robot's, valid now, good for clients, not self-signed.
 *
 * @throws {CertificateError} where it cannot.
 */
export function checkIssued(certificate: X509Certificate, source: string, now = Date.now()): void {
	if (certificate.ca || isSelfIssued(certificate)) {
		throw new CertificateError({
			code: 'certificate-self-signed',
			what: `The certificate in ${source} is ${certificate.ca ? 'that of a certificate authority' : 'self-signed'}`,
			hint: 'Install the one that the authority issued for the pending request',
		});
	}
	const kind = kindOf(certificate);
	if (kind !== 'robot') {
		const found = kind === undefined ? 'no robot' : `a ${kind}`;
		throw new CertificateError({
			code: 'not-a-robot',
			what: `The certificate in ${source} is for ${found}: ${rfc2253Subject(certificate)} has no 'CN=Robot:', nor has the certificate the policy of robots`,
			hint: 'Ask the authority for a robot certificate',
		});
	}
	const begin = certificate.validFromDate.getTime();
	const end = certificate.validToDate.getTime();
	if (now > end) {
		throw new CertificateError({
			code: 'certificate-expired',
			what: `The certificate in ${source} expired on ${minute(end)}`,
			hint: "Ask for a new one with 'gatepass cert request --new'",
		});
	}
	if (now < begin) {
		throw new CertificateError({
			code: 'certificate-not-yet-valid',
			what: `The certificate in ${source} begins on ${minute(begin)}`,
			hint: "Check this machine's clock, or install it then",
		});
	}
	const {refused, doubts} = judgeClientUse([certificate], source);
	// Node calls the extended key usage so. Any use is enough for some servers (RFC 5280 section 4.2.1.12).
	const isForAll = certificate.keyUsage?.includes('2.5.29.37.0') === true;
	const against = refused ?? (isForAll ? undefined : doubts[0]);
	if (against !== undefined) throw new CertificateError(against);
}

/** What is to be sent to servers, and what is not known about it. */
export interface IssuedChain {
	/** The certificate, then its issuers, without the root. */
	readonly chain: readonly X509Certificate[];
	/** A sentence, where the issuer's certificate is not at hand. */
	readonly warning?: string;
}

/**
 * The chain of a certificate, from what came with it and from what its predecessor had.
 *
 * @throws {CertificateError} where an issuer did not sign it, or has expired.
 */
export function chainOf(
	certificate: X509Certificate,
	issued: readonly X509Certificate[],
	predecessor: readonly X509Certificate[],
	source: string,
	now = Date.now(),
): IssuedChain {
	const known = withoutDuplicates([...issued, ...predecessor.slice(1)]);
	const namesake = issued.find(one => isNamesake(one, certificate));
	if (namesake !== undefined && !known.some(issuer => isIssuedBy(certificate, issuer))) {
		throw new CertificateError({
			code: 'certificate-unusable',
			what: `${source} holds a certificate of ${rfc2253Issuer(certificate)}, but that is not the one that signed`,
			hint: 'Download the certificate again, with its chain',
		});
	}
	// Of what an authority gives today, nothing should have expired; what lies beside a valid way does not matter.
	const {chain, leftOut} = chooseChain(known, certificate, now);
	const [first] = leftOut;
	if (first !== undefined) {
		const [begin, end] = [first.validFromDate.getTime(), first.validToDate.getTime()];
		const what = now > end ? `expired on ${minute(end)}` : `begins on ${minute(begin)}`;
		throw new CertificateError({
			code: 'certificate-chain-outdated',
			what: `The certificate of ${rfc2253Subject(first)} in ${source} ${what}`,
			hint: 'Download the chain of today',
		});
	}
	const sent = chain.filter((one, index) => index === 0 || !isSelfIssued(one));
	// Where the predecessor did without, so does this one.
	const hadNone = predecessor[0] !== undefined && isSameIssuer(predecessor[0], certificate);
	if (chain.length > 1 || hadNone) return {chain: sent};
	return {
		chain: sent,
		warning: `The certificate of its issuer, ${rfc2253Issuer(certificate)}, did not come with it: it works with servers that have that one`,
	};
}

function isSameIssuer(one: X509Certificate, other: X509Certificate): boolean {
	return canonicalNames(one).issuer === canonicalNames(other).issuer;
}

function minute(time: number): string {
	return `${new Date(time).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
