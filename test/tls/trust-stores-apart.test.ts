/**
 * Two trust stores in one process: connections of the one are not used for the other, so a server that only the one
 * believes gets nothing under the other, with or without a client certificate, and neither does its token endpoint.
 */
import {request} from 'undici';
import {afterAll, beforeAll, describe, expect, onTestFinished, test} from 'vitest';
import {createGatepass, type Gatepass} from '../../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {type RecordingServer, startRecordingServer} from '../transports/recording-servers.ts';

let authorities: [TestAuthority, TestAuthority];
/** Both have certificates of the first authority; the second is to be believed by the other authority alone. */
let honest: RecordingServer;
let impostor: RecordingServer;
let client: {certificate: string; key: string};

beforeAll(async () => {
	authorities = [await createTestAuthority('one CA'), await createTestAuthority('another CA')];
	const [one] = authorities;
	const files = await one.issue('server', {subject: 'CN=server', hosts: ['127.0.0.1']});
	client = await one.issue('alice', {subject: 'CN=alice'});
	honest = await startRecordingServer('127.0.0.1', files);
	impostor = await startRecordingServer('127.0.0.1', files);
});
afterAll(async () => {
	await Promise.all([honest.close(), impostor.close()]);
	await Promise.all(authorities.map(authority => authority.close()));
});

async function open(strategy: string, options: object): Promise<Gatepass> {
	const [one, other] = authorities;
	const gatepass = await createGatepass({
		config: {
			cache: {url: 'memory:'},
			trust: [
				{match: honest.origin, ca: one.ca, only: true},
				{match: impostor.origin, ca: other.ca, only: true},
			],
			hostRules: [honest, impostor].map(({origin}) => ({match: origin, strategy, options}) as never),
		},
	});
	onTestFinished(() => gatepass.close());
	return gatepass;
}

const clients: Record<string, (gatepass: Gatepass, url: string) => Promise<unknown>> = {
	got: (gatepass, url) => gatepass.got(url, {retry: {limit: 0}}),
	fetch: async (gatepass, url) => (await gatepass.fetch(url)).text(),
	'undici.request': async (gatepass, url) =>
		(await request(url, {dispatcher: gatepass.dispatcher as never})).body.text(),
};

describe.each(Object.entries(clients))('%s', (_name, send) => {
	test.each<[string, string, () => object]>([
		['a token', 'static-token', () => ({token: 'CANARY'})],
		['a client certificate', 'grid-certificate', () => client],
		['nothing', 'none', () => ({})],
	])('with %s', async (_what, strategy, options) => {
		const gatepass = await open(strategy, options());
		const seen = impostor.sightings.length;
		for (let round = 0; round < 2; round += 1) {
			await send(gatepass, honest.origin);
			await expect(send(gatepass, impostor.origin)).rejects.toThrow();
		}
		expect(impostor.sightings).toHaveLength(seen);
	});
});

test('the client secret goes to no token endpoint that another trust store believes', async () => {
	const [one, other] = authorities;
	const api = 'https://api.example.org';
	const sso = await createGatepass({
		config: {
			cache: {url: 'memory:'},
			trust: [
				{match: honest.origin, ca: one.ca, only: true},
				{match: impostor.origin, ca: other.ca, only: true},
			],
			hostRules: [honest, impostor].map(({origin}, index) => ({
				match: `${api}/${index}`,
				strategy: 'sso-client-credentials' as const,
				options: {clientId: 'a', clientSecret: 'CANARY-secret', tokenEndpoint: `${origin}/token`},
			})),
		},
	});
	onTestFinished(() => sso.close());
	const seen = impostor.sightings.length;
	// It is no token endpoint, but it gets the request.
	await expect(sso.authorize(`${api}/0`)).rejects.toMatchObject({name: 'TokenRequestError'});
	expect(honest.sightings.at(-1)?.headers.authorization).toMatch(/^Basic /);
	await expect(sso.authorize(`${api}/1`)).rejects.toThrow(/add its CA under 'trust'/);
	expect(impostor.sightings).toHaveLength(seen);
});
