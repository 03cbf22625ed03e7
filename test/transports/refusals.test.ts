/** Servers that refuse the client certificate, each in its own way: the user reads what they most likely minded. */
import {once} from 'node:events';
import {readFile} from 'node:fs/promises';
import {createServer, type Server} from 'node:https';
import type {AddressInfo} from 'node:net';
import {Readable, Writable} from 'node:stream';
import {pipeline} from 'node:stream/promises';
import got, {type OptionsInit} from 'got';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {CertificateError, createGatepass, type Gatepass} from '../../src/index.ts';
import {type ApacheMtls, apache, startApacheWith, type TlsVersion} from '../servers/apache.ts';
import {describeWith} from '../servers/availability.ts';
import {createGridPki, type GridPki, type GridUser} from '../servers/grid-pki.ts';
import {gridProxyTools, makeProxy} from '../servers/grid-proxies.ts';
import {type Nginx, nginx, startNginx} from '../servers/nginx.ts';
import {opensslServer, startOpensslServer} from '../servers/openssl-server.ts';

const versions: readonly TlsVersion[] = ['TLSv1.3', 'TLSv1.2'];
const day = 24 * 3_600_000;

describeWith([apache, opensslServer, gridProxyTools, nginx], 'a client certificate that is refused', () => {
	let pki: GridPki;
	let proxy: string;
	let server: ApacheMtls;
	const open: {close(): Promise<void>}[] = [];

	beforeAll(async () => {
		pki = await createGridPki();
		proxy = await makeProxy(pki, 'proxy', pki.users.alice);
		server = await startApacheWith(pki);
	});
	afterAll(async () => {
		await Promise.all(open.map(each => each.close()));
		await server?.close();
		await pki?.close();
	});

	/** Tries again as often as got may, whatever the method. */
	const eager = got.extend({
		retry: {limit: 2, methods: ['GET', 'PUT'], calculateDelay: ({computedValue}) => computedValue && 1},
	});

	async function gatepassFor(url: string, options?: Record<string, unknown>): Promise<Gatepass> {
		const gatepass = await createGatepass({
			got: eager,
			env: {},
			config: {
				cache: {url: 'memory:'},
				trust: [{match: new URL(url).origin, ca: pki.ca, only: true}],
				hostRules: options ? [{match: url, strategy: 'grid-certificate', options}] : [],
			},
		});
		open.push(gatepass);
		return gatepass;
	}

	const filesOf = (user: GridUser): Record<string, unknown> => {
		const {certificate, key} = pki.users[user];
		return {certificate, key};
	};

	/** What a request fails with, and how often got tried it again. */
	async function failureOf(
		gatepass: Gatepass,
		url: string,
		options: OptionsInit & {isStream?: true} = {},
	): Promise<{error: CertificateError; retries: number}> {
		let retries = 0;
		const client = gatepass.got.extend({
			hooks: {
				beforeRetry: [
					() => {
						retries += 1;
					},
				],
			},
		});
		const error: unknown = await (options.isStream === true
			? pipeline(
					Readable.from(chunks()),
					client.stream.put(url, options),
					new Writable({write: (_chunk, _encoding, done) => done()}),
				)
			: client(url, options)
		).then(
			() => 'no failure',
			(failure: unknown) => failure,
		);
		expect(error).toBeInstanceOf(CertificateError);
		return {error: error as CertificateError, retries};
	}

	function* chunks(): Generator<Buffer> {
		for (let count = 0; count < 128; count++) yield Buffer.alloc(64 * 1024);
	}

	describe.each(versions)('over %s', version => {
		const cases = [
			[undefined, 'it demands one and got none', "a rule with the strategy 'grid-certificate'"],
			['foreign', 'it does not know the CA that issued it', 'CN=Other Root CA,O=Elsewhere,C=CH'],
			['revoked', 'it takes it for revoked', 'Use a certificate that the server accepts'],
		] as const;

		test.for(cases)('by Apache: %s', async ([user, reason, hint], context) => {
			const url = server.urls[version];
			const gatepass = await gatepassFor(url, user && filesOf(user));
			const {error, retries} = await failureOf(gatepass, url);
			const {message} = error;
			context.expect(message).toMatch(`${new URL(url).host} refused the client certificate: `);
			context
				.expect(message)
				.toContain(user === undefined && version === 'TLSv1.2' ? 'it got none that it accepts' : reason);
			context.expect(message).toContain(hint);
			context
				.expect(message)
				.toContain(
					user === undefined
						? 'no client certificate was shown'
						: `${pki.users[user].certificate} (${pki.users[user].subject}) was shown`,
				);
			context.expect(error.cause).toMatchObject({name: 'RequestError'});
			context.expect(retries).toBe(0);
		});

		test('by openssl s_server, whose clock says that it has expired: its own date is named', async () => {
			const ahead = await startOpensslServer(pki, {version, time: Date.now() + 20 * day});
			open.push(ahead);
			const gatepass = await gatepassFor(ahead.url, filesOf('alice'));
			const {error} = await failureOf(gatepass, ahead.url);
			expect(error.message).toContain('it takes it, or a revocation list of its own, for expired');
			expect(error.message).toMatch(
				/It is valid until \d{4}-\d\d-\d\dT[\d:.]+Z; ask the server's operator about its clock/,
			);
		});

		test('a proxy, by Apache and by openssl s_server: they most likely accept none', async () => {
			const other = await startOpensslServer(pki, {version});
			open.push(other);
			for (const url of [server.urls[version], other.url]) {
				const gatepass = await gatepassFor(url, {proxy});
				const {error} = await failureOf(gatepass, url);
				expect(error.message).toContain('most likely it accepts no proxies');
				expect(error.message).toContain('Show the certificate that the proxy was made from');
			}
		});

		test.for([
			['a buffer', (): OptionsInit => ({method: 'PUT', body: Buffer.alloc(8 * 1024 * 1024)})],
			['an iterable', (): OptionsInit => ({method: 'PUT', body: chunks()})],
			['a stream', (): OptionsInit & {isStream: true} => ({isStream: true})],
		] as const)(
			'while %s is uploaded: the same error, and nothing is tried again',
			async ([, makeOptions], context) => {
				const url = server.urls[version];
				for (const user of [undefined, 'revoked'] as const) {
					const gatepass = await gatepassFor(url, user && filesOf(user));
					// Whether the alert is read before the connection breaks is up to chance.
					for (let round = 0; round < 5; round++) {
						const {error, retries} = await failureOf(gatepass, url, makeOptions());
						context.expect(error.message).toContain('refused the client certificate: ');
						context
							.expect(error.message)
							.toContain(user ? pki.users.revoked.certificate : 'no client certificate was shown');
						context.expect(retries).toBe(0);
					}
				}
			},
		);

		test('by Node, which sends no alert, in answer to a request with and without a body', async () => {
			const strict = await startNode(version, (_request, response) => response.end());
			const gatepass = await gatepassFor(strict.url, filesOf('foreign'));
			for (const options of [
				{},
				{method: 'PUT', body: 'small'},
				{method: 'PUT', body: 'x'.repeat(4 << 20)},
			]) {
				const {error, retries} = await failureOf(gatepass, strict.url, options as OptionsInit);
				expect(error.message).toContain('it broke the connection off when it had seen it');
				expect(error.message).toContain(pki.users.foreign.certificate);
				expect(retries).toBe(0);
			}
		});

		test('a server that accepts it and breaks the connection off has not refused it', async () => {
			// At once, it would do so before its tickets are on their way, by which it shows that it accepts it.
			const broken = await startNode(version, request => setImmediate(() => request.socket.destroy()));
			const gatepass = await gatepassFor(broken.url, filesOf('alice'));
			let retries = 0;
			const client = gatepass.got.extend({
				hooks: {
					beforeRetry: [
						() => {
							retries += 1;
						},
					],
				},
			});
			await expect(client(broken.url)).rejects.toMatchObject({name: 'RequestError', code: 'ECONNRESET'});
			expect(retries).toBe(2);
		});

		test('on a connection that was good so far', async () => {
			const url = server.lateUrls[version];
			const gatepass = await gatepassFor(url, filesOf('revoked'));
			const {headers} = await gatepass.got(`${url}/page`);
			if (version === 'TLSv1.3') {
				// A client would have to agree to it in its first message, which Node's does not.
				await expect(gatepass.got(`${url}/late`)).rejects.toMatchObject({response: {statusCode: 403}});
				return;
			}
			const {error, retries} = await failureOf(gatepass, `${url}/late`);
			expect(error.message).toContain('it takes it for revoked');
			expect(retries).toBe(0);
			const own = await gatepassFor(url, filesOf('alice'));
			const before = (await own.got(`${url}/page`)).headers;
			expect(before['x-client-port']).not.toBe(headers['x-client-port']);
			const after = (await own.got(`${url}/late`)).headers;
			expect(after['x-client-port']).toBe(before['x-client-port']);
			expect([before['x-client-dn'], after['x-client-dn']]).toEqual(['(null)', pki.users.alice.subject]);
		});
	});

	describe('by nginx, which says so in HTTP', () => {
		let nginxServer: Nginx;
		beforeAll(async () => {
			nginxServer = await startNginx(pki);
		});
		afterAll(async () => nginxServer?.close());

		test.for([
			[undefined, 'No required SSL certificate was sent'],
			['revoked', 'The SSL certificate error'],
			['foreign', 'The SSL certificate error'],
		] as const)('%s: the answer is delivered as it is', async ([user, phrase], context) => {
			for (const version of versions) {
				const url = nginxServer.urls[version];
				const gatepass = await gatepassFor(url, user && filesOf(user));
				await context.expect(gatepass.got(url)).rejects.toMatchObject({
					name: 'HTTPError',
					response: {statusCode: 400, body: expect.stringContaining(phrase)},
				});
			}
		});
	});

	/** Node's own server, which takes no certificate but one of the grid. */
	async function startNode(
		version: TlsVersion,
		onRequest: Parameters<Server['on']>[1],
	): Promise<{url: string}> {
		const [ca, cert, key] = await Promise.all(
			[pki.ca, pki.server.certificate, pki.server.key].map(file => readFile(file)),
		);
		const tls = {ca, cert, key, minVersion: version, maxVersion: version};
		const node = createServer({...tls, requestCert: true, rejectUnauthorized: true}, onRequest as never);
		await once(node.listen(0, '127.0.0.1'), 'listening');
		open.push({
			async close() {
				node.closeAllConnections();
				await new Promise(resolve => node.close(resolve));
			},
		});
		return {url: `https://127.0.0.1:${(node.address() as AddressInfo).port}`};
	}
});
