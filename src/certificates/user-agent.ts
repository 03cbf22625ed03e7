/** What gatepass calls itself towards ACME servers, which demand a name (RFC 8555 section 6.1). */
import process from 'node:process';
import type {CertificateSettings} from '../config/certificate-settings.ts';
import {version} from '../own-files.ts';

/** Made of the versions and of the plug-ins that are chosen; without a configuration, a sample. */
export function userAgent({
	authenticator,
	installer,
}: Pick<Partial<CertificateSettings>, 'authenticator' | 'installer'> = {}): string {
	const plugIns = [
		`authenticator ${authenticator?.name ?? 'none'}`,
		`installer ${installer?.name ?? 'none'}`,
	].join('; ');
	return `gatepass/${version()} (${plugIns}) node/${process.versions.node}`;
}
