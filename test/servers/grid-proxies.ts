/** Proxy certificates (RFC 3820) made by the grid's own tools: `grid-proxy-init` and `voms-proxy-fake`. */
import {execFile} from 'node:child_process';
import {join} from 'node:path';
import {promisify} from 'node:util';
import type {CertificateFiles} from '../../src/testing/authority.ts';
import {findProgram, type RealServer} from './availability.ts';
import type {GridPki} from './grid-pki.ts';

export const gridProxyTools: RealServer = {
	name: "The grid's tools for proxies",
	install: 'apt-get install globus-proxy-utils voms-clients openssl',
	whyUnavailable() {
		const missing = ['grid-proxy-init', 'voms-proxy-fake', 'openssl'].find(
			name => findProgram(name) === undefined,
		);
		return missing === undefined ? undefined : `there is no program ${missing}`;
	},
};

export interface ProxySettings {
	/** Hours and minutes, as `grid-proxy-init` takes them. Default: `1:00`. */
	readonly valid?: string;
	/** One that may not start jobs. */
	readonly limited?: boolean;
}

/** Make a proxy of a certificate, or of another proxy (whose file is both its certificate and its key). */
export async function makeProxy(
	pki: GridPki,
	name: string,
	{certificate, key}: CertificateFiles,
	{valid = '1:00', limited = false}: ProxySettings = {},
): Promise<string> {
	const file = join(pki.folder, `${name}.pem`);
	await run(pki, {X509_USER_CERT: certificate, X509_USER_KEY: key}, 'grid-proxy-init', [
		...['-q', '-rfc', '-bits', '2048', '-valid', valid, ...(limited ? ['-limited'] : []), '-out', file],
	]);
	return file;
}

/** Make a proxy with an attribute certificate of a virtual organisation, as `voms-proxy-init` does with a server's. */
export async function makeVomsProxy(pki: GridPki, name: string, user: CertificateFiles): Promise<string> {
	const file = join(pki.folder, `${name}.pem`);
	await run(pki, {}, 'voms-proxy-fake', [
		...['-rfc', '-q', '-cert', user.certificate, '-key', user.key, '-certdir', pki.certificates],
		...['-hostcert', join(pki.folder, 'host.pem'), '-hostkey', pki.server.key, '-hours', '1'],
		...['-voms', 'gatepass.vo', '-fqan', '/gatepass.vo/Role=NULL/Capability=NULL', '-uri', 'localhost:15000'],
		...['-out', file],
	]);
	return file;
}

async function run(
	{folder, certificates}: GridPki,
	env: Readonly<Record<string, string>>,
	program: string,
	parameters: readonly string[],
): Promise<void> {
	const {X509_USER_PROXY: _, ...environment} = process.env;
	await promisify(execFile)(findProgram(program) as string, parameters, {
		cwd: folder,
		env: {...environment, HOME: folder, X509_CERT_DIR: certificates, ...env},
	});
}
