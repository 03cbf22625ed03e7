/** Debian's certbot: its layout on disk is ours, so each has to read, list and renew what the other wrote. */
import {execFile} from 'node:child_process';
import {existsSync} from 'node:fs';
import {promisify} from 'node:util';
import {findProgram, type RealServer} from './availability.ts';

export const certbot: RealServer = {
	name: 'certbot',
	install: 'apt-get install certbot',
	whyUnavailable: () => (findProgram('certbot') === undefined ? 'there is no program certbot' : undefined),
};

export const certbotDnsUpdate: RealServer = {
	name: 'dns-rfc2136 of certbot',
	install: 'apt-get install python3-certbot-dns-rfc2136',
	whyUnavailable: () =>
		existsSync('/usr/lib/python3/dist-packages/certbot_dns_rfc2136')
			? undefined
			: 'there is no certbot_dns_rfc2136 for Python',
};

/** certbot's own installers. */
export const certbotInstallers: readonly RealServer[] = ['nginx', 'apache'].map(name => ({
	name: `${name} installer of certbot`,
	install: `apt-get install python3-certbot-${name}`,
	whyUnavailable: () =>
		existsSync(`/usr/lib/python3/dist-packages/certbot_${name}`)
			? undefined
			: `there is no certbot_${name} for Python`,
}));

/** Run it in a folder of its own; rejects with what it said where it fails. */
export async function runCertbot(folder: string, ca: string, ...parameters: string[]): Promise<string> {
	const folders = ['--config-dir', folder, '--work-dir', `${folder}-work`, '--logs-dir', `${folder}-logs`];
	try {
		const {stdout, stderr} = await promisify(execFile)(
			findProgram('certbot') as string,
			[...parameters, '-n', ...folders],
			{env: {...process.env, REQUESTS_CA_BUNDLE: ca}},
		);
		return stdout + stderr;
	} catch (error) {
		const {stdout, stderr} = error as {stdout: string; stderr: string};
		throw new Error(`certbot failed:\n${stdout}${stderr}`);
	}
}
