/** What a server asks of its clients, as its handshake says it: with every version of TLS and every cipher of TLS 1.3. */
import {readFile} from 'node:fs/promises';
import type {AddressInfo} from 'node:net';
import {createServer as createTcpServer} from 'node:net';
import {createServer, type Server, type TlsOptions} from 'node:tls';
import {afterAll, afterEach, beforeAll, expect, test} from 'vitest';
import {askedOfClients} from '../../src/diagnose/certificate-wish.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';

let authority: TestAuthority;
let material: TlsOptions;
let server: Server | undefined;
beforeAll(async () => {
	authority = await createTestAuthority('CA\\, of tests');
	const {certificate, key} = await authority.issue('server', {subject: 'CN=x', hosts: ['127.0.0.1']});
	const [cert, privateKey, ca] = await Promise.all(
		[certificate, key, authority.ca].map(file => readFile(file)),
	);
	material = {cert, key: privateKey, ca} as TlsOptions;
});
afterEach(() => new Promise<void>(done => (server === undefined ? done() : void server.close(() => done()))));
afterAll(() => authority.close());

async function ask(options: TlsOptions): Promise<Awaited<ReturnType<typeof askedOfClients>>> {
	server = createServer(
		{...material, rejectUnauthorized: false, ...options},
		socket => void socket.on('error', () => {}),
	);
	server.on('tlsClientError', () => {});
	await new Promise<void>(done => server?.listen(0, '127.0.0.1', done));
	const {port} = server.address() as AddressInfo;
	return askedOfClients(new URL(`https://127.0.0.1:${port}`), AbortSignal.timeout(10_000));
}

test.each([
	[{maxVersion: 'TLSv1.2'}],
	[{minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256'}],
	[{minVersion: 'TLSv1.3', ciphers: 'TLS_AES_256_GCM_SHA384'}],
	[{minVersion: 'TLSv1.3', ciphers: 'TLS_CHACHA20_POLY1305_SHA256'}],
] as const)('%j: the names of the CAs', async options => {
	expect(await ask({...options, requestCert: true})).toEqual({authorities: ['CN=CA\\, of tests']});
});

test.each(['TLSv1.2', 'TLSv1.3'] as const)('%s: nothing, where it asks for nothing', async version => {
	expect(await ask({minVersion: version, maxVersion: version, requestCert: false})).toBeUndefined();
});

test('what is no TLS is not taken for a wish', async () => {
	const other = createTcpServer(
		socket =>
			void socket
				.on('error', () => {})
				.resume()
				.end(Buffer.alloc(5000, 22)),
	);
	await new Promise<void>(done => other.listen(0, '127.0.0.1', done));
	const url = new URL(`https://127.0.0.1:${(other.address() as AddressInfo).port}`);
	expect(await askedOfClients(url, AbortSignal.timeout(10_000))).toBeUndefined();
	await new Promise(done => other.close(done));
});
