/**
 * Whether others can take a certificate for a client's or a server's, as OpenSSL decides it (`check_purpose_ssl_client`
 * and `check_purpose_ssl_server`): by the uses that it and the CAs above it are limited to (RFC 5280 section 4.2.1). A
 * table in the tests holds it to that.
 */
import type {X509Certificate} from 'node:crypto';
import {isSelfIssued} from './certificates.ts';
import {childrenOf, derTag, readElement} from './der.ts';
import {findExtension} from './extensions.ts';
import {proxyInfoOf} from './proxy.ts';
import type {TrustPurpose} from './trust-settings.ts';

/** Why a certificate of the chain does not let the first one be a client's, or a server's. */
export interface PurposeFault {
	readonly certificate: X509Certificate;
	readonly isAuthority: boolean;
	readonly kind: 'extended key usage' | 'key usage' | 'netscape type' | 'no authority' | 'path length';
	/** The uses that it names instead. */
	readonly uses: readonly string[];
}

/** What one of these uses is enough for. */
const needs: Readonly<
	Record<TrustPurpose, {extended: readonly string[]; key: readonly Use[]; netscape: number}>
> = {
	client: {extended: ['1.3.6.1.5.5.7.3.2'], key: ['digitalSignature', 'keyAgreement'], netscape: 0},
	server: {
		// The others are Microsoft's and Netscape's "server gated cryptography" of old.
		extended: ['1.3.6.1.5.5.7.3.1', '1.3.6.1.4.1.311.10.3.3', '2.16.840.1.113730.4.1'],
		key: ['digitalSignature', 'keyEncipherment', 'keyAgreement'],
		netscape: 1,
	},
};

/** RFC 5280 section 4.2.1.12, and what else is met with. */
const extendedUses: Readonly<Record<string, string>> = {
	'1.3.6.1.5.5.7.3.1': 'serverAuth',
	'1.3.6.1.5.5.7.3.2': 'clientAuth',
	'1.3.6.1.5.5.7.3.3': 'codeSigning',
	'1.3.6.1.5.5.7.3.4': 'emailProtection',
	'1.3.6.1.5.5.7.3.8': 'timeStamping',
	'1.3.6.1.5.5.7.3.9': 'OCSPSigning',
	'1.3.6.1.4.1.311.20.2.2': 'smartcardLogon',
	'2.5.29.37.0': 'anyExtendedKeyUsage',
};

/** RFC 5280 section 4.2.1.3, by bits. */
const uses = [
	'digitalSignature',
	'nonRepudiation',
	'keyEncipherment',
	'dataEncipherment',
	'keyAgreement',
	'keyCertSign',
	'cRLSign',
	'encipherOnly',
	'decipherOnly',
] as const;
type Use = (typeof uses)[number];

/** The first certificate, a proxy or what it was made from, and then those of the CAs: all that is against them. */
export function purposeFaults(
	chain: readonly X509Certificate[],
	purpose: TrustPurpose = 'client',
): PurposeFault[] {
	const faults: PurposeFault[] = [];
	let isAuthority = false;
	/** Certificates of CAs so far that are not self-issued: RFC 5280 section 4.2.1.9. */
	let below = 0;
	for (const certificate of chain) {
		const fault = isAuthority
			? faultOfAuthority(certificate, below, purpose)
			: faultOfLeaf(certificate, purpose);
		if (fault !== undefined) faults.push({certificate, isAuthority, ...fault});
		if (isAuthority && !isSelfIssued(certificate)) below += 1;
		isAuthority ||= proxyInfoOf(certificate) === undefined;
	}
	return faults;
}

type Reason = Pick<PurposeFault, 'kind' | 'uses'>;

function faultOfLeaf(certificate: X509Certificate, purpose: TrustPurpose): Reason | undefined {
	const extended = faultOfExtendedUse(certificate, purpose);
	if (extended !== undefined) return extended;
	const named = keyUsageOf(certificate);
	if (named !== undefined && !named.some(use => needs[purpose].key.includes(use))) {
		return {kind: 'key usage', uses: named};
	}
	const netscape = netscapeTypesOf(certificate);
	return netscape === undefined || netscape.includes(needs[purpose].netscape)
		? undefined
		: {kind: 'netscape type', uses: []};
}

function faultOfAuthority(
	certificate: X509Certificate,
	below: number,
	purpose: TrustPurpose,
): Reason | undefined {
	const extended = faultOfExtendedUse(certificate, purpose);
	if (extended !== undefined) return extended;
	const named = keyUsageOf(certificate);
	if (named !== undefined && !named.includes('keyCertSign')) return {kind: 'key usage', uses: named};
	const constraints = basicConstraintsOf(certificate);
	// OpenSSL tolerates an old root that does not say what it is, but nothing such between.
	if (constraints === undefined && isSelfIssued(certificate)) return undefined;
	if (constraints?.isAuthority !== true) return {kind: 'no authority', uses: []};
	const {pathLength} = constraints;
	return pathLength !== undefined && below > pathLength ? {kind: 'path length', uses: []} : undefined;
}

/** A use of any kind is none of these for OpenSSL. */
function faultOfExtendedUse({keyUsage}: X509Certificate, purpose: TrustPurpose): Reason | undefined {
	// Node calls it so.
	if (keyUsage === undefined || keyUsage.some(use => needs[purpose].extended.includes(use))) return undefined;
	return {kind: 'extended key usage', uses: keyUsage.map(use => extendedUses[use] ?? use)};
}

function keyUsageOf(certificate: X509Certificate): Use[] | undefined {
	return bitsIn(findExtension(certificate, '2.5.29.15'))?.flatMap(bit => uses[bit] ?? []);
}

/** Netscape's extension from before there were others; some CAs still write it. */
function netscapeTypesOf(certificate: X509Certificate): number[] | undefined {
	return bitsIn(findExtension(certificate, '2.16.840.1.113730.1.1'));
}

function bitsIn(value: Buffer | undefined): number[] | undefined {
	const string = value && readElement(value);
	if (value === undefined || string?.tag !== derTag.bitString) return undefined;
	// The first byte says how many bits at the end do not count.
	const bytes = value.subarray(string.begin + 1, string.end);
	return [...bytes].flatMap((byte, index) =>
		[0, 1, 2, 3, 4, 5, 6, 7].filter(bit => (byte & (0x80 >> bit)) !== 0).map(bit => index * 8 + bit),
	);
}

function basicConstraintsOf(
	certificate: X509Certificate,
): {isAuthority: boolean; pathLength?: number} | undefined {
	const value = findExtension(certificate, '2.5.29.19');
	const sequence = value && readElement(value);
	if (value === undefined || sequence === undefined) return undefined;
	const parts = childrenOf(value, sequence);
	const flag = parts.find(({tag}) => tag === derTag.boolean);
	const length = parts.find(({tag}) => tag === derTag.integer);
	const size = length === undefined ? 0 : length.end - length.begin;
	return {
		isAuthority: flag !== undefined && value[flag.begin] !== 0,
		...(length !== undefined && size > 0 && size <= 6 && {pathLength: value.readUIntBE(length.begin, size)}),
	};
}
