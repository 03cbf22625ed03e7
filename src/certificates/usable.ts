/** Whether a certificate can be shown by a client, told before it is put into use. */
import type {X509Certificate} from 'node:crypto';
import {CertificateError, GatepassError} from '../errors.ts';

const clientAuth = '1.3.6.1.5.5.7.3.2';
const anyPurpose = '2.5.29.37.0';

/** Public authorities that issue nothing for clients, and since when. */
const forServersOnly: readonly (readonly [host: string, name: string, since: string])[] = [
	['letsencrypt.org', "Let's Encrypt", '2026-02-11 by default, and at all since 2026-07-08'],
	['zerossl.com', 'ZeroSSL', 'early 2027'],
	['sectigo.com', 'Sectigo', 'early 2027'],
	['digicert.com', 'DigiCert', 'early 2027'],
	['pki.goog', 'Google Trust Services', 'the beginning'],
];

/**
 * An identity needs a private authority.
 *
 * @throws {GatepassError} for a public one that is known to issue none, with the reason and the date.
 */
export function refusePublicAuthority(server: string): void {
	const {hostname} = new URL(server);
	const found = forServersOnly.find(([host]) => hostname === host || hostname.endsWith(`.${host}`));
	if (found === undefined) return;
	const [, name, since] = found;
	throw new GatepassError({
		code: 'authority-issues-no-client-certificates',
		what: `${name} (${hostname}) issues no certificates for clients (since ${since}), so none from there can be an identity`,
		hint: "Use a private authority, such as step-ca, FreeIPA or Vault's PKI, or take another installer",
	});
}

/** @throws {CertificateError} where servers would refuse the certificate from a client. */
export function checkForClients(
	certificate: X509Certificate,
	chain: readonly X509Certificate[],
	place: string,
): void {
	for (const [index, one] of [certificate, ...chain].entries()) {
		// Node calls extended key usages `keyUsage`.
		const purposes = one.keyUsage as readonly string[] | undefined;
		if (purposes === undefined || purposes.includes(clientAuth) || purposes.includes(anyPurpose)) continue;
		const which =
			index === 0
				? 'The certificate'
				: `The CA certificate ${one.subject.replaceAll('\n', ', ')} in its chain`;
		throw new CertificateError({
			code: 'client-certificate-not-for-clients',
			what: `${which} from ${place} is not for clients (its extended key usage lacks clientAuth), and servers would refuse it`,
			hint: "It is not put into use; ask the authority for a profile for clients, and name it under 'profile'",
		});
	}
}
