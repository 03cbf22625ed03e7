/** What a certificate is for. */
import type {X509Certificate} from 'node:crypto';
import {policiesOf} from './extensions.ts';
import {subjectValues} from './names.ts';
import {proxyInfoOf} from './proxy.ts';

/** What a certificate is for. A proxy acts for whoever made it. */
export type CertificateKind = 'robot' | 'host' | 'person' | 'proxy';

/** The grid's policies that say what a certificate is issued to: IGTF's "one statement" policies 1SCP. */
const policies: readonly (readonly [string, CertificateKind])[] = [
	['1.2.840.113612.5.2.3.3.1', 'robot'],
	['1.2.840.113612.5.2.3.3.2', 'host'],
	['1.2.840.113612.5.2.3.3.3', 'person'],
];

/** RFC 5280 section 4.2.1.12: authentication of a server, and of a client. */
const serverAuthentication = '1.3.6.1.5.5.7.3.1';

/** What the certificate is for, by its policies, by `CN=Robot:`, else by its use; `undefined` where it does not tell. */
export function kindOf(certificate: X509Certificate): CertificateKind | undefined {
	if (proxyInfoOf(certificate) !== undefined) return 'proxy';
	if (subjectValues(certificate, 'CN').some(name => /^robot\s*[:-]/i.test(name))) return 'robot';
	const named = policiesOf(certificate);
	const byPolicy = policies.find(([identifier]) => named.includes(identifier));
	if (byPolicy !== undefined) return byPolicy[1];
	return isServer(certificate) ? 'host' : undefined;
}

function isServer({keyUsage, subjectAltName, ca}: X509Certificate): boolean {
	if (ca || keyUsage === undefined || subjectAltName === undefined) return false;
	return keyUsage.includes(serverAuthentication) && /(?:^|, )DNS:/.test(subjectAltName);
}
