/** An https server that demands a client certificate, with the certificates to reach it. */
import type {X509Certificate} from 'node:crypto';
import {readFile} from 'node:fs/promises';
import {createServer} from 'node:https';
import type {TLSSocket} from 'node:tls';
import {subjectValues} from '../x509/names.ts';
import {type CertificateFiles, createTestAuthority, type TestAuthority} from './authority.ts';
import {answerJson, startServer, type TestServer} from './server.ts';

/** A server that demands a client certificate. */
export interface MtlsServer extends TestServer {
	/** PEM file of the CA that vouches for the server, and that the server trusts: for `trust` in a configuration. */
	readonly ca: string;
	/** A client certificate that the server accepts: for the options of `grid-certificate`. */
	readonly client: CertificateFiles;
	/** To issue more. */
	readonly authority: TestAuthority;
}

/** Start a server that answers each request with the subject of the client's certificate. */
export async function startMtlsServer(): Promise<MtlsServer> {
	const authority = await createTestAuthority();
	const own = await authority.issue('server', {subject: 'CN=localhost', hosts: ['127.0.0.1', 'localhost']});
	const client = await authority.issue('client', {subject: 'CN=alice,O=gatepass test'});
	const [cert, key, ca] = await Promise.all(
		[own.certificate, own.key, authority.ca].map(file => readFile(file)),
	);
	const https = createServer({cert, key, ca, requestCert: true, rejectUnauthorized: true});
	const server = await startServer(
		(request, response, incoming) => {
			const certificate = (incoming.socket as TLSSocket).getPeerX509Certificate() as X509Certificate;
			const [name] = subjectValues(certificate, 'CN');
			answerJson(response, 200, {path: request.url, subject: `CN=${name}`});
		},
		https,
		'https',
	);
	return {
		url: server.url,
		requests: server.requests,
		ca: authority.ca,
		client,
		authority,
		async close() {
			await server.close();
			await authority.close();
		},
	};
}
