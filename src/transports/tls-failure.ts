/** Says in words why a TLS connection failed: a server that no CA vouches for, or one that refused our certificate. */
import type {RequestError} from 'got';
import {CertificateError} from '../errors.ts';
import type {Identity} from '../services.ts';
import type {TrustSet} from '../trust/trust-sets.ts';

/** OpenSSL's verification errors, as Node names them, that mean: the server's certificate is not to be trusted. */
const untrusted: Readonly<Record<string, string>> = {
	UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'no trusted CA vouches for its certificate',
	UNABLE_TO_GET_ISSUER_CERT: 'no trusted CA vouches for its certificate',
	UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'no trusted CA vouches for its certificate',
	SELF_SIGNED_CERT_IN_CHAIN: 'no trusted CA vouches for its certificate',
	DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed',
	CERT_UNTRUSTED: 'no trusted CA vouches for its certificate',
	CERT_REJECTED: 'its certificate is rejected',
	CERT_SIGNATURE_FAILURE: 'the signature of its certificate is wrong',
	CERT_CHAIN_TOO_LONG: 'the chain of its certificate is too long',
	INVALID_CA: 'a CA in its chain is not allowed to sign',
	INVALID_PURPOSE: 'its certificate is not for servers',
	CERT_HAS_EXPIRED: 'its certificate, or one in its chain, has ended',
	CERT_NOT_YET_VALID: "its certificate is not valid yet, or this machine's clock is behind",
	CERT_REVOKED: 'its certificate is revoked',
	ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
};

/** The alerts (RFC 8446 section 6.2) by which a server refuses a client certificate. */
const refusals: readonly [RegExp, string][] = [
	[/CERTIFICATE_REQUIRED|CERTIFICATE REQUIRED/i, 'it demands one and got none'],
	[/UNKNOWN_CA|UNKNOWN CA/i, 'it does not know the CA that issued it'],
	[/CERTIFICATE_REVOKED|CERTIFICATE REVOKED/i, 'it takes it for revoked'],
	[/CERTIFICATE_EXPIRED|CERTIFICATE EXPIRED/i, 'it takes it for expired'],
	[/CERTIFICATE_UNKNOWN|CERTIFICATE UNKNOWN/i, 'it does not accept it'],
	[/BAD_CERTIFICATE|BAD CERTIFICATE/i, 'it takes it for damaged'],
	[/UNSUPPORTED_CERTIFICATE|UNSUPPORTED CERTIFICATE/i, 'it does not support its kind'],
	[/ACCESS_DENIED|ACCESS DENIED/i, 'its owner has no access'],
	[
		/HANDSHAKE_FAILURE|HANDSHAKE FAILURE/i,
		'it ended the handshake, most likely because it got no certificate that it accepts',
	],
];

/** A `CertificateError` for a failure that is one; `undefined` for any other. */
export function explainTlsFailure(
	error: RequestError,
	trust: TrustSet | undefined,
	shown: Identity | undefined,
): CertificateError | undefined {
	const {code} = error;
	const host = error.options?.url instanceof URL ? error.options.url.host : 'the server';
	const reason = untrusted[code];
	if (reason !== undefined) {
		const place =
			trust === undefined
				? "the system's CA certificates"
				: `the CA certificates of ${trust.source} (${trust.files.join(', ')})`;
		return new CertificateError(
			`${host} cannot be trusted: ${reason}. It was verified against ${place}. If the server is right, add its CA under 'trust' in the configuration`,
			{cause: error},
		);
	}
	if (!code.startsWith('ERR_SSL_') && code !== 'EPROTO') return undefined;
	const refusal = refusals.find(
		([alert]) => alert.test(code) || (/alert/i.test(error.message) && alert.test(error.message)),
	);
	if (refusal === undefined) return undefined;
	const what =
		shown === undefined
			? 'no client certificate was shown'
			: `${shown.files.certificate} (${shown.subject}) was shown`;
	const mend =
		shown === undefined
			? "Give the host a rule with the strategy 'grid-certificate'"
			: 'Use a certificate that the server accepts';
	return new CertificateError(`${host} refused the client certificate: ${refusal[1]}; ${what}. ${mend}`, {
		cause: error,
	});
}
