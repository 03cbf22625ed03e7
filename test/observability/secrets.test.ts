/**
 * No secret is in any event, log line, span or metric, nor on got's own channels: all strategies, successes and
 * failures, each with canaries that the servers must have seen.
 */
import 'reflect-metadata';
import {generateKeyPairSync} from 'node:crypto';
import {mkdtemp, readFile, rm} from 'node:fs/promises';
import {createServer} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {metrics, trace} from '@opentelemetry/api';
import {
	AggregationTemporality,
	InMemoryMetricExporter,
	MeterProvider,
	PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import {BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor} from '@opentelemetry/sdk-trace-base';
import type {KeyvStoreAdapter} from 'keyv';
import {pino} from 'pino';
import {afterAll, beforeAll, expect, onTestFinished, test} from 'vitest';
import {builtInStrategies} from '../../src/container.ts';
import {createGatepass, type Gatepass} from '../../src/index.ts';
import {type MtlsServer, startMtlsServer} from '../../src/testing/index.ts';
import {answerJson, startServer, type TestServer} from '../../src/testing/server.ts';
import {createTrustDomain, startWorkloadApi, type WorkloadApiServer} from '../servers/workload-api.ts';
import {findSecrets} from '../transports/find-secrets.ts';
import {eventNames, listenTo} from './setup.ts';

const gotChannels = [
	'request:create',
	'request:start',
	'response:start',
	'response:end',
	'request:retry',
	'request:error',
	'response:redirect',
].map(name => `got:${name}`);

const canary = 'CANARY';
const secret = `${canary}-client-secret`;
const key = generateKeyPairSync('ec', {namedCurve: 'P-256'}).privateKey.export({
	type: 'pkcs8',
	format: 'pem',
});
const linesOf = (pem: string) => pem.split('\n').slice(1, 3);
/** The beginning of each ticket of `kerberos-stub`, which differ in what follows. */
const ticket = Buffer.from('{"target":"HTTP@').toString('base64').slice(0, 20);
const basic = (user: string, password: string) => Buffer.from(`${user}:${password}`).toString('base64');

/** The options of each rule by its name, which is the path of its requests, and the strategy's name up to a colon. */
let rules: Record<string, Record<string, unknown>>;
let secrets: string[];
let api: TestServer;
let tls: MtlsServer;
let workload: WorkloadApiServer;
let tokens: TestServer;
/** Refuses, and repeats all that it was sent. */
let echo: TestServer;

beforeAll(async () => {
	[tls, api, tokens, echo] = await Promise.all([
		startMtlsServer(),
		startServer(({method, url, headers}, response, incoming) => {
			if (method === 'POST') {
				answerJson(response, 200, {macaroon: `${canary}-a-macaroon`});
				return;
			}
			const [path = ''] = url.split('?');
			const what = path.split('/').at(-1) ?? '';
			const isAnonymous = headers.authorization === undefined && url.startsWith('/kerberos-stub');
			if (isAnonymous) answerJson(response, 401, {}, {'www-authenticate': 'Negotiate'});
			else if (what === 'cut-off') incoming.socket.destroy();
			else if (what === 'redirect')
				response.writeHead(302, {location: path.replace('redirect', '200')}).end();
			else answerJson(response, Number(what), {});
		}),
		startServer((_, response) =>
			answerJson(response, 200, {
				access_token: `${canary}-issued-token`,
				issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
				token_type: 'Bearer',
				expires_in: 3600,
			}),
		),
		startServer(({headers, body}, response) => {
			const all = `${headers.authorization} ${body} ${secret}`;
			answerJson(response, 400, {error: `invalid_request ${secret}`, error_description: all});
		}),
	]);
	workload = await startWorkloadApi();
	const svid = await (await createTrustDomain()).issue('spiffe://example.org/reports');
	workload.push({svids: [svid]});
	const sso = (server: TestServer, others: object = {}) => ({
		clientId: 'reports',
		clientSecret: secret,
		clientAuthentication: 'client_secret_basic',
		tokenEndpoint: `${server.url}/token`,
		...others,
	});
	const subjectToken = {variable: 'SUBJECT_TOKEN'};
	const assertion = (server: TestServer) => ({
		clientId: 'reports',
		tokenEndpoint: `${server.url}/token`,
		clientAssertion: {variable: 'CI_TOKEN'},
	});
	const {clientSecret: _, ...signing} = sso(tokens, {
		clientAuthentication: 'private_key_jwt',
		privateKey: key,
	});
	rules = {
		'sso-client-credentials': sso(tokens),
		'sso-client-credentials:post': sso(tokens, {
			clientAuthentication: 'client_secret_post',
			parameters: {password: `${canary}-parameter`},
		}),
		'sso-client-credentials:jwt': signing,
		'sso-client-credentials:refused': sso(echo),
		'sso-client-credentials:refused-post': sso(echo, {clientAuthentication: 'client_secret_post'}),
		'sso-client-credentials:assertion': assertion(tokens),
		'sso-jwt-bearer': {...assertion(tokens), clientAssertion: undefined, assertion: {variable: 'CI_TOKEN'}},
		'sso-jwt-bearer:own': {clientId: 'reports', tokenEndpoint: `${tokens.url}/token`, privateKey: key},
		'sso-token-exchange': sso(tokens, {subjectToken}),
		'sso-token-exchange:refused': sso(echo, {subjectToken}),
		'static-token': {token: `${canary}-static-token`},
		'static-token:header': {header: 'x-api-key', value: `${canary}-header`},
		'static-token:query': {query: 'api-key', value: `${canary}-query`},
		'static-token:basic': {username: 'alice', password: `${canary}-password`},
		digest: {username: 'alice', password: `${canary}-digest`},
		'aws-sigv4': {
			service: 's3',
			region: 'eu-west-3',
			accessKeyId: 'AKID',
			secretAccessKey: `${canary}-signing`,
			sessionToken: `${canary}-session`,
		},
		'aws-sigv4:query': {
			service: 'execute-api',
			region: 'eu-west-3',
			form: 'query',
			credentials: {
				command: [
					'/bin/sh',
					'-c',
					`echo '{"Version": 1, "AccessKeyId": "AKID", "SecretAccessKey": "${canary}-made", "SessionToken": "${canary}-token"}'`,
				],
			},
		},
		'http-signature': {keyId: 'k', secret: Buffer.from(`${canary}-shared-secret`).toString('base64')},
		'http-signature:key': {keyId: 'k', privateKey: String(key)},
		command: {command: ['/bin/sh', '-c', `echo ${canary}-printed; echo ${canary}-printed >&2`]},
		'command:json': {
			command: ['/bin/sh', '-c', 'echo $ANSWER'],
			format: 'json',
			env: {ANSWER: JSON.stringify({access_token: `${canary}-in-json`})},
		},
		'command:failing': {
			command: ['/bin/sh', '-c', `echo $SECRET; echo $SECRET >&2; exit 1`, '--token', secret],
			env: {SECRET: secret},
		},
		'oidc-agent': {account: 'wlcg'},
		macaroon: {
			activities: ['DOWNLOAD'],
			of: {strategy: 'static-token', options: {token: `${canary}-for-macaroon`}},
		},
		'wlcg-token': {},
		chain: {of: [{strategy: 'static-token', options: {token: `${canary}-chained`}}]},
		'grid-certificate': {...tls.client},
		spiffe: {socket: workload.address},
		'kerberos-stub': {mutualAuthentication: 'disabled'},
		none: {},
	};
	const client = await readFile(tls.client.key, 'utf8');
	secrets = [
		canary,
		secret,
		basic('reports', secret),
		Buffer.from(`${canary}-shared-secret`).toString('base64'),
		basic('alice', `${canary}-password`),
		ticket,
		...linesOf(String(key)),
		...linesOf(client),
		...linesOf(svid.key),
	];
});
/** Stands for oidc-agent, which test/strategies/oidc-agent.test.ts has. */
async function startAgent(): Promise<string> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-secrets-'));
	const socket = join(folder, 'agent.sock');
	const answer = {
		status: 'success',
		access_token: `${canary}-of-the-agent`,
		expires_at: Date.now() / 1000 + 3600,
	};
	const server = createServer(connection => {
		connection.once('data', () => connection.end(JSON.stringify(answer)));
	});
	await new Promise<void>(resolve => server.listen(socket, resolve));
	onTestFinished(async () => {
		await new Promise(resolve => server.close(resolve));
		await rm(folder, {recursive: true});
	});
	return socket;
}

afterAll(() => Promise.all([workload, api, tls, tokens, echo].map(server => server?.close())));

/** A store that fails at every write, with an error that holds all that it was given. */
function tattlingStore(): KeyvStoreAdapter {
	const fail = (...given: unknown[]): never => {
		throw Object.assign(new Error(`cannot keep ${JSON.stringify(given)}`), {given});
	};
	const store = {opts: {}, get: async () => undefined, set: fail, delete: fail, clear: fail, on: () => store};
	return store as unknown as KeyvStoreAdapter;
}

const nameOf = (rule: string) => rule.split(':')[0] ?? '';
const urlOf = (rule: string) =>
	`${['grid-certificate', 'spiffe'].includes(nameOf(rule)) ? tls.url : api.url}/${rule.replace(':', '/')}`;

/** Requests of all rules, to all answers. */
async function request(gatepass: Gatepass): Promise<void> {
	const {got} = gatepass;
	for (const rule of Object.keys(rules)) {
		const url = urlOf(rule);
		for (const answer of ['200', 'redirect', '401', '500', 'cut-off']) {
			for (const context of [{}, {gatepass: {fresh: true}}]) {
				await got(`${url}/${answer}`, {
					context,
					retry: {limit: 1, calculateDelay: ({computedValue}) => Math.min(1, computedValue)},
				}).catch(() => {});
			}
		}
		await got
			.stream(`${url}/200`)
			.toArray()
			.catch(() => {});
		await gatepass.authorize(`${url}/200`).catch(() => {});
		await gatepass.forget(url).catch(() => {});
	}
	await gatepass.status({verify: true});
}

test('every built-in strategy is here, but for kerberos, which needs a realm', () => {
	const covered = new Set([...Object.keys(rules).map(nameOf), 'kerberos']);
	expect(Object.keys(builtInStrategies).filter(name => !covered.has(name))).toEqual([]);
});

test('no canary is in what gatepass tells', async () => {
	const lines: string[] = [];
	const logger = pino({level: 'trace'}, {write: line => void lines.push(line)});
	const spans = new InMemorySpanExporter();
	trace.setGlobalTracerProvider(new BasicTracerProvider({spanProcessors: [new SimpleSpanProcessor(spans)]}));
	const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
	const reader = new PeriodicExportingMetricReader({exporter, exportIntervalMillis: 3_600_000});
	metrics.setGlobalMeterProvider(new MeterProvider({readers: [reader]}));
	onTestFinished(() => {
		trace.disable();
		metrics.disable();
		return reader.shutdown();
	});
	const events = listenTo([...eventNames, 'gatepass:strategy:notice', ...gotChannels]);
	const gatepass = await createGatepass({
		config: {
			cache: {encryption: 'off'},
			trust: [{match: tls.url, ca: tls.ca}],
			hostRules: Object.entries(rules).map(([rule, options]) => ({
				match: urlOf(rule),
				strategy: nameOf(rule),
				...(rule !== 'none' && {options}),
			})),
		},
		env: {
			OIDC_SOCK: await startAgent(),
			CI_TOKEN: `${canary}-assertion`,
			SUBJECT_TOKEN: `${canary}-subject-token`,
			BEARER_TOKEN: `${canary}-bearer-token`,
		},
		cache: tattlingStore(),
		logger,
		telemetry: true,
	});
	onTestFinished(() => gatepass.close());
	await request(gatepass);
	const recorded = await reader.collect();

	// Otherwise the rest would prove nothing.
	const arrived = [api, tokens, echo]
		.flatMap(({requests}) =>
			requests.map(({url, headers, body}) => `${url} ${JSON.stringify(headers)} ${decodeURIComponent(body)}`),
		)
		.join('\n');
	for (const shown of [
		'issued-token',
		'static-token',
		'header',
		'query',
		'bearer-token',
		'chained',
		'parameter',
		'subject-token',
		'printed',
		'of-the-agent',
		'for-macaroon',
		'a-macaroon',
		'assertion',
		'in-json',
	]) {
		expect(arrived).toContain(`${canary}-${shown}`);
	}
	for (const shown of [secret, basic('reports', secret), basic('alice', `${canary}-password`), ticket])
		expect(arrived).toContain(shown);
	expect(tls.requests.length).toBeGreaterThan(0);
	const expected = [
		...eventNames.filter(name => name !== 'gatepass:token:refresh'),
		'gatepass:strategy:notice',
	];
	for (const name of expected) {
		expect(
			events.some(event => event.name === name),
			name,
		).toBe(true);
	}
	for (const name of gotChannels)
		expect(
			events.some(event => event.name === name),
			name,
		).toBe(true);
	expect(lines.length).toBeGreaterThan(100);
	expect(spans.getFinishedSpans().length).toBeGreaterThan(100);

	for (const {name, payload} of events) {
		const found = findSecrets(payload, secrets);
		// What a server sends is its own: got shows it whole.
		const isAnswer = (path: string) =>
			name === 'got:request:error' && path.startsWith('.error.response.rawBody');
		expect([name, ...found.filter(path => !isAnswer(path))]).toEqual([name]);
	}
	for (const line of lines)
		expect(
			secrets.filter(text => line.includes(text)),
			line,
		).toEqual([]);
	const told = spans
		.getFinishedSpans()
		.map(({name, attributes, events, status, links}) => ({name, attributes, events, status, links}));
	expect(findSecrets(told, secrets)).toEqual([]);
	expect(findSecrets(recorded, secrets)).toEqual([]);
});
