/** A small https server of the demo: it notes of each visitor what could tell who it is. */
import {readFile} from 'node:fs/promises';
import {createServer} from 'node:https';
import type {AddressInfo} from 'node:net';
import type {TLSSocket} from 'node:tls';
import type {TestAuthority} from 'gatepass/testing';

export interface SiteSettings {
	readonly name: string;
	/** Whether it turns away who shows no certificate; one is asked for in any case. */
	readonly demandsCertificate: boolean;
	/** Paths that redirect, and where to. */
	readonly redirects?: Readonly<Record<string, string>>;
}

export interface Visit {
	readonly path: string;
	readonly status: number;
	/** Common name of the client certificate, such as `CN=alice`. */
	readonly certificate?: string;
	/** The scheme of the header alone, such as `Bearer`. */
	readonly authorization?: string;
	readonly cookie?: string;
}

export interface Site {
	readonly url: string;
	readonly visits: readonly Visit[];
	close(): Promise<void>;
}

export async function startSite(
	authority: TestAuthority,
	{name, demandsCertificate, redirects = {}}: SiteSettings,
): Promise<Site> {
	const own = await authority.issue(name, {subject: `CN=${name}`, hosts: ['127.0.0.1']});
	const [cert, key, ca] = await Promise.all(
		[own.certificate, own.key, authority.ca].map(file => readFile(file)),
	);
	const visits: Visit[] = [];
	const server = createServer(
		{cert, key, ca, requestCert: true, rejectUnauthorized: demandsCertificate},
		({url: path = '/', headers: {authorization, cookie}, socket}, response) => {
			const {subject = ''} = (socket as TLSSocket).getPeerX509Certificate() ?? {};
			const commonName = /^CN=(.*)$/m.exec(subject)?.[1];
			const location = redirects[path];
			const status = location === undefined ? 200 : 302;
			visits.push({
				path,
				status,
				...(commonName !== undefined && {certificate: `CN=${commonName}`}),
				...(authorization !== undefined && {authorization: authorization.split(' ')[0] ?? ''}),
				...(cookie !== undefined && {cookie}),
			});
			response.writeHead(status, {
				'content-type': 'application/json',
				// Meant for this server alone: nothing of it may reach the next one.
				'set-cookie': `session=of-${name}; Path=/`,
				...(location !== undefined && {location}),
			});
			response.end(JSON.stringify({from: name, path}));
		},
	);
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	return {
		url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
		visits,
		async close() {
			server.closeAllConnections();
			await new Promise(resolve => server.close(resolve));
		},
	};
}
