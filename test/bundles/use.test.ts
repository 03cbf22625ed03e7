/** A bundle of one's own and one rule are a whole configuration: real connections, verified with what it brings. */
import {copyFileSync, mkdtempSync, writeFileSync} from 'node:fs';
import {rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {buildBundle} from '../../src/bundles/build.ts';
import {CertificateError, createGatepass} from '../../src/index.ts';
import {type MtlsServer, startMtlsServer} from '../../src/testing/index.ts';

let server: MtlsServer;
let folder: string;

beforeAll(async () => {
	server = await startMtlsServer();
	folder = mkdtempSync(join(tmpdir(), 'gatepass-bundle-use-'));
	const from = mkdtempSync(join(folder, 'from-'));
	copyFileSync(server.ca, join(from, 'ca.pem'));
	// The authority of the test lives for a day.
	await buildBundle({from, to: join(folder, 'lab'), days: 0});
	writeFileSync(join(folder, 'lab/preset.yaml'), 'servers: [https://127.0.0.1:*]\n');
});
afterAll(async () => {
	await server?.close();
	await rm(folder, {recursive: true, force: true});
});

async function ask(bundles: string[], trust: {match: string; ca: string; only?: boolean}[] = []) {
	const rule = {match: server.url, strategy: 'grid-certificate', options: {...server.client}};
	const config = {bundles, trust, cache: {url: 'memory:'}, hostRules: [rule]};
	const gatepass = await createGatepass({cwd: folder, env: {HOME: folder}, config});
	try {
		return await gatepass.got(`${server.url}/page`, {retry: {limit: 0}}).json();
	} finally {
		await gatepass.close();
	}
}

test('its certificates vouch for its servers', async () => {
	expect(await ask(['./lab'])).toEqual({path: '/page', subject: 'CN=alice'});
	await expect(ask(['cern'])).rejects.toThrow(CertificateError);
});

test("a trust entry of one's own takes its place", async () => {
	const match = 'https://127.0.0.1:*';
	await expect(ask(['./lab'], [{match, ca: 'bundle:cern', only: true}])).rejects.toThrow(CertificateError);
	expect(await ask(['cern'], [{match, ca: 'bundle:./lab', only: true}])).toMatchObject({path: '/page'});
});
