/** A certificate, and requests to the web server that is to show it: what the tests of the installers share. */
import {X509Certificate} from 'node:crypto';
import {chmod, mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {request as requestHttp} from 'node:http';
import {request as requestHttps} from 'node:https';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {TLSSocket} from 'node:tls';
import {onTestFinished} from 'vitest';
import {Checkpoints} from '../../src/installers/checkpoints.ts';
import type {DeployedLineage} from '../../src/installers/installer.ts';
import {createTestAuthority} from '../../src/testing/authority.ts';

export interface WebServerStage {
	readonly folder: string;
	readonly checkpoints: Checkpoints;
	/** A certificate for these names, in files of its own. */
	lineage(
		name: string,
		domains: readonly string[],
	): Promise<DeployedLineage & {readonly serialNumber: string}>;
}

export async function webServerStage(): Promise<WebServerStage> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-web-'));
	await chmod(folder, 0o755);
	const authority = await createTestAuthority();
	onTestFinished(async () => {
		await rm(folder, {recursive: true, force: true});
		await authority.close();
	});
	return {
		folder,
		checkpoints: new Checkpoints(join(folder, 'checkpoints')),
		async lineage(name, domains) {
			const place = join(folder, 'live', name);
			await mkdir(place, {recursive: true});
			const {certificate, key} = await authority.issue(name, {subject: `CN=${name}`, hosts: domains});
			const text = await readFile(certificate, 'utf8');
			const paths = {
				cert: join(place, 'cert.pem'),
				chain: join(place, 'chain.pem'),
				fullchain: join(place, 'fullchain.pem'),
				privkey: join(place, 'privkey.pem'),
			};
			await writeFile(paths.cert, text);
			await writeFile(paths.chain, await readFile(authority.ca, 'utf8'));
			await writeFile(paths.fullchain, text + (await readFile(authority.ca, 'utf8')));
			await writeFile(paths.privkey, await readFile(key, 'utf8'));
			return {name, domains, paths, serialNumber: new X509Certificate(text).serialNumber};
		},
	};
}

export interface Seen {
	readonly status: number | undefined;
	readonly headers: Readonly<Record<string, unknown>>;
	/** Of the certificate that the server showed. */
	readonly serialNumber: string | undefined;
}

/** One request under a name, whatever the server shows. */
export function visit(scheme: 'http' | 'https', port: number, name: string): Promise<Seen> {
	return new Promise((resolve, reject) => {
		const options = {host: '127.0.0.1', port, agent: false, headers: {host: name}};
		const request =
			scheme === 'https'
				? requestHttps({...options, servername: name, rejectUnauthorized: false})
				: requestHttp(options);
		request.once('response', response => {
			response.resume();
			const serialNumber =
				scheme === 'https'
					? (response.socket as TLSSocket).getPeerX509Certificate()?.serialNumber
					: undefined;
			resolve({status: response.statusCode, headers: response.headers, serialNumber});
		});
		request.once('error', reject);
		request.end();
	});
}
