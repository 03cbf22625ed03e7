/** The stages of a diagnosis over real servers: each in its state, with the evidence that it is for. */
import {once} from 'node:events';
import type {AddressInfo} from 'node:net';
import {createServer, type Server} from 'node:net';
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
		expect(evidence(diagnosis, 'authorization server')).toMatchObject({client: clients.basic.clientId});
		expect(evidence(diagnosis, 'request')).toMatchObject({'token audience': ['reports-api']});
		expect(findSecrets(diagnosis, [clients.basic.clientSecret, 'eyJ'])).toEqual([]);
	});

	test('for another audience', async () => {
		const diagnosis = await diagnose(configure({audience: 'other-api'}), `${api.url}/runs`);
		expect(states(diagnosis)).toMatchObject({'authorization server': 'passed', request: 'failed'});
		const [found] = diagnosis.diagnostics;
		expect(found?.what).toContain('the audience other-api');
		expect(found?.what).toContain('the rule asks for audience other-api');
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
