/**
 * What OpenSSL's own form of a certificate (`BEGIN TRUSTED CERTIFICATE`, as in the bundles of RHEL and p11-kit) says about
 * what a CA may vouch for, and how OpenSSL heeds it (`X509_check_trust`).
 */
import type {X509Certificate} from 'node:crypto';
import {childrenOf, type DerElement, derTag, objectIdentifier, readElement} from './der.ts';

/** Whom a certificate is to be shown for. */
export type TrustPurpose = 'server' | 'client';

export interface TrustSettings {
	/** Extended key usages that it may vouch for; absent: the settings do not say. */
	readonly trusted: readonly string[] | undefined;
	/** Those that it must not vouch for. */
	readonly rejected: readonly string[];
	/** As they stand behind the certificate, in DER. */
	readonly der: Buffer;
	readonly file: string;
}

/** RFC 5280 section 4.2.1.12. */
const usages: Readonly<Record<TrustPurpose, string>> = {
	server: '1.3.6.1.5.5.7.3.1',
	client: '1.3.6.1.5.5.7.3.2',
};
const anyUsage = '2.5.29.37.0';

const known = new WeakMap<X509Certificate, TrustSettings>();

/**
 * Take down what stands behind a certificate in a file.
 *
 * @param der a SEQUENCE of what is trusted (a SEQUENCE), rejected ([0]), a name, a key's identifier and others ([1]).
 * @throws {Error} where it is damaged: OpenSSL does not take such a certificate either.
 */
export function keepTrustSettings(certificate: X509Certificate, der: Buffer, file: string): void {
	const all = readElement(der);
	const parts = all === undefined ? [] : childrenOf(der, all);
	if (all?.tag !== derTag.sequence || (parts.at(-1)?.end ?? all.begin) !== all.end) {
		throw new Error('Its trust settings are damaged');
	}
	const trusted = parts.find(({tag}) => tag === derTag.sequence);
	const rejected = parts.find(({tag}) => tag === 0xa0);
	known.set(certificate, {
		trusted: trusted && identifiersIn(der, trusted),
		rejected: rejected === undefined ? [] : identifiersIn(der, rejected),
		der: der.subarray(0, all.end),
		file,
	});
}

function identifiersIn(der: Buffer, list: DerElement): string[] {
	return childrenOf(der, list).map(id => {
		if (id.tag !== derTag.objectIdentifier) throw new Error('Its trust settings are damaged');
		return objectIdentifier(der, id);
	});
}

export function trustSettingsOf(certificate: X509Certificate): TrustSettings | undefined {
	return known.get(certificate);
}

/**
 * What a trusted certificate is worth: `trusted` vouches even where it is no root, `rejected` does not vouch at all,
 * and `usual` vouches if it is a root.
 */
export function standingOf(
	certificate: X509Certificate,
	purpose: TrustPurpose,
): 'trusted' | 'rejected' | 'usual' {
	const settings = known.get(certificate);
	if (settings === undefined) return 'usual';
	const isFor = (usage: string): boolean => usage === usages[purpose] || usage === anyUsage;
	if (settings.rejected.some(isFor)) return 'rejected';
	if (settings.trusted === undefined) return 'usual';
	return settings.trusted.some(isFor) ? 'trusted' : 'rejected';
}

/** The certificate in PEM with its settings, where it has any, so that OpenSSL heeds them. */
export function toTrustedPem(certificate: X509Certificate): string {
	const settings = known.get(certificate);
	if (settings === undefined) return certificate.toString();
	const base64 = Buffer.concat([certificate.raw, settings.der]).toString('base64');
	const lines = base64.match(/.{1,64}/g) ?? [];
	return ['-----BEGIN TRUSTED CERTIFICATE-----', ...lines, '-----END TRUSTED CERTIFICATE-----', ''].join(
		'\n',
	);
}
