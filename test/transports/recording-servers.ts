/**
 * Servers on several names, ports and schemes of this machine that write down all that a client shows them: for
 * tests of what reaches whom.
 */
import type {LookupAddress} from 'node:dns';
import {readFile} from 'node:fs/promises';
import {createServer as createHttpServer, type IncomingMessage, type ServerResponse} from 'node:http';
import {createServer as createHttpsServer} from 'node:https';
import type {AddressInfo, LookupFunction} from 'node:net';
import type {TLSSocket} from 'node:tls';
import type {CertificateFiles, TestAuthority} from '../../src/testing/authority.ts';
import {openStubToken, replyTo} from '../../strategies/kerberos-stub/stub-provider.ts';
import {commonNameOf} from '../servers/common-name.ts';

/** What a server has seen of one request. */
export interface Sighting {
	readonly method: string;
	readonly url: string;
	/** Names and values in turn, as they came over the wire. */
	readonly rawHeaders: readonly string[];
	readonly headers: IncomingMessage['headers'];
	readonly body: string;
	/** The common name in the client's certificate; absent where it showed none. */
	readonly certificate: string | undefined;
}

export interface RecordingServer {
	/** Scheme, name and port. */
	readonly origin: string;
	readonly sightings: readonly Sighting[];
	close(): Promise<void>;
}

/** These names need no name server; not every machine resolves them by itself. */
export const lookupLocally: LookupFunction = (_hostname, options, callback) => {
	const address: LookupAddress = {address: '127.0.0.1', family: 4};
	if (options.all === true) callback(null, [address]);
	else callback(null, address.address, address.family);
};

/** Issue one certificate for all the names. */
export async function issueForServers(
	authority: TestAuthority,
	hosts: readonly string[],
): Promise<CertificateFiles> {
	return authority.issue('servers', {subject: 'CN=servers', hosts});
}

/**
 * Start a server. What it does is written in the query of the request: `negotiate` demands a ticket, `status` and
 * `to` redirect, `cookie` sets one.
 */
export async function startRecordingServer(
	host: string,
	certificate?: CertificateFiles,
): Promise<RecordingServer> {
	const sightings: Sighting[] = [];
	const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
		const chunks: Buffer[] = [];
		for await (const chunk of request) chunks.push(chunk as Buffer);
		const {method = '', url = '', rawHeaders, headers} = request;
		const body = Buffer.concat(chunks).toString();
		sightings.push({method, url, rawHeaders, headers, body, certificate: certificateOf(request)});
		const query = new URL(url, 'http://server').searchParams;
		if (query.has('negotiate')) {
			const proof = proofFor(headers.authorization);
			response.setHeader('www-authenticate', proof === undefined ? 'Negotiate' : `Negotiate ${proof}`);
			if (proof === undefined) {
				response.writeHead(401).end();
				return;
			}
		}
		const cookie = query.get('cookie');
		if (cookie !== null) response.setHeader('set-cookie', cookie);
		const location = query.get('to');
		if (location === null) response.end('arrived');
		else response.writeHead(Number(query.get('status')), {location}).end();
	};
	const listener = (request: IncomingMessage, response: ServerResponse): void => {
		answer(request, response).catch(() => response.destroy());
	};
	const server =
		certificate === undefined
			? createHttpServer(listener)
			: createHttpsServer(
					{
						cert: await readFile(certificate.certificate),
						key: await readFile(certificate.key),
						// Whoever shows a certificate shows it; nobody has to.
						requestCert: true,
						rejectUnauthorized: false,
					},
					listener,
				);
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	const {port} = server.address() as AddressInfo;
	return {
		origin: `${certificate === undefined ? 'http' : 'https'}://${host}:${port}`,
		sightings,
		async close() {
			const closed = new Promise(resolve => server.close(resolve));
			server.closeAllConnections();
			await closed;
		},
	};
}

function certificateOf({socket}: IncomingMessage): string | undefined {
	return commonNameOf(socket as Partial<TLSSocket>);
}

function proofFor(authorization: string | undefined): string | undefined {
	const token = /^Negotiate (\S+)$/.exec(authorization ?? '')?.[1];
	const ticket = token === undefined ? undefined : openStubToken(Buffer.from(token, 'base64'));
	return ticket === undefined ? undefined : Buffer.from(replyTo(ticket)).toString('base64');
}
