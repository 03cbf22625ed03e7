/** `spiffe` against a server of the published Workload API, and an https server that asks for certificates. */

import {rm, writeFile} from 'node:fs/promises';
import {createServer, type Server} from 'node:https';
import type {AddressInfo} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import got from 'got';
import {afterEach, beforeEach, describe, expect, onTestFinished, test} from 'vitest';
import {createGatepass, type Gatepass} from '../../src/index.ts';
import {parseX509Response} from '../../src/spiffe/response.ts';
import {conformance} from '../../src/testing/index.ts';
import {SpiffeStrategy} from '../../strategies/spiffe/index.ts';
import {
	createTrustDomain,
	startWorkloadApi,
	type TrustDomain,
	type WorkloadApiServer,
} from '../servers/workload-api.ts';
import {clients} from '../transports/clients.ts';
import {failure} from '../transports/scripted-stage.ts';

const id = 'spiffe://example.org/reports';
let domain: TrustDomain;
let api: WorkloadApiServer;
let server: Server;
let url: string;
let ca: string;
/** The certificate of each connection's client. */
const shown = new WeakMap<object, string>();

beforeEach(async () => {
	domain = await createTrustDomain();
	api = await startWorkloadApi();
	const own = await domain.issue('spiffe://example.org/server', {hosts: ['127.0.0.1', 'localhost']});
	server = createServer(
		{cert: own.certificate, key: own.key, ca: domain.ca, requestCert: true, rejectUnauthorized: false},
		(request, response) => {
			response.end(shown.get(request.socket));
		},
	);
	server.on('secureConnection', socket => {
		// It can be asked for once.
		const {subjectAltName, serialNumber} = socket.getPeerX509Certificate() ?? {};
		shown.set(socket, `${subjectAltName} ${serialNumber}`);
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
	ca = join(tmpdir(), `gatepass-spiffe-${process.pid}.pem`);
	await writeFile(ca, domain.ca);
});
afterEach(async () => {
	server.closeAllConnections();
	await Promise.all([new Promise(resolve => server.close(resolve)), api.close(), rm(ca)]);
});

async function gatepassWith(
	options: Record<string, unknown> = {},
	env: Record<string, string> = {SPIFFE_ENDPOINT_SOCKET: api.address},
): Promise<Gatepass> {
	const gatepass = await createGatepass({
		env,
		got: got.extend({retry: {limit: 0}}),
		config: {
			cache: {url: 'memory:'},
			trust: [{match: 'https://127.0.0.1:*', ca, only: true}],
			hostRules: [{match: 'https://127.0.0.1:*', strategy: 'spiffe', options}],
		},
	});
	onTestFinished(() => gatepass.close());
	return gatepass;
}

describe.each(clients.map(client => ({client, name: client.name})))('over $name', ({client}) => {
	test('shows the SVID, and a new one from its push on, without a restart', async () => {
		const first = await domain.issue(id);
		api.push({svids: [first]});
		const gatepass = await gatepassWith();
		const before = (await client.send(gatepass, url)).body;
		expect(before).toContain(`URI:${id} `);
		expect((await client.send(gatepass, url)).body).toBe(before);
		api.push({svids: [await domain.issue(id)]});
		await expect.poll(async () => (await client.send(gatepass, url)).body).not.toBe(before);
		expect((await client.send(gatepass, url)).body).toContain(`URI:${id} `);
		expect(api.calls).toEqual([{header: 'true'}]);
	});
});

test('the one that the rule names, of several', async () => {
	const others = await Promise.all([domain.issue('spiffe://example.org/first'), domain.issue(id)]);
	api.push({svids: others});
	const gatepass = await gatepassWith({id, socket: api.address}, {});
	expect(await gatepass.got(url).text()).toContain(`URI:${id} `);
	const unnamed = await gatepassWith();
	expect(await unnamed.got(url).text()).toContain('spiffe://example.org/first');
	const [status] = await unnamed.status();
	expect(status).toMatchObject({available: true});
	expect(status?.detail).toContain(`spiffe://example.org/first (`);
	const missing = await gatepassWith({id: 'spiffe://example.org/nobody'});
	expect((await failure(missing.got(url))).message).toContain('spiffe://example.org/first');
});

test('a stream that ends is opened again, and the SVID stays in use meanwhile', async () => {
	api.push({svids: [await domain.issue(id)]});
	const gatepass = await gatepassWith();
	const before = await gatepass.got(url).text();
	api.cut();
	expect(await gatepass.got(url).text()).toBe(before);
	await expect.poll(() => api.calls.length).toBe(2);
	api.push({svids: [await domain.issue(id)]});
	await expect.poll(() => gatepass.got(url).text()).not.toBe(before);
});

test('where only the bundle is new, connections go on', async () => {
	const svid = await domain.issue(id);
	api.push({svids: [svid]});
	let connections = 0;
	server.on('secureConnection', () => {
		connections += 1;
	});
	const gatepass = await gatepassWith();
	await gatepass.got(url);
	api.push({svids: [svid], federatedBundles: {'spiffe://other.example': domain.bundle}});
	for (let request = 0; request < 5; request += 1) await gatepass.got(url);
	expect(connections).toBe(1);
});

test('a workload that is not registered is told so, and served once it is', async () => {
	const gatepass = await gatepassWith();
	const error = await failure(gatepass.got(url));
	expect(error.message).toContain(api.address);
	expect(error.message).toContain('no identity for this workload');
	expect(await gatepass.status()).toMatchObject([{available: false}]);
	api.push({svids: [await domain.issue(id)]});
	await expect
		.poll(() =>
			gatepass
				.got(url)
				.text()
				.catch(() => ''),
		)
		.toContain(`URI:${id} `);
});

test('an SVID that has expired is shown to nobody', async () => {
	api.push({svids: [await domain.issue(id, {lifetime: -1000})]});
	const error = await failure((await gatepassWith()).got(url));
	expect(error.message).toContain('expired on');
});

test.each<[string, Record<string, unknown>, Record<string, string>, string]>([
	['no socket is named', {}, {}, 'SPIFFE_ENDPOINT_SOCKET'],
	['the variable is no address', {}, {SPIFFE_ENDPOINT_SOCKET: 'tcp://192.0.2.1:1'}, 'unix:///run'],
	['nobody listens', {socket: 'unix:///no/such/agent.sock'}, {}, '/no/such/agent.sock'],
])('where %s, it is said what to do', async (_, options, env, words) => {
	expect((await failure((await gatepassWith(options, env)).got(url))).message).toContain(words);
});

test.each<[string, Record<string, unknown>]>([
	['an address of another machine', {socket: 'tcp://192.0.2.1:80'}],
	['what is no SPIFFE ID', {id: 'https://example.org/reports'}],
])('%s is a mistake of the configuration', async (_, options) => {
	expect((await failure(gatepassWith(options))).message).toContain('Write one such as');
});

test.each([
	['a field that is longer than its message', [0x0a, 0x05, 0x01]],
	['a number without an end', [0x0a, ...Array.from({length: 12}, () => 0xff)]],
	['a kind that there is not', [0x0f]],
	['a certificate that is cut off', [0x0a, 0x04, 0x12, 0x02, 0x30, 0x05]],
])('%s is refused', (_, bytes) => {
	expect(() => parseX509Response(Uint8Array.from(bytes))).toThrow(RangeError);
});

describe('as a trust store', () => {
	async function trusting(trust: Record<string, unknown>, socket = api.address): Promise<Gatepass> {
		const gatepass = await createGatepass({
			env: {SPIFFE_ENDPOINT_SOCKET: socket},
			got: got.extend({retry: {limit: 0}}),
			config: {
				cache: {url: 'memory:'},
				trust: [{match: 'https://127.0.0.1:*', ca: 'spiffe', ...trust}],
				hostRules: [{match: 'https://127.0.0.1:*/identity', strategy: 'spiffe'}],
			},
		});
		onTestFinished(() => gatepass.close());
		return gatepass;
	}

	/** Have the server show another certificate. */
	const serve = ({certificate, key}: {certificate: string; key: string}) =>
		server.setSecureContext({cert: certificate, key, ca: domain.ca});

	test.each(clients.map(client => ({client, name: client.name})))(
		'over $name: a server is known by its SPIFFE ID, and by no name',
		async ({client}) => {
			api.push({svids: [await domain.issue(id)]});
			serve(await domain.issue('spiffe://example.org/server'));
			const byId = await trusting({spiffeIds: ['spiffe://example.org/server']});
			expect((await client.send(byId, `${url}/identity`)).body).toContain(`URI:${id} `);
			expect((await client.send(byId, `${url}/without-a-rule`)).status).toBe(200);
			const byDomain = await trusting({spiffeIds: ['spiffe://example.org']});
			expect((await client.send(byDomain, url)).status).toBe(200);
			const other = await trusting({spiffeIds: ['spiffe://example.org/other']});
			await expect(client.send(other, url)).rejects.toThrow();
			const byName = await trusting({});
			await expect(client.send(byName, url)).rejects.toThrow();
		},
	);

	/** On a connection of its own, so that the server is verified. */
	const alone = {headers: {connection: 'close'}};

	test('a new bundle holds at once, and the old one no more', async () => {
		const next = await createTrustDomain();
		const svid = await domain.issue(id);
		api.push({svids: [svid]});
		const gatepass = await trusting({spiffeIds: ['spiffe://example.org']});
		await gatepass.got(url, alone);
		const moved = await next.issue('spiffe://example.org/server');
		serve(moved);
		expect((await failure(gatepass.got(url, alone))).message).toContain('cannot be trusted');
		api.push({svids: [{...svid, bundle: next.bundle}]});
		await expect
			.poll(() =>
				gatepass.got(url, alone).then(
					({statusCode}) => statusCode,
					() => 0,
				),
			)
			.toBe(200);
		serve(await domain.issue('spiffe://example.org/server'));
		expect((await failure(gatepass.got(url, alone))).message).toContain('cannot be trusted');
	});

	test('no trust domain vouches for the servers of another one', async () => {
		const other = await createTrustDomain('other.example');
		const svid = await domain.issue(id);
		api.push({svids: [svid], federatedBundles: {'spiffe://other.example': other.bundle}});
		const spiffeIds = ['spiffe://example.org', 'spiffe://other.example'];
		const gatepass = await trusting({spiffeIds});
		serve(await other.issue('spiffe://other.example/server'));
		expect((await gatepass.got(url, alone)).statusCode).toBe(200);
		serve(await other.issue('spiffe://example.org/server'));
		const error = await failure(gatepass.got(url, alone));
		expect(error.message).toContain('trust domain spiffe://example.org');
	});

	test('without an agent nothing is trusted, and the error says why', async () => {
		const gatepass = await trusting({}, 'unix:///no/such/agent.sock');
		expect((await failure(gatepass.got(url))).message).toContain('/no/such/agent.sock');
	});

	test.each<[string, Record<string, unknown>, string]>([
		['other CA certificates beside it', {ca: ['spiffe', 'system']}, 'entry of its own'],
		['IDs without it', {ca: 'system', spiffeIds: ['spiffe://example.org']}, "'ca: spiffe'"],
		['what is no ID', {spiffeIds: ['https://example.org']}, 'no SPIFFE ID'],
		['what is no address', {ca: 'spiffe:tcp://192.0.2.1:1'}, 'Workload API'],
	])('%s: a mistake of the configuration', async (_, trust, words) => {
		expect((await failure(trusting(trust))).message).toContain(words);
	});
});

test('passes the conformance kit', async () => {
	api.push({svids: [await domain.issue(id)]});
	const settings = {options: {socket: api.address}};
	await expect(conformance(SpiffeStrategy, settings)).resolves.toHaveLength(14);
});
