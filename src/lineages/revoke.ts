/** Has the certificate in use revoked by the authority that issued it. */
import type {X509Certificate} from 'node:crypto';
import {GatepassError} from '../errors.ts';
import {writingInto} from '../files/durable.ts';
import type {RevocationReason} from '../issuers/issuer.ts';
import type {IssuerName} from '../issuers/issuers.ts';
import {issuerOf} from '../issuers/issuers.ts';
import {toPem} from '../x509/certificates.ts';
import {IdentityFolder} from './folder.ts';

export interface RevokeOutcome {
	readonly certificate: X509Certificate;
	/** What a person has still to do; empty where it is revoked. */
	readonly instructions: readonly string[];
}

/** `authority`: default, the one that issued it; CERN's where that is not known. */
export async function revoke(
	path: string,
	reason: RevocationReason,
	authority?: IssuerName,
): Promise<RevokeOutcome> {
	const folder = new IdentityFolder(path);
	const certificate = (await folder.installed())?.[0];
	if (certificate === undefined) {
		throw new GatepassError({
			code: 'folder-unusable',
			what: `${path} holds no certificate`,
			hint: 'Name the folder of the identity with --to',
		});
	}
	const version = await folder.current();
	const issuer = await issuerOf(authority ?? version?.authority ?? {kind: 'by-hand'});
	const {instructions = []} = await issuer.revoke(toPem(certificate), reason);
	if (version !== undefined && instructions.length === 0) {
		await writingInto(path, () => folder.note(version, {revokedAt: Date.now()}));
	}
	return {certificate, instructions};
}
