/** The stages of a diagnosis over real servers: each in its state, with the evidence that it is for. */
import {once} from 'node:events';
import {createServer as createHttpServer, type Server as HttpServer} from 'node:http';
import {type AddressInfo, connect, createServer, type Server} from 'node:net';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {type ConfigurationInput, createGatepass, type Diagnosis, type Stage} from '../../src/index.ts';
import {startServer} from '../../src/testing/server.ts';
import {type ApacheWithUsers, apache, startApacheMtls} from '../servers/apache.ts';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith} from '../servers/availability.ts';
import {mitKdc} from '../servers/kdc.ts';
import {clients, type OidcProvider, startOidcProvider} from '../servers/oidc-provider.ts';
import {type ProtectedApi, startProtectedApi} from '../servers/protected-api.ts';
import {useRealm} from '../strategies/kerberos-setup.ts';
import {findSecrets} from '../transports/find-secrets.ts';

async function diagnose(
	config: ConfigurationInput,
	url: string,
	options: {method?: string; signal?: AbortSignal} = {},
): Promise<Diagnosis> {
	const gatepass = await createGatepass({config: {cache: {url: 'memory:'}, ...config}});
	try {
		return await gatepass.diagnose(url, options);
	} finally {
		await gatepass.close();
	}
}

const states = ({stages}: Diagnosis): Record<string, Stage['state']> =>
	Object.fromEntries(stages.map(({name, state}) => [name, state]));
const evidence = ({stages}: Diagnosis, wanted: Stage['name']): Stage['evidence'] =>
	stages.find(({name}) => name === wanted)?.evidence ?? {};

describeWith(apache, 'a client certificate', () => {
	let server: ApacheWithUsers;
	beforeAll(async () => {
		server = await startApacheMtls();
	});
	afterAll(() => server?.close());

	const configure = (user: 'alice' | 'foreign'): ConfigurationInput => ({
		trust: [{match: '127.0.0.1:*', ca: server.ca, only: true}],
		hostRules: [{match: '127.0.0.1:*', strategy: 'grid-certificate', options: {...server.users[user]}}],
	});

	test.each(['TLSv1.3', 'TLSv1.2'] as const)('that is good, over %s', async version => {
		const diagnosis = await diagnose(configure('alice'), `${server.urls[version]}/page?token=secret`);
		expect(diagnosis.diagnostics).toEqual([]);
		expect(states(diagnosis)).toEqual({
			rule: 'passed',
			credential: 'passed',
			name: 'skipped',
			way: 'passed',
			connection: 'passed',
			tls: 'passed',
			'authorization server': 'skipped',
			kerberos: 'skipped',
			request: 'passed',
		});
		expect(diagnosis.url).toBe(`${server.urls[version]}/page`);
		expect(evidence(diagnosis, 'credential')).toMatchObject({
			subject: 'CN=alice,OU=Users,O=Gatepass',
			certificate: expect.stringContaining(server.users.alice.certificate),
			key: expect.stringContaining('mode 0600'),
		});
		expect(evidence(diagnosis, 'tls')).toMatchObject({
			version,
			'client certificate asked for': true,
			'client certificate shown': expect.stringContaining('CN=alice'),
			'authorities accepted': ['CN=Test CA,O=Gatepass'],
		});
		expect(evidence(diagnosis, 'request')).toMatchObject({answer: '200 OK'});
		expect(JSON.stringify(diagnosis)).not.toContain('secret');
	});

	test.each(['TLSv1.3', 'TLSv1.2'] as const)('of another CA, over %s', async version => {
		const diagnosis = await diagnose(configure('foreign'), server.urls[version]);
		expect(states(diagnosis)).toMatchObject({tls: 'failed', request: 'skipped'});
		expect(diagnosis.diagnostics.map(({code}) => code)).toContain('client-certificate-authority-unknown');
		expect(evidence(diagnosis, 'request')).toEqual({reason: "the stage 'tls' failed"});
	});

	describe('through a proxy', () => {
		let proxy: HttpServer;
		let proxyUrl: string;
		const tunnels: string[] = [];
		beforeAll(async () => {
			proxy = createHttpServer().on('connect', ({url = ''}, socket) => {
				tunnels.push(url);
				const [host, port] = url.split(':');
				const other = connect(Number(port), host, () => {
					socket.write('HTTP/1.1 200 OK\r\n\r\n');
					socket.pipe(other).pipe(socket);
				});
				other.on('error', () => socket.destroy());
				socket.on('error', () => other.destroy());
			});
			proxy.listen(0, '127.0.0.1');
			await once(proxy, 'listening');
			proxyUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
		});
		afterAll(() => {
			proxy?.closeAllConnections();
			proxy?.close();
		});

		test.each(['TLSv1.3', 'TLSv1.2'] as const)('TLS is looked at as well, over %s', async version => {
			const url = server.urls[version];
			tunnels.length = 0;
			const diagnosis = await diagnose({...configure('alice'), proxy: proxyUrl}, url);
			expect(diagnosis.diagnostics).toEqual([]);
			expect(states(diagnosis)).toMatchObject({way: 'passed', tls: 'passed', request: 'passed'});
			expect(evidence(diagnosis, 'way')).toMatchObject({proxy: proxyUrl, heeded: true});
			expect(evidence(diagnosis, 'connection')).toMatchObject({to: `the proxy ${proxyUrl}`});
			expect(evidence(diagnosis, 'tls')).toMatchObject({
				version,
				'client certificate shown': expect.stringContaining('CN=alice'),
				'authorities accepted': ['CN=Test CA,O=Gatepass'],
			});
			// One handshake, one look at what is asked for, one request: nothing goes past the proxy.
			expect(tunnels).toEqual(Array(3).fill(new URL(url).host));
			const foreign = await diagnose({...configure('foreign'), proxy: proxyUrl}, url);
			expect(states(foreign)).toMatchObject({tls: 'failed', request: 'skipped'});
			expect(foreign.diagnostics.map(({code}) => code)).toContain('client-certificate-authority-unknown');
		});

		test('that opens no tunnel, the stage says so', async () => {
			const refusing = createHttpServer().on('connect', (_, socket) => {
				socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
			});
			refusing.listen(0, '127.0.0.1');
			await once(refusing, 'listening');
			const place = `http://127.0.0.1:${(refusing.address() as AddressInfo).port}`;
			const diagnosis = await diagnose({...configure('alice'), proxy: place}, server.urls['TLSv1.3']);
			refusing.close();
			expect(states(diagnosis)).toMatchObject({connection: 'passed', tls: 'failed', request: 'skipped'});
			expect(diagnosis.diagnostics.map(({code}) => code)).toEqual(['proxy-refused']);
		});
	});

	test('that is not there', async () => {
		const {hostRules: _, ...trust} = configure('alice');
		const diagnosis = await diagnose(trust, server.urls['TLSv1.3']);
		expect(states(diagnosis)).toMatchObject({rule: 'passed', credential: 'skipped', tls: 'failed'});
		expect(diagnosis.diagnostics.map(({code}) => code)).toEqual([
			'no-rule-matches',
			'client-certificate-demanded',
		]);
	});

	test('whose file is missing', async () => {
		const options = {certificate: '/nowhere/cert.pem', key: '/nowhere/key.pem'};
		const rule = {match: '127.0.0.1:*', strategy: 'grid-certificate', options};
		const diagnosis = await diagnose({hostRules: [rule]}, server.urls['TLSv1.3']);
		expect(states(diagnosis)).toMatchObject({credential: 'failed', name: 'skipped', request: 'skipped'});
		expect(diagnosis.diagnostics.map(({code}) => code)).toEqual(['named-file-missing']);
	});
});

describe('a token', () => {
	let provider: OidcProvider;
	let api: ProtectedApi;
	beforeAll(async () => {
		provider = await startOidcProvider({audiences: ['reports-api', 'other-api']});
		api = await startProtectedApi(provider);
	});
	afterAll(async () => {
		await api?.close();
		await provider?.close();
	});

	const configure = (options: Record<string, unknown>): ConfigurationInput => ({
		trust: [{match: '127.0.0.1:*', ca: provider.ca, only: true}],
		hostRules: [
			{
				match: api.url,
				strategy: 'sso-client-credentials',
				options: {...clients.basic, tokenEndpoint: provider.tokenEndpoint, ...options},
			},
		],
	});

	test('that is good', async () => {
		const diagnosis = await diagnose(configure({audience: 'reports-api'}), `${api.url}/runs`);
		expect(diagnosis.diagnostics).toEqual([]);
		expect(states(diagnosis)).toMatchObject({'authorization server': 'passed', request: 'passed'});
		expect(evidence(diagnosis, 'authorization server')).toMatchObject({
			client: clients.basic.clientId,
			'audience asked for': 'reports-api',
			clock: "agrees with the server's",
		});
		expect(evidence(diagnosis, 'request')).toMatchObject({'token audience': ['reports-api']});
		expect(findSecrets(diagnosis, [clients.basic.clientSecret, 'eyJ'])).toEqual([]);
	});

	test('for another audience', async () => {
		const diagnosis = await diagnose(configure({audience: 'other-api'}), `${api.url}/runs`);
		expect(states(diagnosis)).toMatchObject({'authorization server': 'passed', request: 'failed'});
		const [found] = diagnosis.diagnostics;
		expect(found?.what).toContain('the audience other-api');
		expect(found?.what).toContain('the rule asks for audience other-api');
		expect(evidence(diagnosis, 'request')).toMatchObject({
			challenges: ['Bearer'],
			error: 'invalid_token',
			'token audience': ['other-api'],
		});
	});

	test('that the authorization server refuses', async () => {
		const diagnosis = await diagnose(configure({clientSecret: 'wrong'}), `${api.url}/runs`);
		expect(states(diagnosis)).toMatchObject({'authorization server': 'failed', request: 'skipped'});
		expect(diagnosis.diagnostics.map(({code}) => code)).toEqual(['client-refused']);
	});
});

describeWith([mitKdc, apacheNegotiate], 'a ticket', () => {
	const realm = useRealm();

	test.each(['http', 'https'] as const)('that is good, over %s', async scheme => {
		const gatepass = await realm.gatepassWith({credentialCache: await realm.kdc.ticket()});
		const diagnosis = await gatepass.diagnose(realm.url(scheme, '/negotiate'));
		expect(diagnosis.diagnostics.filter(({severity}) => severity === 'error')).toEqual([]);
		expect(states(diagnosis)).toMatchObject({name: 'passed', kerberos: 'passed', request: 'passed'});
		expect(evidence(diagnosis, 'kerberos')).toMatchObject({
			'service asked for': 'HTTP/localhost',
			principal: `alice@${realm.kdc.realm}`,
			'ticket for': `HTTP/localhost@${realm.kdc.realm}`,
			'encryption type': 'aes256-cts-hmac-sha1-96',
			'key version': expect.any(Number),
			KDC: [`127.0.0.1:${realm.kdc.port} (${realm.kdc.configuration})`],
			delegation: false,
			'channel bindings': expect.anything(),
		});
		expect(evidence(diagnosis, 'request').legs).toHaveLength(2);
	});
});

describe('a server', () => {
	const hung: Server[] = [];
	afterAll(() => Promise.all(hung.map(server => new Promise(resolve => server.close(resolve)))));

	test('that is not there', async () => {
		const server = createServer().listen(0, '127.0.0.1');
		await once(server, 'listening');
		const {port} = server.address() as AddressInfo;
		await new Promise(resolve => server.close(resolve));
		const diagnosis = await diagnose({}, `http://127.0.0.1:${port}/`);
		expect(states(diagnosis)).toMatchObject({way: 'passed', connection: 'failed', request: 'skipped'});
		expect(diagnosis.diagnostics.at(-1)?.code).toBe('server-unreachable');
	});

	test('that speaks no TLS', async () => {
		const server = await startServer((_, response) => void response.end('plain'));
		const diagnosis = await diagnose({}, server.url.replace('http:', 'https:'));
		await server.close();
		expect(states(diagnosis)).toMatchObject({connection: 'passed', tls: 'failed'});
		expect(diagnosis.diagnostics.at(-1)?.code).toBe('server-speaks-no-tls');
	});

	test('that never answers is left when the caller says so', async () => {
		const server = createServer(socket => {
			socket.on('error', () => {});
			socket.once('data', () => controller.abort(new Error('enough')));
		}).listen(0, '127.0.0.1');
		hung.push(server);
		await once(server, 'listening');
		const controller = new AbortController();
		const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
		await expect(diagnose({}, url, {signal: controller.signal})).rejects.toThrow('enough');
	});

	test('that is told only what it is asked by', async () => {
		const server = await startServer((_, response) => void response.end('fine'));
		await diagnose({}, server.url);
		await diagnose({}, server.url, {method: 'head'});
		expect(server.requests.map(({method}) => method)).toEqual(['GET', 'HEAD']);
		await server.close();
	});
});
