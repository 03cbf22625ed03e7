/**
 * An impostor before clients that gatepass does not send by: what `flow` and `authorize` give for TLS carries the
 * verification along, whatever the client's own options, its agent or the environment say.
 */
import {once} from 'node:events';
import {readFile} from 'node:fs/promises';
import {type AgentOptions, get, Agent as HttpsAgent, type RequestOptions} from 'node:https';
import {type ConnectionOptions, createSecureContext} from 'node:tls';
import axios from 'axios';
import {Agent as Dispatcher, request} from 'undici';
import {afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test} from 'vitest';
import {WebSocket} from 'ws';
import {createGatepass, type FlowLeg, type Gatepass, type TlsMaterial} from '../../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {type RecordingServer, startRecordingServer} from '../transports/recording-servers.ts';

let right: TestAuthority;
let wrong: TestAuthority;
let impostor: RecordingServer;
let honest: RecordingServer;
let wrongCa: string;
let trusting: Gatepass;
let ruled: Gatepass;

beforeAll(async () => {
	[right, wrong] = await Promise.all([createTestAuthority(), createTestAuthority()]);
	const [bad, good] = await Promise.all([
		wrong.issue('impostor', {subject: 'CN=impostor', hosts: ['127.0.0.1', 'elsewhere.example']}),
		right.issue('honest', {subject: 'CN=honest', hosts: ['127.0.0.1']}),
	]);
	[impostor, honest] = await Promise.all([
		startRecordingServer('127.0.0.1', bad),
		startRecordingServer('127.0.0.1', good),
	]);
	wrongCa = await readFile(wrong.ca, 'utf8');
	const hostRules = [impostor, honest].map(({origin}) => ({
		match: origin,
		strategy: 'static-token',
		options: {token: 'CANARY'},
	}));
	const trust = [{match: 'https://127.0.0.1:*', ca: right.ca, only: true}];
	trusting = await createGatepass({config: {cache: {url: 'memory:'}, trust, hostRules}});
	ruled = await createGatepass({config: {cache: {url: 'memory:'}, hostRules}});
});

afterAll(async () => {
	await Promise.all([trusting.close(), ruled.close()]);
	await Promise.all([impostor.close(), honest.close()]);
	await Promise.all([right.close(), wrong.close()]);
});

/** What of TLS a caller may have said, under which the impostor would be believed. */
const weak: Readonly<Record<string, () => ConnectionOptions>> = {
	nothing: () => ({}),
	'rejectUnauthorized: false': () => ({rejectUnauthorized: false}),
	'its own ca': () => ({ca: wrongCa}),
	'its own ca and checkServerIdentity': () => ({ca: wrongCa, checkServerIdentity: () => undefined}),
	'its own ca and another name': () => ({ca: wrongCa, servername: 'elsewhere.example'}),
	'a secureContext with its own ca': () => ({secureContext: createSecureContext({ca: wrongCa})}),
};

type Leg = Pick<FlowLeg, 'headers'> & {readonly tls?: TlsMaterial};

const sendBy = (options: RequestOptions, url: string): Promise<unknown> =>
	new Promise((resolve, reject) => {
		get(url, options, response => resolve(response.resume())).on('error', reject);
	});

const withAgent = async <Result>(
	options: AgentOptions,
	use: (agent: HttpsAgent) => Promise<Result>,
): Promise<Result> => {
	const agent = new HttpsAgent(options);
	return use(agent).finally(() => agent.destroy());
};

const clients: Readonly<Record<string, (url: string, leg: Leg, own: ConnectionOptions) => Promise<unknown>>> =
	{
		'https.request': (url, {headers, tls}, own) => sendBy({...(own as AgentOptions), headers, ...tls}, url),
		'an https.Agent': (url, {headers, tls}, own) =>
			withAgent({...(own as AgentOptions), ...tls}, agent => sendBy({headers, agent}, url)),
		'an https.Agent that keeps connections': (url, {headers, tls}, own) =>
			withAgent({keepAlive: true, ...(own as AgentOptions), ...tls}, async agent => {
				await sendBy({headers, agent}, url);
				await sendBy({headers, agent}, url);
			}),
		axios: (url, {headers, tls}, own) =>
			withAgent({...(own as AgentOptions), ...tls}, httpsAgent =>
				axios.get(url, {headers, httpsAgent, maxRedirects: 0}),
			),
		ws: async (url, {headers, tls}, own) => {
			const socket = new WebSocket(url.replace(/^http/, 'ws'), {headers, ...own, ...tls} as never);
			try {
				await once(socket, 'unexpected-response');
			} finally {
				socket.on('error', () => {}).terminate();
			}
		},
		'undici with connect': async (url, {headers, tls}, own) => {
			const dispatcher = new Dispatcher({connect: {...own, ...tls} as object});
			try {
				await (await request(url, {headers, dispatcher})).body.dump();
			} finally {
				await dispatcher.destroy();
			}
		},
	};

let before: number;
beforeEach(() => {
	before = impostor.sightings.length;
});

describe.each(Object.entries(clients))('%s', (_client, send) => {
	describe.each<[string, () => Gatepass]>([
		['a rule and a trust store', () => trusting],
		['a rule', () => ruled],
	])('under %s', (_name, gatepass) => {
		async function refused(own: ConnectionOptions): Promise<void> {
			await using flow = await gatepass().flow(impostor.origin);
			const legs: Leg[] = [flow, await gatepass().authorize(impostor.origin)];
			for (const leg of legs) {
				expect(leg.headers.authorization).toBe('Bearer CANARY');
				await expect(send(impostor.origin, leg, own)).rejects.toThrow();
			}
			expect(impostor.sightings).toHaveLength(before);
		}

		test.each(Object.keys(weak))('an impostor is refused where the caller says: %s', async name => {
			await refused(weak[name]?.() ?? {});
		});

		test('an impostor is refused under NODE_TLS_REJECT_UNAUTHORIZED=0', async () => {
			const {NODE_TLS_REJECT_UNAUTHORIZED: kept} = process.env;
			onTestFinished(() => {
				if (kept === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
				else process.env.NODE_TLS_REJECT_UNAUTHORIZED = kept;
			});
			process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
			await refused({});
		});
	});

	test('the server of the trust store is believed, whatever CA the caller names', async () => {
		const seen = honest.sightings.length;
		await using flow = await trusting.flow(honest.origin);
		await send(honest.origin, flow, {ca: wrongCa});
		expect(honest.sightings.length).toBeGreaterThan(seen);
		expect(honest.sightings.at(-1)?.headers.authorization).toBe('Bearer CANARY');
	});
});

test('without a rule or a trust store, and over plain http, gatepass says nothing of TLS', async () => {
	await using gatepass = await createGatepass({
		config: {cache: {url: 'memory:'}, hostRules: [{match: 'http://127.0.0.1', strategy: 'none'}]},
	});
	expect(await gatepass.authorize(impostor.origin)).toEqual({headers: {}});
	expect(await gatepass.authorize('http://127.0.0.1/')).toEqual({headers: {}});
	expect((await trusting.authorize(`${impostor.origin}/`)).tls).toMatchObject({servername: ''});
	await using ruledName = await createGatepass({
		config: {cache: {url: 'memory:'}, hostRules: [{match: 'https://a.example.org', strategy: 'none'}]},
	});
	expect((await ruledName.authorize('https://a.example.org/')).tls).toMatchObject({
		servername: 'a.example.org',
		rejectUnauthorized: true,
	});
});
