/** How a lineage stands, for people and machines. Asks no server. */
import type {X509Certificate} from 'node:crypto';
import type {CertbotFolder} from '../lineages/certbot/folder.ts';
import {domainsOf, Lineage} from '../lineages/certbot/lineage.ts';
import {dueAt, readState} from './due.ts';
import {isForCertbot, isKnownRevoked} from './renewal-parameters.ts';

/** Milliseconds before its end from which on a certificate that was not renewed is told of. */
const soon = 7 * 86_400_000;

/** How a lineage stands. Times are milliseconds since 1970. */
export interface LineageStatus {
	readonly name: string;
	readonly domains: readonly string[];
	readonly notBefore: number;
	readonly notAfter: number;
	/** When it is renewed, and why then. */
	readonly due: number;
	readonly dueReason: string;
	readonly serialNumber: string;
	/** The number of its version in use; 0 where it is damaged. */
	readonly version: number;
	readonly paths: Readonly<Record<'cert' | 'chain' | 'fullchain' | 'privkey', string>>;
	/** Whether certbot could renew it, too. */
	readonly isForCertbot: boolean;
	/** Whether gatepass had it revoked. */
	readonly isRevoked: boolean;
	/** What needs a person's attention. */
	readonly warnings: readonly string[];
}

export async function statusOf(lineage: Lineage): Promise<LineageStatus> {
	const [{certificate}, version] = [await lineage.read(), await lineage.currentVersion()];
	const state = readState(lineage.configuration);
	const {at, reason} = dueAt(certificate, state);
	const [notBefore, notAfter] = [certificate.validFromDate.getTime(), certificate.validToDate.getTime()];
	const isRevoked = isKnownRevoked(lineage.configuration, certificate.serialNumber);
	const warnings = [
		...(isRevoked ? ['it is revoked'] : []),
		...latenessOf(certificate),
		...(state.attempts > 0 ? [`its renewal failed ${state.attempts} times in a row`] : []),
	];
	return {
		name: lineage.name,
		domains: domainsOf(certificate),
		notBefore,
		notAfter,
		due: at,
		dueReason: reason,
		serialNumber: certificate.serialNumber,
		version,
		paths: lineage.paths,
		isForCertbot: isForCertbot(lineage.configuration),
		isRevoked,
		warnings,
	};
}

/** What has to be said of a certificate that should have been renewed by now: a sentence, or none. */
export function latenessOf({validFromDate, validToDate}: X509Certificate): readonly string[] {
	const [notBefore, notAfter] = [validFromDate.getTime(), validToDate.getTime()];
	const left = notAfter - Date.now();
	if (left <= 0) return ['it has expired'];
	return left < Math.min(soon, (notAfter - notBefore) / 10)
		? ['it expires soon, and is not renewed yet']
		: [];
}

/** Of all lineages; one that is damaged is told as such, and hides no other. */
export async function statusesIn(folder: CertbotFolder): Promise<LineageStatus[]> {
	return Promise.all(
		(await folder.names()).map(async name => {
			try {
				return await statusOf(await Lineage.open(folder, name));
			} catch (error) {
				return damaged(name, (error as Error).message);
			}
		}),
	);
}

function damaged(name: string, reason: string): LineageStatus {
	return {
		name,
		domains: [],
		notBefore: 0,
		notAfter: 0,
		due: 0,
		dueReason: 'it is damaged',
		serialNumber: '',
		version: 0,
		paths: {cert: '', chain: '', fullchain: '', privkey: ''},
		isForCertbot: false,
		isRevoked: false,
		warnings: [reason],
	};
}
