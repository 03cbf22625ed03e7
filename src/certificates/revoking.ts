/** Has certificates revoked: those of lineages, and others. */
import {createPrivateKey, type KeyObject, type X509Certificate} from 'node:crypto';
import {GatepassError} from '../errors.ts';
import {revokeCertificate} from '../issuers/acme/revoke.ts';
import type {RevocationReason} from '../issuers/issuer.ts';
import type {Lineage} from '../lineages/certbot/lineage.ts';
import {parseCertificates} from '../x509/certificates.ts';
import {parsePrivateKey} from '../x509/private-keys.ts';
import type {AccountKeeper} from './accounts.ts';
import {writeState} from './due.ts';
import {type ManagerParts, serverOf} from './parts.ts';
import {giveKeyUp, noteRevoked, readParameters} from './renewal-parameters.ts';

export interface RevokeSettings {
	readonly reason?: RevocationReason;
	readonly signal?: AbortSignal;
}

/** Milliseconds for which the authority is not asked about a certificate that is known to be revoked. */
const untilAskedAgain = 43_200_000;

export class Revoking {
	readonly #parts: ManagerParts;
	readonly #accounts: AccountKeeper;

	constructor(parts: ManagerParts, accounts: AccountKeeper) {
		this.#parts = parts;
		this.#accounts = accounts;
	}

	/** @param byKey whether the certificate's own key asks for it, and not the account. */
	async revokeLineage(lineage: Lineage, byKey: boolean, settings: RevokeSettings): Promise<void> {
		const {certificate, files} = await lineage.read();
		const {server, account} = readParameters(lineage.configuration);
		const signer = byKey
			? createPrivateKey(files.privkey)
			: (await this.#accounts.find(account, {server})).account;
		const connection = this.#parts.connect(serverOf(this.#parts, server));
		await revokeCertificate(connection, certificate, {signer, ...settings});
		noteRevoked(lineage.configuration, certificate.serialNumber);
		// Nobody takes it any more: renewed at the next look, unless it is given up.
		if (settings.reason !== 'cessationOfOperation' && settings.reason !== 'affiliationChanged') {
			writeState(lineage.configuration, {
				attempts: 0,
				serialNumber: certificate.serialNumber,
				renewAt: Date.now(),
				askAgainAt: Date.now() + untilAskedAgain,
			});
		}
		if (settings.reason === 'keyCompromise') giveKeyUp(lineage.configuration, certificate.serialNumber);
		await lineage.save();
	}

	/** One that is in no lineage. @param key its own, which then asks for it instead of the account. */
	async revokeOther(
		certificate: X509Certificate,
		key: KeyObject | undefined,
		server: string | undefined,
		settings: RevokeSettings,
	): Promise<void> {
		const signer = key ?? (await this.#accounts.find(undefined, {server})).account;
		const connection = this.#parts.connect(serverOf(this.#parts, server));
		await revokeCertificate(connection, certificate, {signer, ...settings});
	}
}

/** @throws {GatepassError} where there is no certificate, or the key is not its own. */
export function readRevocable(
	certificate: string | Uint8Array,
	privateKey: string | Uint8Array | undefined,
): {readonly leaf: X509Certificate; readonly key: KeyObject | undefined} {
	const [leaf] = parseCertificates(Buffer.from(certificate as Uint8Array), 'the certificate');
	if (leaf === undefined) {
		throw new GatepassError({
			code: 'certificate-missing',
			what: 'There is no certificate in what is to be revoked',
			hint: 'Name a file with one, in PEM or DER',
		});
	}
	const key =
		privateKey === undefined ? undefined : parsePrivateKey(Buffer.from(privateKey as Uint8Array), 'the key');
	if (key !== undefined && !leaf.checkPrivateKey(key)) {
		throw new GatepassError({
			code: 'key-does-not-match',
			what: 'The key is not that of the certificate which is to be revoked',
			hint: 'Name its own key, or none: then the account has it revoked',
		});
	}
	return {leaf, key};
}
