/** Revoking a certificate (RFC 8555 section 7.6), by the account that ordered it or by its own key. */
import type {KeyObject, X509Certificate} from 'node:crypto';
import {AcmeError} from '../../errors.ts';
import type {RevocationReason} from '../issuer.ts';
import type {AcmeConnection, Signer} from './connection.ts';
import {AccountKey} from './jws.ts';

/** RFC 5280 section 5.3.1. */
const reasons: Readonly<Record<RevocationReason, number>> = {
	unspecified: 0,
	keyCompromise: 1,
	affiliationChanged: 3,
	superseded: 4,
	cessationOfOperation: 5,
};

/**
 * @param settings `signer`: the account, or the private key of the certificate.
 * @throws {AcmeError} where the server refuses; `type` is `alreadyRevoked` where it was revoked before.
 */
export async function revokeCertificate(
	connection: AcmeConnection,
	certificate: X509Certificate,
	{signer, reason, signal}: {signer: Signer | KeyObject; reason?: RevocationReason; signal?: AbortSignal},
): Promise<void> {
	const {revokeCert} = await connection.directory();
	if (revokeCert === undefined) {
		throw new AcmeError({
			code: 'acme-not-offered',
			what: `${connection.place} revokes nothing by this protocol`,
			hint: 'Ask whoever runs the authority',
		});
	}
	await connection.post(
		revokeCert,
		{
			certificate: certificate.raw.toString('base64url'),
			...(reason !== undefined && {reason: reasons[reason]}),
		},
		'key' in signer ? signer : {key: new AccountKey(signer)},
		{what: 'refused the revocation', signal},
	);
}
