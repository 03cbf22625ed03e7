/** What `status` says of a rule's credential. */
import {GatepassError} from '../../src/errors.ts';
import type {CredentialStatus} from '../../src/strategy.ts';
import type {KoffiProvider} from './koffi-provider.ts';
import type {KerberosOptions} from './options.ts';

/** Without `verify` the KDC is not asked, so tickets that are yet to be fetched are taken for available. */
export async function credentialStatus(
	provider: KoffiProvider,
	options: KerberosOptions,
	verify: boolean,
): Promise<CredentialStatus> {
	const {keytab, password, principal = 'the principal'} = options;
	if (!verify && (keytab !== undefined || password !== undefined)) {
		const from = keytab === undefined ? 'the password' : `the key table ${keytab}`;
		return {available: true, detail: `${principal} by ${from}; the KDC was not asked`};
	}
	try {
		const facts = await provider.inquire();
		const renewable =
			facts.renewUntil === undefined
				? ''
				: `, renewable until ${new Date(facts.renewUntil * 1000).toISOString()}`;
		return {
			available: facts.lifetime > 0,
			detail: `${facts.principal} through ${facts.library}${renewable}`,
			expiresAt: Date.now() + facts.lifetime * 1000,
		};
	} catch (error) {
		if (error instanceof GatepassError) return {available: false, detail: error.message};
		throw error;
	}
}
