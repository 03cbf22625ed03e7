/**
 * A quick look at one lineage among thousands: what is remembered of it, and the dates of its certificate. It follows no
 * quotation and no reference; where anything is not as gatepass and certbot write it, it gives `undefined`, and the lineage
 * is to be opened.
 */
import {readFileSync} from 'node:fs';
import {type CertificateDates, quickLook} from '../../x509/quick-look.ts';
import type {CertbotFolder} from './folder.ts';

export interface Glance {
	/** The values of the section `gatepass`. */
	readonly remembered: ReadonlyMap<string, string>;
	readonly certificate: CertificateDates;
}

/** More than this is no certificate, and no settings. */
const largestText = 100_000;

/** Waits for the disk: whoever looks at many lets others go on in between. */
export function glanceAt(folder: CertbotFolder, name: string): Glance | undefined {
	try {
		const settings = readFileSync(folder.configuration(name), 'utf8');
		const remembered = sectionOfOurs(settings);
		if (remembered === undefined) return undefined;
		const text = readFileSync(`${folder.live(name)}/cert.pem`, 'latin1');
		const certificate = text.length > largestText ? undefined : quickLook(text);
		return certificate && {remembered, certificate};
	} catch {
		// Whoever opens it says what is wrong.
		return undefined;
	}
}

function sectionOfOurs(settings: string): Map<string, string> | undefined {
	if (settings.length > largestText) return undefined;
	const [, section = ''] = settings.split('\n[gatepass]\n');
	const values = new Map<string, string>();
	for (const line of section.split('\n')) {
		if (line.startsWith('[')) break;
		if (line === '') continue;
		const [, key, value] = /^([a-z_]+) = ([\w:.+-]+)$/.exec(line) ?? [];
		if (key === undefined || value === undefined) return undefined;
		values.set(key, value);
	}
	return values;
}
