/** What `gatepass cert inspect` tells of a certificate, as `--json` prints it. */
import type {KeyObject, X509Certificate} from 'node:crypto';
import {CertificateError} from '../errors.ts';
import {
	checkKeyFile,
	checkProxies,
	checkSelfSigned,
	checkValidity,
	notTogether,
} from '../identities/checks.ts';
import type {CertificateKind} from '../strategy/services.ts';
import {summaryOf} from '../x509/choose-identity.ts';
import {kindOf} from '../x509/kind.ts';
import {rfc2253Issuer, rfc2253Subject, slashIssuer, slashSubject} from '../x509/names.ts';
import {type ProxyInfo, proxyInfoOf} from '../x509/proxy.ts';
import type {ChainTrust} from './chain-trust.ts';
import type {Inspected} from './inspected-files.ts';

export interface InspectedCertificate {
	/** The file or the server. */
	readonly source: string;
	readonly kind: CertificateKind | undefined;
	/** Whether it is that of a certificate authority. */
	readonly isAuthority: boolean;
	/** As RFC 2253 writes it. */
	readonly subject: string;
	/** As the grid writes it, with slashes. */
	readonly gridName: string;
	readonly issuer: string;
	readonly issuerGridName: string;
	/** Milliseconds since 1970. */
	readonly notBefore: number;
	readonly notAfter: number;
	readonly serialNumber: string;
	/** SHA-256, in hexadecimal digits. */
	readonly thumbprint: string;
	/** Names besides the subject. */
	readonly names?: string;
	readonly proxy?: ProxyInfo;
	/** Whose proxy it is. */
	readonly holder?: {readonly subject: string; readonly kind: CertificateKind | undefined};
	readonly key: {
		readonly type: string;
		readonly bits?: number;
		readonly curve?: string;
		/** Where the private key is; absent where only the certificate is at hand. */
		readonly file?: string;
		readonly encrypted?: boolean;
		/** In octal digits; absent on Windows. */
		readonly mode?: string;
	};
	/** Its issuer, then that one's, as far as they came along. */
	readonly chain: readonly {
		readonly subject: string;
		readonly issuer: string;
		readonly notBefore: number;
		readonly notAfter: number;
	}[];
	/** What the file calls it: its alias. */
	readonly alias?: string;
	/** Other identities in the file, which `--alias` or `--thumbprint` choose. */
	readonly otherIdentities: readonly {
		readonly alias?: string;
		readonly subject: string;
		readonly notAfter: number;
		readonly thumbprint: string;
	}[];
	readonly otherCertificates: number;
	readonly trust: Omit<ChainTrust, 'problems'>;
	/** Each a sentence with its hint; none: it can be used. */
	readonly problems: readonly string[];
	/** Likewise, what needs attention although it can be used. */
	readonly warnings: readonly string[];
}

export function describeCertificate(
	inspected: Inspected,
	{problems: trustProblems, ...trust}: ChainTrust,
): InspectedCertificate {
	const {source, chain, key, others} = inspected;
	const [leaf, ...issuers] = chain;
	const proxy = proxyInfoOf(leaf);
	const holder = proxy && chain.find(certificate => proxyInfoOf(certificate) === undefined);
	const mode = process.platform === 'win32' ? undefined : key && key.status.mode & 0o777;
	return {
		source,
		kind: kindOf(leaf),
		isAuthority: leaf.ca,
		subject: rfc2253Subject(leaf),
		gridName: slashSubject(leaf),
		issuer: rfc2253Issuer(leaf),
		issuerGridName: slashIssuer(leaf),
		...validity(leaf),
		serialNumber: leaf.serialNumber,
		thumbprint: leaf.fingerprint256.replaceAll(':', '').toLowerCase(),
		...(leaf.subjectAltName !== undefined && {names: leaf.subjectAltName}),
		...(proxy !== undefined && {proxy}),
		...(holder !== undefined && {holder: {subject: rfc2253Subject(holder), kind: kindOf(holder)}}),
		key: {
			...describeKey(leaf.publicKey),
			...(key !== undefined && {file: key.file, encrypted: key.isEncrypted}),
			...(mode !== undefined && {mode: `0${mode.toString(8).padStart(3, '0')}`}),
		},
		chain: issuers.map(issuer => ({
			subject: rfc2253Subject(issuer),
			issuer: rfc2253Issuer(issuer),
			...validity(issuer),
		})),
		...(inspected.alias !== undefined && {alias: inspected.alias}),
		otherIdentities: inspected.otherIdentities.map(summaryOf),
		otherCertificates: others,
		trust,
		problems: [...inspected.problems, ...problemsOf(inspected), ...trustProblems],
		warnings: inspected.warnings,
	};
}

function validity({validFromDate, validToDate}: X509Certificate): {notBefore: number; notAfter: number} {
	return {notBefore: validFromDate.getTime(), notAfter: validToDate.getTime()};
}

function describeKey({asymmetricKeyType, asymmetricKeyDetails = {}}: KeyObject) {
	const {modulusLength, namedCurve} = asymmetricKeyDetails;
	return {
		type: asymmetricKeyType ?? 'unknown',
		...(modulusLength !== undefined && {bits: modulusLength}),
		...(namedCurve !== undefined && {curve: namedCurve}),
	};
}

/** What would be said where it is used. */
function problemsOf({source, chain, key}: Inspected): string[] {
	const [leaf] = chain;
	const checks = [
		() => checkValidity(chain, source),
		// To look at a CA's own certificate is no mistake; to use it with its key is one.
		() => (leaf.ca && key === undefined) || checkSelfSigned(leaf, source),
		() => checkProxies(chain, source),
		() => key && checkKeyFile(key.file, key.status),
		() => {
			if (key?.key === undefined || leaf.checkPrivateKey(key.key)) return;
			throw notTogether({certificate: source, key: key.file});
		},
	];
	return checks.flatMap(check => {
		try {
			check();
			return [];
		} catch (error) {
			if (error instanceof CertificateError) return [error.message];
			throw error;
		}
	});
}
