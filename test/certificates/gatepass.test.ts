/** A service whose identity renews by itself: what is renewed is what the next request shows, without a restart. */
import 'reflect-metadata';
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {createServer, type Server} from 'node:https';
import type {AddressInfo} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {TLSSocket} from 'node:tls';
import {container} from 'tsyringe';
import {describe, expect, onTestFinished, test} from 'vitest';
import {
	type Authenticator,
	AuthenticatorFactory,
	ConfigurationError,
	createGatepass,
	type Gatepass,
	type Installer,
	InstallerFactory,
} from '../../src/index.ts';
import {createTestAuthority} from '../../src/testing/authority.ts';
import {pebbleFor} from '../issuers/acme/stage.ts';
import {describeWith} from '../servers/availability.ts';
import {type Pebble, pebble} from '../servers/pebble.ts';

/** Answers with the serial number of the client's certificate. */
async function startServer(): Promise<{url: string; ca: string}> {
	const authority = await createTestAuthority();
	const {certificate, key} = await authority.issue('server', {subject: 'CN=localhost', hosts: ['127.0.0.1']});
	const server: Server = createServer(
		{
			cert: await readFile(certificate),
			key: await readFile(key),
			requestCert: true,
			rejectUnauthorized: false,
		},
		(request, response) => {
			const shown = (request.socket as TLSSocket).getPeerX509Certificate();
			response.end(shown?.serialNumber ?? 'nobody');
		},
	);
	await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
	onTestFinished(async () => {
		server.closeAllConnections();
		await new Promise(done => server.close(done));
		await authority.close();
	});
	return {url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, ca: authority.ca};
}

async function gatepassAt(
	server: Pebble,
	certificates: object,
	more: object = {},
	settings: object = {},
): Promise<Gatepass> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-service-'));
	const gatepass = await createGatepass({
		cwd: folder,
		env: {},
		config: {
			cache: {url: 'memory:'},
			certificates: {
				folder: './letsencrypt',
				server: server.directoryUrl,
				termsOfServiceAgreed: true,
				authenticator: {name: 'http-01', address: '127.0.0.1', port: server.httpPort},
				...certificates,
			},
			...more,
		} as never,
		...settings,
	});
	onTestFinished(async () => {
		await gatepass.close();
		await rm(folder, {recursive: true, force: true});
	});
	return gatepass;
}

describeWith(pebble, 'with an authority', () => {
	test('the renewed certificate is what the next request shows', async () => {
		const [server, api] = [await pebbleFor(), await startServer()];
		const gatepass = await gatepassAt(
			server,
			{},
			{
				trust: [
					{match: 'https://localhost:*', ca: server.ca},
					{match: 'https://127.0.0.1:*', ca: api.ca},
				],
				hostRules: [{match: api.url, strategy: 'grid-certificate', options: {lineage: 'robot.example.test'}}],
			},
		);
		await expect(gatepass.got(api.url, {retry: {limit: 0}})).rejects.toThrow(/the option 'lineage'/);
		const enrolled = await gatepass.certificates.enroll(['robot.example.test']);
		expect(await gatepass.got(api.url).text()).toBe(enrolled?.serialNumber);
		await gatepass.certificates.renew({force: true});
		const [renewed] = await gatepass.certificates.list();
		expect(renewed?.serialNumber).not.toBe(enrolled?.serialNumber);
		// Files are looked at once a second at most.
		await expect.poll(() => gatepass.got(api.url).text()).toBe(renewed?.serialNumber);
	});

	test("authenticators and installers of the user's own", async () => {
		const server = await pebbleFor();
		const told: unknown[] = [];
		const answers = new Map<string, string>();
		const {createServer: createHttp} = await import('node:http');
		const web = createHttp((request, response) => void response.end(answers.get(request.url ?? '')));
		await new Promise<void>(done => web.listen(server.httpPort, '127.0.0.1', done));
		onTestFinished(async () => {
			web.closeAllConnections();
			await new Promise(done => web.close(done));
		});
		const authenticator: Authenticator = {
			name: 'ours',
			challenges: ['http-01'],
			async perform({token, keyAuthorization}) {
				answers.set(`/.well-known/acme-challenge/${token}`, keyAuthorization);
				return async () => void answers.delete(`/.well-known/acme-challenge/${token}`);
			},
		};
		const installer: Installer = {
			name: 'ours',
			deploy: async ({name, domains}) => void told.push([name, ...domains]),
		};
		const own = container.createChildContainer();
		own.register(AuthenticatorFactory, {
			useValue: {
				name: 'ours',
				create(options) {
					told.push(options);
					return authenticator;
				},
			},
		});
		own.register(InstallerFactory, {useValue: {name: 'ours', create: () => installer}});
		const gatepass = await gatepassAt(
			server,
			{authenticator: {name: 'ours', zone: 'x'}, installer: {name: 'ours'}},
			{trust: [{match: 'https://localhost:*', ca: server.ca}]},
			{container: own},
		);
		await gatepass.certificates.enroll(['a.example.test']);
		expect(told).toEqual([{zone: 'x'}, ['a.example.test', 'a.example.test']]);
		expect(answers.size).toBe(0);
		// certbot has no such authenticator.
		expect((await gatepass.certificates.list())[0]?.isForCertbot).toBe(false);
		await gatepass.certificates.renew({force: true});
		expect(told).toHaveLength(4);
	});
});

describe('what is written about certificates', () => {
	test.each([
		['a server that is no URL', {server: 'ca.example.org'}, /certificates\.server/],
		['an option that is none', {sever: 'https://ca.example.org'}, /sever/],
		['an installer without its files', {installer: {name: 'files', key: 'k.pem'}}, /installer/],
		['a mode that is none', {installer: {name: 'files', key: 'k', certificate: 'c', mode: 'rw'}}, /mode/],
		['a port that is none', {authenticator: {name: 'http-01', port: 0}}, /port/],
	])('%s is a mistake', async (_, certificates, message) => {
		const folder = await mkdtemp(join(tmpdir(), 'gatepass-service-'));
		onTestFinished(() => rm(folder, {recursive: true, force: true}));
		await writeFile(
			join(folder, 'gatepass.config.json'),
			JSON.stringify({cache: {url: 'memory:'}, certificates}),
		);
		const failure = await createGatepass({cwd: folder, env: {}}).catch(error => error);
		expect(failure).toBeInstanceOf(ConfigurationError);
		expect(failure.message).toMatch(message);
	});
});
