/** `kerberos` with the option `proxy`: 407 of Apache's mod_proxy, over plain http and through tunnels. */
import {createHash, randomBytes} from 'node:crypto';
import {createReadStream} from 'node:fs';
import {readFile, writeFile} from 'node:fs/promises';
import {Agent, createServer, type IncomingHttpHeaders} from 'node:http';
import {createServer as createTlsServer} from 'node:https';
import type {AddressInfo, Socket} from 'node:net';
import {dirname, join} from 'node:path';
import {afterAll, beforeAll, describe, test} from 'vitest';
import {
	ConfigurationError,
	createGatepass,
	KerberosExchangeError,
	MutualAuthenticationError,
} from '../../src/index.ts';
import {startServer, type TestServer} from '../../src/testing/server.ts';
import {type ApacheProxy, apacheProxy, startApacheProxy} from '../servers/apache-proxy.ts';
import {describeWith} from '../servers/availability.ts';
import {freePorts} from '../servers/free-port.ts';
import {mitKdc} from '../servers/kdc.ts';
import {findSecrets} from '../transports/find-secrets.ts';
import {failureOf, libraries, useRealm} from './kerberos-setup.ts';

describeWith([mitKdc, apacheProxy], 'kerberos with a proxy', () => {
	const realm = useRealm();
	let origin: TestServer;
	let tlsOrigin: TestServer;
	let proxy: ApacheProxy;

	beforeAll(async () => {
		const answer: Parameters<typeof startServer>[0] = ({url, body}, response) => {
			if (url.endsWith('/challenged')) response.writeHead(401, {'www-authenticate': 'Negotiate'});
			response.end(createHash('sha256').update(body).digest('hex'));
		};
		origin = await startServer(answer);
		const pki = dirname(realm.server.ca);
		const [cert, key] = await Promise.all(
			['server.pem', 'server.key'].map(name => readFile(join(pki, name))),
		);
		tlsOrigin = await startServer(answer, createTlsServer({cert, key}), 'https');
		proxy = await startApacheProxy(realm.kdc, origin.url);
	});
	afterAll(async () => {
		await proxy?.close();
		await Promise.all([origin?.close(), tlsOrigin?.close()]);
	});

	/** What the server was sent last that only the proxy, or nobody, is to see. */
	const secretsOf = (server: TestServer): unknown[] => {
		const {headers = {}} = server.requests.at(-1) ?? {};
		return [headers.authorization, headers['proxy-authorization']];
	};
	const since = async (count: number): Promise<string[]> => (await proxy.log()).slice(count);

	describe.each(libraries)('over %s', library => {
		const options = async () => ({library, credentialCache: await realm.kdc.ticket(), proxy: proxy.url});
		const alice = () => `alice@${realm.kdc.realm}`;

		test('http: the proxy is answered, and proves itself; the server is told nothing', async ({expect}) => {
			const gatepass = await realm.gatepassWith(await options());
			const before = (await proxy.log()).length;
			const url = `${origin.url}/page?own=1`;
			const response = await gatepass.got(url);
			expect([response.statusCode, response.url]).toEqual([200, url]);
			expect(origin.requests.at(-1)).toMatchObject({url: '/page?own=1', headers: {host: new URL(url).host}});
			expect(secretsOf(origin)).toEqual([undefined, undefined]);
			const asked = `GET ${url}`;
			await expect.poll(() => since(before)).toEqual([`${asked} 407 -`, `${asked} 200 ${alice()}`]);
		});

		test('https: the proxy opens a tunnel, which is used again; the server is told nothing', async ({
			expect,
		}) => {
			const gatepass = await realm.gatepassWith(await options());
			const before = (await proxy.log()).length;
			for (const path of ['/one', '/two']) {
				expect((await gatepass.got(tlsOrigin.url + path)).statusCode).toBe(200);
				expect(secretsOf(tlsOrigin)).toEqual([undefined, undefined]);
			}
			const {host} = new URL(tlsOrigin.url);
			expect(tlsOrigin.requests.at(-1)?.headers.host).toBe(host);
			// One of them has the tunnel that is there.
			await Promise.all(['/3', '/4', '/5'].map(path => gatepass.got(tlsOrigin.url + path)));
			await gatepass.close();
			// Apache writes of a tunnel once it is over.
			await expect
				.poll(async () => (await since(before)).sort())
				.toEqual([
					...Array(3).fill(`CONNECT ${host} 200 ${alice()}`),
					...Array(3).fill(`CONNECT ${host} 407 -`),
				]);
		});

		test('a rule that names the proxy goes with other rules for the servers behind it', async ({expect}) => {
			const {proxy: _, ...ofProxy} = await options();
			const gatepass = await createGatepass({
				config: {
					cache: {url: 'memory:'},
					proxy: proxy.url,
					trust: [{match: tlsOrigin.url, ca: realm.server.ca, only: true}],
					hostRules: [
						{match: proxy.url, strategy: 'kerberos', options: ofProxy},
						...[origin.url, tlsOrigin.url].map(match => ({
							match,
							strategy: 'static-token' as const,
							options: {token: 'own'},
							allowInsecure: true,
						})),
					],
				},
			});
			const before = (await proxy.log()).length;
			for (const server of [origin, tlsOrigin]) {
				expect((await gatepass.got(`${server.url}/page`)).statusCode).toBe(200);
				expect((await gatepass.got.post(`${server.url}/page`, {body: 'b'})).statusCode).toBe(200);
				expect((await gatepass.fetch(`${server.url}/page`)).status).toBe(200);
				expect(secretsOf(server)).toEqual(['Bearer own', undefined]);
			}
			await gatepass.close();
			const {host} = new URL(tlsOrigin.url);
			const statuses = async () => (await since(before)).map(line => line.replace(/ \S+$/, '')).sort();
			// Each of the two clients has one tunnel of its own.
			await expect
				.poll(statuses)
				.toEqual(
					[
						...[`GET ${origin.url}/page 200`, `GET ${origin.url}/page 407`],
						...[`GET ${origin.url}/page 200`, `GET ${origin.url}/page 407`],
						`POST ${origin.url}/page 200`,
						`CONNECT ${host} 200`,
						`CONNECT ${host} 200`,
						`CONNECT ${host} 407`,
						`CONNECT ${host} 407`,
					].sort(),
				);
		});

		test("the ticket is for the proxy by its URL's host, whatever the server is called", async ({expect}) => {
			const all = await options();
			const gatepass = await realm.gatepassWith(all, {'http://nowhere.localhost:*': all});
			const before = (await proxy.log()).length;
			const url = `${origin.url.replace('127.0.0.1', 'nowhere.localhost')}/named`;
			await gatepass.got(url, {throwHttpErrors: false, retry: {limit: 0}});
			await expect
				.poll(async () => (await since(before)).map(line => line.split(' ').at(-1)))
				.toEqual(['-', alice()]);
		});

		test('preemptive: one round trip to the proxy', async ({expect}) => {
			const gatepass = await realm.gatepassWith({...(await options()), preemptive: true});
			const before = (await proxy.log()).length;
			await gatepass.got(`${origin.url}/first`);
			await gatepass.got(`${tlsOrigin.url}/first`);
			expect([secretsOf(origin), secretsOf(tlsOrigin)].flat()).toEqual(Array(4).fill(undefined));
			await gatepass.close();
			await expect
				.poll(() => since(before))
				.toEqual([
					`GET ${origin.url}/first 200 ${alice()}`,
					`CONNECT ${new URL(tlsOrigin.url).host} 200 ${alice()}`,
				]);
		});

		test.for(['http', 'https'])(
			"%s: the server's own challenge is delivered, and gets no ticket",
			async (scheme, {expect}) => {
				const server = scheme === 'http' ? origin : tlsOrigin;
				const gatepass = await realm.gatepassWith(await options());
				const before = server.requests.length;
				const response = await gatepass.got(`${server.url}/challenged`, {throwHttpErrors: false});
				expect(response.statusCode).toBe(401);
				expect(secretsOf(server)).toEqual([undefined, undefined]);
				expect(server.requests).toHaveLength(before + 1);
			},
		);

		test.for(['http', 'https'])(
			'%s: bodies arrive whole, a stream with the token at once',
			async (scheme, {expect}) => {
				const gatepass = await realm.gatepassWith(await options());
				const server = scheme === 'http' ? origin : tlsOrigin;
				const body = randomBytes(20_000).toString('hex');
				const digest = createHash('sha256').update(body).digest('hex');
				const file = join(realm.kdc.folder, `${library}-body`);
				await writeFile(file, body);
				const once = (async function* () {
					yield body;
				})();
				for (const one of [body, createReadStream(file), once]) {
					expect((await gatepass.got.post(server.url, {body: one})).body).toBe(digest);
				}
			},
		);

		test("proxy: true answers where an agent of the caller's goes through the proxy", async ({expect}) => {
			// Else what goes to this machine goes there directly.
			const ofProxy = {...(await options()), proxy: true, hostname: 'localhost'};
			const gatepass = await realm.gatepassWith(ofProxy, {}, true);
			const agent = new Agent({keepAlive: true, proxyEnv: {HTTP_PROXY: proxy.url}});
			const before = (await proxy.log()).length;
			const response = await gatepass.got(`${origin.url}/by-agent`, {agent: {http: agent}});
			agent.destroy();
			expect(response.statusCode).toBe(200);
			expect(secretsOf(origin)).toEqual([undefined, undefined]);
			const asked = `GET ${origin.url}/by-agent`;
			await expect.poll(() => since(before)).toEqual([`${asked} 407 -`, `${asked} 200 ${alice()}`]);
		});

		test('proxy: true is refused for https, before anything is sent', async ({expect}) => {
			const gatepass = await realm.gatepassWith({
				...(await options()),
				proxy: true,
				hostname: 'localhost',
				preemptive: true,
			});
			const before = tlsOrigin.requests.length;
			const error = await failureOf(gatepass.got(tlsOrigin.url));
			expect(error).toBeInstanceOf(KerberosExchangeError);
			expect(error.message).toContain("Give the proxy's URL");
			expect(tlsOrigin.requests).toHaveLength(before);
		});

		test('a body that can be opened again is sent whole after a 401, through Apache', async ({expect}) => {
			const {proxy: _, ...direct} = await options();
			const body = randomBytes(2_000_000).toString('hex');
			const file = join(realm.kdc.folder, `${library}-big-body`);
			await writeFile(file, body);
			const part = {start: 1000, end: 3_000_000};
			const open = () => createReadStream(file);
			const before = (await proxy.log()).length;
			const bodies = [
				[createReadStream(file), body],
				[createReadStream(file, part), body.slice(part.start, part.end + 1)],
				[open as never, body],
			] as const;
			for (const [one, content] of bodies) {
				// A server that has proven itself to a rule is not sent a body for a challenge again.
				const gatepass = await realm.gatepassWith(direct);
				const {body: digest} = await gatepass.got.post(`${proxy.gateway}/upload`, {body: one});
				expect(digest).toBe(createHash('sha256').update(content).digest('hex'));
			}
			const statuses = async () => (await since(before)).map(line => line.split(' ')[2]);
			await expect.poll(statuses).toEqual(['401', '200', '401', '200', '401', '200']);
		});
	});

	describe('a proxy that is not as it should be', () => {
		interface Refusal {
			readonly status: number;
			readonly headers?: Record<string, string>;
		}
		/** Answers tunnels and requests; without a refusal the tunnel is real. */
		async function startFakeProxy(decide: (headers: IncomingHttpHeaders) => Refusal) {
			const seen: IncomingHttpHeaders[] = [];
			const server = createServer((request, response) => {
				seen.push(request.headers);
				const {status, headers = {}} = decide(request.headers);
				response.writeHead(status, headers).end('page');
			});
			server.on('connect', (request, socket: Socket) => {
				seen.push(request.headers);
				const {status, headers = {}} = decide(request.headers);
				const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
				socket
					.on('error', () => {})
					.on('end', () => socket.end())
					.resume();
				// It is the client's to close; otherwise this proxy does not end.
				socket.write(`HTTP/1.1 ${status} Whatever\r\n${lines.join('')}\r\n`);
			});
			await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
			const url = `http://localhost:${(server.address() as AddressInfo).port}`;
			const close = async () => {
				server.closeAllConnections();
				await new Promise(resolve => server.close(resolve));
			};
			return {url, seen, close};
		}
		const optionsFor = async (url: string, others: object = {}) => ({
			library: 'mit',
			credentialCache: await realm.kdc.ticket(),
			proxy: url,
			...others,
		});

		test('it refuses for ever: two tokens, and an error, or the 407', async ({expect}) => {
			const fake = await startFakeProxy(() => ({status: 407, headers: {'Proxy-Authenticate': 'Negotiate'}}));
			const gatepass = await realm.gatepassWith(await optionsFor(fake.url));
			const error = await failureOf(gatepass.got(tlsOrigin.url, {retry: {limit: 0}}));
			expect(error).toMatchObject({code: 'ERR_PROXY_TUNNEL'});
			expect(error.message).toContain(`opens no tunnel to ${new URL(tlsOrigin.url).host}: it answered 407`);
			const tokens = fake.seen.map(headers => headers['proxy-authorization']);
			expect([tokens.length, new Set(tokens).size]).toEqual([3, 3]);
			const response = await gatepass.got(origin.url, {throwHttpErrors: false, retry: {limit: 0}});
			expect(response.statusCode).toBe(407);
			await fake.close();
		});

		test('it opens no tunnel to this server', async ({expect}) => {
			const fake = await startFakeProxy(() => ({status: 403}));
			const gatepass = await realm.gatepassWith(await optionsFor(fake.url));
			const error = await failureOf(gatepass.got(tlsOrigin.url, {retry: {limit: 0}}));
			expect(error.message).toContain('it answered 403');
			await fake.close();
		});

		test('it proves itself wrongly', async ({expect}) => {
			const fake = await startFakeProxy(headers =>
				headers['proxy-authorization'] === undefined
					? {status: 407, headers: {'Proxy-Authenticate': 'Negotiate'}}
					: {status: 200, headers: {'Proxy-Authenticate': `Negotiate ${randomBytes(60).toString('base64')}`}},
			);
			for (const mutualAuthentication of ['required', 'optional']) {
				const gatepass = await realm.gatepassWith(await optionsFor(fake.url, {mutualAuthentication}));
				for (const {url} of [origin, tlsOrigin]) {
					const error = await failureOf(gatepass.got(url, {retry: {limit: 0}}));
					expect(error).toBeInstanceOf(MutualAuthenticationError);
				}
			}
			await fake.close();
		});

		test('it does not prove itself over plain http', async ({expect}) => {
			const fake = await startFakeProxy(() => ({status: 200}));
			const gatepass = await realm.gatepassWith(await optionsFor(fake.url));
			expect(await failureOf(gatepass.got(origin.url))).toBeInstanceOf(MutualAuthenticationError);
			const lenient = await realm.gatepassWith(
				await optionsFor(fake.url, {mutualAuthentication: 'optional'}),
			);
			expect((await lenient.got(origin.url)).body).toBe('page');
			await fake.close();
		});

		test('it is not there, it hangs up, it does not answer', async ({expect}) => {
			const [port] = await freePorts(1);
			const away = await realm.gatepassWith(await optionsFor(`http://127.0.0.1:${port}`));
			for (const {url} of [origin, tlsOrigin]) {
				expect(await failureOf(away.got(url, {retry: {limit: 0}}))).toMatchObject({code: 'ECONNREFUSED'});
			}
			const sockets = new Set<Socket>();
			const server = createServer();
			server.on('connection', socket => sockets.add(socket));
			server.on('connect', (request, socket) => {
				if (request.url?.startsWith('localhost')) socket.destroy();
			});
			await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
			const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
			const hasty = await realm.gatepassWith(await optionsFor(url, {timeout: 500, hostname: 'localhost'}));
			const mute = await failureOf(hasty.got(tlsOrigin.url, {retry: {limit: 0}}));
			expect(mute).toMatchObject({code: 'ETIMEDOUT'});
			expect(mute.message).toContain('did not answer within 500 ms');
			const patient = await realm.gatepassWith(await optionsFor(url, {hostname: 'localhost'}));
			const cut = await failureOf(
				patient.got(tlsOrigin.url.replace('127.0.0.1', 'localhost'), {retry: {limit: 0}}),
			);
			expect(cut).toMatchObject({code: 'ECONNRESET'});
			for (const socket of sockets) socket.destroy();
			await new Promise(resolve => server.close(resolve));
		});

		test.for(['refused', 'opened'])(
			'no secret is in what a failure tells: a tunnel %s',
			async (how, {expect}) => {
				const seen: string[] = [];
				const server = createServer();
				server.on('connect', (request, socket: Socket) => {
					seen.push(String(request.headers['proxy-authorization']).slice(0, 60));
					socket
						.on('error', () => {})
						.on('end', () => socket.end())
						.resume();
					const status = how === 'opened' ? '200 OK' : '407 No';
					// No TLS is to be had behind it.
					socket.end(`HTTP/1.1 ${status}\r\nProxy-Authenticate: Negotiate\r\n\r\nGarbage`);
				});
				await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
				const url = `http://localhost:${(server.address() as AddressInfo).port}`;
				const gatepass = await realm.gatepassWith(await optionsFor(url, {preemptive: true}));
				const error = await failureOf(gatepass.got(tlsOrigin.url, {retry: {limit: 0}}));
				expect(seen[0]).toMatch(/^Negotiate .{40}/);
				expect(findSecrets(error, [String(seen[0])])).toEqual([]);
				await new Promise(resolve => server.close(resolve));
			},
		);
	});

	test.for([
		[{proxy: true}, "needs 'hostname'"],
		[{proxy: 'https://proxy.example.org'}, 'proxy'],
		[{proxy: 'proxy.example.org:3128'}, 'proxy'],
		[{proxy: 'http://proxy.example.org:3128'}, 'plain http'],
		[{proxy: 'http://127.0.0.1:3128', delegate: true}, 'act for the principal'],
		[{proxy: 'http://127.0.0.1:3128', channelBindings: 'required'}, 'before there is any TLS'],
	] as const)('the options %j are refused', async ([options, reason], {expect}) => {
		const error = await failureOf(realm.gatepassWith(options));
		expect(error).toBeInstanceOf(ConfigurationError);
		expect(error.message).toContain(reason);
	});
});
