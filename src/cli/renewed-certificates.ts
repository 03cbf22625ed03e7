/** How certificates that renew themselves are shown, to people and to machines. */
import type {Certificates} from '../certificates/lazy.ts';
import type {LineageStatus} from '../certificates/status.ts';
import {describeDistance, describeTime, paint} from './output.ts';
import {renderTable} from './table.ts';

/** What an ACME server issued, as `--json` shows it beside identities and rules. */
export interface RenewedCertificate extends Omit<LineageStatus, 'due'> {
	readonly kind: 'lineage';
	/** Whether it is to be renewed now. */
	readonly due: boolean;
	/** When it is, in milliseconds since 1970. */
	readonly renewAt: number;
	/** Whether it can be shown: it is not damaged nor revoked, and has not expired. */
	readonly available: boolean;
}

export async function renewedCertificates(certificates: Certificates): Promise<RenewedCertificate[]> {
	const now = Date.now();
	return (await certificates.list()).map(({due, ...status}) => ({
		kind: 'lineage',
		...status,
		due: now >= due,
		renewAt: due,
		available: !status.isRevoked && status.notBefore <= now && now < status.notAfter,
	}));
}

export async function describeRenewed(renewed: readonly RenewedCertificate[]): Promise<string> {
	return renderTable(
		['  name', 'valid until', 'renewed'],
		renewed.map(({name, notAfter, renewAt, due, warnings}) => {
			const sign = warnings.length > 0 ? paint('red', '✖') : due ? paint('yellow', '!') : paint('green', '✔');
			const isDamaged = notAfter === 0;
			return [
				`${sign} ${name}`,
				isDamaged ? '' : describeTime(notAfter),
				// By itself, so that when is enough: a second date would not fit into 80 columns.
				isDamaged ? '' : due ? 'now' : describeDistance(renewAt - Date.now()),
			];
		}),
		renewed.map(({domains, warnings, isForCertbot}) =>
			[
				...(domains.length === 0 ? [] : [domains.join(', ')]),
				...(isForCertbot || domains.length === 0 ? [] : ['certbot has no authenticator for it']),
				...warnings,
			].join('; '),
		),
	);
}
