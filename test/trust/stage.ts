/** A server of a private grid CA, and requests to it under a trust store: what the tests of trust against real servers share. */
import {join} from 'node:path';
import {afterAll, beforeAll, expect, onTestFinished} from 'vitest';
import {CertificateError} from '../../src/errors.ts';
import {createGatepass, type Gatepass} from '../../src/index.ts';
import {findProgram} from '../servers/availability.ts';
import {type CaFolder, createPki, type Holder, type Pki, startTlsServer, type TlsServer} from './pki.ts';

export const rootName = '/C=CH/O=Gatepass/CN=Root';
export const gridName = '/DC=org/DC=gatepass/CN=Grid CA';

export let pki: Pki;
export let root: Holder;
export let grid: Holder;
export let host: Holder;
export let other: Holder;
export let server: TlsServer;
let folders = 0;

beforeAll(async () => {
	// Without the program, the suites are skipped.
	if (findProgram('openssl') === undefined) return;
	pki = await createPki();
	root = await pki.authority('root', rootName);
	grid = await pki.authority('grid', gridName, root);
	host = await pki.issue('host', '/DC=org/DC=gatepass/OU=Hosts/CN=localhost', grid);
	other = await pki.issue('other', '/DC=org/DC=gatepass/OU=Hosts/CN=other', grid);
	server = await startTlsServer(host);
});
afterAll(async () => {
	await server?.close();
	await pki?.close();
});

export const newFolder = (authorities: readonly Holder[] = [root, grid]): Promise<CaFolder> =>
	pki.caFolder(`folder-${folders++}`, authorities);

/** @param home kept over a restart of gatepass. */
export async function gatepassFor(
	ca: string | string[],
	settings: object = {},
	home = join(pki.folder, `home-${folders++}`),
): Promise<Gatepass> {
	const gatepass = await createGatepass({
		config: {
			cache: {url: 'memory:'},
			trust: [{match: 'https://127.0.0.1:*', ca, only: true, ...settings}],
		},
		cwd: pki.folder,
		// Fetched lists are kept in the home folder.
		env: {HOME: home},
	});
	onTestFinished(() => gatepass.close());
	return gatepass;
}

/** What a request ends with: its status, or its error. */
export async function outcome(gatepass: Gatepass, url = server.url, options: object = {}): Promise<unknown> {
	return gatepass.got(url, {retry: {limit: 0}, ...options}).then(
		({statusCode}) => statusCode,
		error => error,
	);
}

export async function expectRefusal(
	gatepass: Gatepass,
	...said: readonly (string | RegExp)[]
): Promise<void> {
	const error = (await outcome(gatepass)) as Error;
	expect(error).toBeInstanceOf(CertificateError);
	expect(error.message).toContain(new URL(server.url).host);
	expect(error.message).toContain('trust: trust[0]');
	for (const part of said) expect(error.message).toMatch(part);
}
