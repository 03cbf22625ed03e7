/** The `logger` of the caller's, as pino's loggers are. */
import {pino} from 'pino';
import {beforeEach, expect, test} from 'vitest';
import {CertificateError, createGatepass} from '../../src/index.ts';
import {logTo} from '../../src/observability/logger.ts';
import {type Stage, setStage} from './setup.ts';

let stage: Stage;
beforeEach(async () => {
	stage = await setStage();
});

/** pino, and what it writes. */
function createLogger(level = 'debug') {
	const lines: Record<string, unknown>[] = [];
	const stream = {write: (line: string) => void lines.push(JSON.parse(line))};
	return {lines, logger: pino({level, base: null}, stream)};
}

const {debug, info, warn} = pino.levels.values as Record<'debug' | 'info' | 'warn', number>;

test('gets what happens, each at the level that it deserves', async () => {
	const {lines, logger} = createLogger();
	const {got} = await stage.createClient({logger});
	await got(`${stage.api.url}/sso/200`);
	await got(`${stage.api.url}/sso/200`);
	stage.refused.add('token-1');
	await got(`${stage.api.url}/sso/200`);
	await got(`${stage.api.url}/key/cut-off`, {retry: {limit: 0}}).catch(() => {});
	expect(lines.map(({level, msg}) => [level, msg])).toEqual([
		[info, 'gatepass: a token was issued'],
		[debug, 'gatepass: a request was answered'],
		[debug, 'gatepass: a token was served from the cache'],
		[debug, 'gatepass: a request was answered'],
		[debug, 'gatepass: a token was served from the cache'],
		[info, 'gatepass: a token was refused and dropped'],
		[info, 'gatepass: a token was issued'],
		[debug, 'gatepass: a request was answered'],
		[debug, 'gatepass: a request failed'],
	]);
	expect(lines[1]).toMatchObject({
		method: 'GET',
		url: `${stage.api.url}/sso/200`,
		status: 200,
		legs: 1,
		duration: expect.any(Number),
		rule: {match: `${stage.api.url}/sso`, strategy: 'sso-client-credentials'},
	});
});

test('gets of an error its code and message alone', async () => {
	const {lines, logger} = createLogger('warn');
	stage.endpoint.failure = {status: 400, error: 'invalid_client'};
	const {got} = await stage.createClient({logger});
	await got(`${stage.api.url}/sso/200`).catch(() => {});
	expect(lines).toEqual([
		{
			level: warn,
			time: expect.any(Number),
			key: expect.stringContaining('"reports"'),
			duration: expect.any(Number),
			code: 'ERR_GATEPASS_TOKEN_REQUEST',
			reason: expect.stringContaining('invalid_client'),
			msg: 'gatepass: a token could not be had, kept or renewed',
		},
	]);
});

test('gets what becomes of certificates', () => {
	const {lines, logger} = createLogger();
	const listen = logTo(logger);
	const about = {subject: 'CN=alice', file: '/cert.pem', expiresAt: 1};
	listen('gatepass:certificate:replaced', {...about, previous: 'CN=bob'});
	listen('gatepass:certificate:expiring', {...about, days: 3});
	listen('gatepass:certificate:error', {...about, error: new CertificateError('It is damaged')});
	listen('gatepass:trust:error', {source: 'trust[0]', error: new CertificateError('It is empty')});
	const time = expect.any(Number);
	expect(lines).toEqual([
		{level: info, time, ...about, previous: 'CN=bob', msg: 'gatepass: another certificate was taken up'},
		{level: warn, time, ...about, days: 3, msg: 'gatepass: a certificate expires in less than 3 days'},
		{
			level: warn,
			time,
			...about,
			code: 'ERR_GATEPASS_CERTIFICATE',
			reason: 'It is damaged',
			msg: 'gatepass: a changed certificate cannot be used; the one before stays in use',
		},
		{
			level: warn,
			time,
			source: 'trust[0]',
			code: 'ERR_GATEPASS_CERTIFICATE',
			reason: 'It is empty',
			msg: 'gatepass: a file of a trust store cannot be used',
		},
	]);
});

test('gets what its own gatepass does, and nothing of another', async () => {
	const [one, other] = [createLogger(), createLogger()];
	const first = await stage.createClient({logger: one.logger});
	await stage.createClient({logger: other.logger});
	await first.got(`${stage.api.url}/key/200`);
	expect(one.lines).toHaveLength(1);
	expect(other.lines).toEqual([]);
});

test('breaks no request, however broken it is', async () => {
	const fail = () => {
		throw new Error('the log is full');
	};
	for (const logger of [{debug: fail, info: fail, warn: fail}, {} as never]) {
		stage.refused.clear();
		const {got} = await stage.createClient({logger});
		expect((await got(`${stage.api.url}/sso/200`)).statusCode).toBe(200);
		stage.refused.add(`token-${stage.endpoint.requests}`);
		expect((await got(`${stage.api.url}/sso/200`)).statusCode).toBe(200);
		expect((await got(`${stage.api.url}/kerberos/200`)).statusCode).toBe(200);
	}
});

test('without one, nothing is printed', async () => {
	const printed: unknown[] = [];
	const {write} = process.stdout;
	process.stdout.write = ((chunk: unknown) => printed.push(chunk)) as never;
	try {
		await using gatepass = await createGatepass({config: {cache: {url: 'memory:'}, hostRules: []}, env: {}});
		await gatepass.got(`${stage.api.url}/200`);
	} finally {
		process.stdout.write = write;
	}
	expect(printed).toEqual([]);
});
