/** Revocation lists, signing policies and namespaces against real servers: who is believed, and how a refusal is told. */
import {readFile, rename, writeFile} from 'node:fs/promises';
import {createServer, type Server} from 'node:http';
import {Agent} from 'node:https';
import type {AddressInfo} from 'node:net';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {afterAll, beforeAll, describe, expect, onTestFinished, test} from 'vitest';
import {CertificateError} from '../../src/errors.ts';
import {TlsAgents} from '../../src/identities/agents.ts';
import {createGatepass, type Gatepass} from '../../src/index.ts';
import {describeWith} from '../servers/availability.ts';
import {opensslServer} from '../servers/openssl-server.ts';
import {
	type CaFolder,
	createPki,
	type Holder,
	type Pki,
	signingPolicy,
	startTlsServer,
	type TlsServer,
} from './pki.ts';

const rootName = '/C=CH/O=Gatepass/CN=Root';
const gridName = '/DC=org/DC=gatepass/CN=Grid CA';

let pki: Pki;
let root: Holder;
let grid: Holder;
let host: Holder;
let other: Holder;
let server: TlsServer;
let folders = 0;

beforeAll(async () => {
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

const newFolder = (authorities: readonly Holder[] = [root, grid]): Promise<CaFolder> =>
	pki.caFolder(`folder-${folders++}`, authorities);

async function gatepassFor(ca: string | string[], settings: object = {}): Promise<Gatepass> {
	const gatepass = await createGatepass({
		config: {
			cache: {url: 'memory:'},
			trust: [{match: 'https://127.0.0.1:*', ca, only: true, ...settings}],
		},
		cwd: pki.folder,
		env: {},
	});
	onTestFinished(() => gatepass.close());
	return gatepass;
}

/** What a request ends with: its status, or its error. */
async function outcome(gatepass: Gatepass, url = server.url, options: object = {}): Promise<unknown> {
	return gatepass.got(url, {retry: {limit: 0}, ...options}).then(
		({statusCode}) => statusCode,
		error => error,
	);
}

async function expectRefusal(gatepass: Gatepass, ...said: readonly (string | RegExp)[]): Promise<void> {
	const error = (await outcome(gatepass)) as Error;
	expect(error).toBeInstanceOf(CertificateError);
	expect(error.message).toContain(new URL(server.url).host);
	expect(error.message).toContain('trust: trust[0]');
	for (const part of said) expect(error.message).toMatch(part);
}

describeWith(opensslServer, 'a CA folder', () => {
	test('without lists and policies', async () => {
		expect(await outcome(await gatepassFor((await newFolder()).path))).toBe(200);
		// A chain has to lead to a root.
		expect(await outcome(await gatepassFor((await newFolder([grid])).path))).toBeInstanceOf(CertificateError);
	});

	describe('revocation lists', () => {
		test('a server that is on none is believed, one that is on one is not', async () => {
			const folder = await newFolder();
			await folder.put(root, 'r0', await pki.list(root));
			await folder.put(grid, 'r0', await pki.list(grid, {revoked: [other]}));
			expect(await outcome(await gatepassFor(folder.path))).toBe(200);
			expect(await outcome(await gatepassFor(folder.path, {crl: 'require'}))).toBe(200);
			const file = await folder.put(grid, 'r0', await pki.list(grid, {revoked: [other, host]}));
			const gatepass = await gatepassFor(folder.path);
			await expectRefusal(gatepass, /cannot be trusted: it is revoked, says/, file, /Do not trust it/);
			await expectRefusal(gatepass, /is revoked/);
		});

		test('in DER, under the old hash, and as the second of two', async () => {
			const revoking = await pki.list(grid, {revoked: [host]});
			const folder = await newFolder();
			const der = Buffer.from(revoking.replace(/-----[^-]+-----|\s/g, ''), 'base64');
			await folder.put(grid, 'r0', der, 'old');
			await expectRefusal(await gatepassFor(folder.path), /is revoked/);
			const second = await newFolder();
			await second.put(grid, 'r0', await pki.list(grid));
			await second.put(grid, 'r1', revoking);
			await expectRefusal(await gatepassFor(second.path), /is revoked, says .*\.r1 /);
		});

		test('a CA in the chain that is revoked', async () => {
			const folder = await newFolder();
			await folder.put(root, 'r0', await pki.list(root, {revoked: [grid]}));
			const gatepass = await gatepassFor(folder.path);
			await expectRefusal(
				gatepass,
				/of the CA certificate CN=Grid CA,DC=gatepass,DC=org in its chain: it is revoked/,
			);
		});

		test("'crl: require' wants one of each CA", async () => {
			const folder = await newFolder();
			await folder.put(grid, 'r0', await pki.list(grid));
			expect(await outcome(await gatepassFor(folder.path))).toBe(200);
			const missing =
				/no revocation list of CN=Root,O=Gatepass,C=CH, which 'crl: require' demands: \S+\.r0 is missing/;
			await expectRefusal(await gatepassFor(folder.path, {crl: 'require'}), missing, /fetch-crl/);
		});

		test('one that is outdated', async () => {
			const folder = await newFolder();
			const file = await folder.put(grid, 'r0', await pki.list(grid, {nextUpdate: '20200201000000Z'}));
			const outdated = /of CN=Grid CA,DC=gatepass,DC=org is outdated: .* was good until 2020-02-01T00:00:00/;
			await expectRefusal(await gatepassFor(folder.path), outdated, file, /fetch-crl/);
			await folder.put(grid, 'r1', await pki.list(grid));
			expect(await outcome(await gatepassFor(folder.path))).toBe(200);
		});

		test('one that cannot be used', async () => {
			const impostor = await pki.authority('impostor', gridName);
			const good = await pki.list(grid);
			for (const [content, reason] of [
				['nothing', /holds no revocation list/],
				['', /holds no revocation list/],
				[good.slice(0, good.length / 2), /damaged or cut off/],
				[await pki.list(impostor), /is not signed by this CA/],
				[
					await pki.list(grid, {
						extensions: ['issuingDistributionPoint = critical, @idp', '[idp]', 'indirectCRL = TRUE'],
					}),
					/for several CAs/,
				],
				[await pki.list(grid, {extensions: ['2.5.29.27 = critical, DER:020101']}), /only the changes/],
			] as const) {
				const folder = await newFolder();
				await folder.put(grid, 'r0', content);
				await expectRefusal(await gatepassFor(folder.path), reason, /cannot be used/);
			}
		});

		test('one for some certificates only: what it names is revoked, what it does not name is not known', async () => {
			const extensions = ['issuingDistributionPoint = critical, @idp', '[idp]', 'onlyuser = TRUE'];
			const folder = await newFolder();
			await folder.put(root, 'r0', await pki.list(root));
			await folder.put(grid, 'r0', await pki.list(grid, {extensions}));
			expect(await outcome(await gatepassFor(folder.path))).toBe(200);
			await expectRefusal(await gatepassFor(folder.path, {crl: 'require'}), /for some certificates only/);
			await folder.put(grid, 'r0', await pki.list(grid, {extensions, revoked: [host]}));
			await expectRefusal(await gatepassFor(folder.path), /is revoked/);
		});
	});

	describe('which names a CA may give', () => {
		test('a signing policy', async () => {
			const folder = await newFolder();
			await folder.put(root, 'signing_policy', signingPolicy(rootName, '/DC=org/DC=gatepass/*'));
			await folder.put(grid, 'signing_policy', signingPolicy(gridName, '/DC=org/DC=gatepass/OU=Hosts/*'));
			expect(await outcome(await gatepassFor(folder.path))).toBe(200);
			const file = await folder.put(
				grid,
				'signing_policy',
				signingPolicy(gridName, '/DC=org/DC=gatepass/OU=Users/*'),
			);
			await expectRefusal(
				await gatepassFor(folder.path),
				/its CA \(CN=Grid CA,DC=gatepass,DC=org\) may not give the name \/DC=org\/DC=gatepass\/OU=Hosts\/CN=localhost/,
				`${file}:3`,
			);
		});

		test('holds CAs below it, too', async () => {
			const folder = await newFolder();
			await folder.put(root, 'signing_policy', signingPolicy(rootName, '/C=CH/*'), 'old');
			await expectRefusal(
				await gatepassFor(folder.path),
				/of the CA certificate CN=Grid CA.* may not give the name/,
			);
		});

		test('a namespaces file goes before a signing policy', async () => {
			const folder = await newFolder();
			await folder.put(grid, 'signing_policy', signingPolicy(gridName, '/*'));
			const permit = (subject: string) => `TO Issuer "${gridName}" \\\n  PERMIT Subject "${subject}"\n`;
			await folder.put(grid, 'namespaces', permit('/DC=org/DC=gatepass/.*'));
			expect(await outcome(await gatepassFor(folder.path))).toBe(200);
			const file = await folder.put(grid, 'namespaces', permit('/DC=org/DC=elsewhere/.*'));
			await expectRefusal(await gatepassFor(folder.path), /may not give/, `${file}:1`);
			await folder.put(
				grid,
				'namespaces',
				`${permit('/.*')}TO Issuer SELF DENY Subject "/.*/CN=localhost"\n`,
			);
			await expectRefusal(await gatepassFor(folder.path), /may not give/, `${file}:3`);
		});

		test('a namespaces file of the root speaks of the CA below it', async () => {
			const folder = await newFolder();
			const about = (subject: string) =>
				`TO Issuer SELF PERMIT Subject "/.*"\nTO Issuer "${gridName}" PERMIT Subject "${subject}"\n`;
			await folder.put(root, 'namespaces', about('/DC=org/.*'));
			expect(await outcome(await gatepassFor(folder.path))).toBe(200);
			await folder.put(root, 'namespaces', about('/DC=com/.*'));
			await expectRefusal(
				await gatepassFor(folder.path),
				/may not give the name .*CN=localhost, says .*namespaces:2/,
			);
		});

		test('a file that cannot be understood, or says nothing of its CA, permits nothing', async () => {
			const folder = await newFolder();
			const file = await folder.put(grid, 'signing_policy', 'access_id_CA X509\n');
			await expectRefusal(await gatepassFor(folder.path), `${file}:1: it should read: access_id_CA`);
			await folder.put(grid, 'signing_policy', signingPolicy('/CN=another', '/*'));
			await expectRefusal(await gatepassFor(folder.path), file, /says nothing about it/);
		});
	});

	describe('files that change', () => {
		/** The files are looked at once a second at most. */
		const untilLookedAt = () => pause(1100);

		test('a new list holds for new connections, a broken one takes nothing away', async () => {
			const folder = await newFolder();
			const gatepass = await gatepassFor(folder.path);
			const fresh = {agent: {https: undefined}, headers: {connection: 'close'}};
			expect(await outcome(gatepass, server.url, fresh)).toBe(200);
			const file = await folder.put(grid, 'r0', await pki.list(grid, {revoked: [host]}));
			await untilLookedAt();
			await expectRefusal(gatepass, /is revoked/);
			await writeFile(file, 'half written');
			await untilLookedAt();
			await expectRefusal(gatepass, /is revoked/);
			await folder.put(grid, 'r0', await pki.list(grid));
			await untilLookedAt();
			expect(await outcome(gatepass, server.url, fresh)).toBe(200);
		});

		test('a CA that is renewed or taken away', async () => {
			const file = join(pki.folder, 'changing.pem');
			const stranger = await pki.authority('stranger', '/CN=stranger');
			await writeFile(file, await readFile(stranger.certificate));
			const gatepass = await gatepassFor('./changing.pem');
			expect(await outcome(gatepass)).toMatchObject({message: /no trusted CA vouches/});
			await writeFile(`${file}.new`, await readFile(root.certificate));
			await rename(`${file}.new`, file);
			await untilLookedAt();
			expect(await outcome(gatepass, server.url, {headers: {connection: 'close'}})).toBe(200);
			await writeFile(file, '');
			await untilLookedAt();
			expect(await outcome(gatepass, server.url, {headers: {connection: 'close'}})).toBe(200);
			// A session of the connection before must not vouch for a server whose CA is gone.
			await writeFile(file, await readFile(stranger.certificate));
			await untilLookedAt();
			expect(await outcome(gatepass)).toMatchObject({message: /no trusted CA vouches/});
		});
	});

	test.each(['TLSv1.2', 'TLSv1.3'])('no session of %s is resumed past the check', async version => {
		const own = await startTlsServer(host, [version === 'TLSv1.3' ? '-tls1_3' : '-tls1_2']);
		onTestFinished(() => own.close());
		const folder = await newFolder();
		const gatepass = await gatepassFor(folder.path);
		const fresh = {headers: {connection: 'close'}};
		for (let turn = 0; turn < 3; turn++) {
			const {body} = await gatepass.got(own.url, fresh);
			expect(body).toMatch(/^New, /m);
			expect(body).not.toMatch(/^Reused, /m);
		}
		// Without anything to check, sessions are resumed as before.
		const plain = await gatepassFor(root.certificate);
		const bodies = [];
		for (let turn = 0; turn < 3; turn++) bodies.push((await plain.got(own.url, fresh)).body);
		expect(bodies.some(body => /^Reused, /m.test(body))).toBe(true);
	});
});

describeWith(opensslServer, 'every way to a server', () => {
	let folder: CaFolder;
	beforeAll(async () => {
		folder = await newFolder();
		await folder.put(grid, 'r0', await pki.list(grid, {revoked: [host]}));
	});

	test("an agent of the caller's, that keeps connections and sessions", async () => {
		const agent = new Agent({keepAlive: true});
		onTestFinished(() => agent.destroy());
		const clean = await newFolder();
		const gatepass = await gatepassFor(clean.path);
		expect(await outcome(gatepass, server.url, {agent: {https: agent}, headers: {connection: 'close'}})).toBe(
			200,
		);
		await clean.put(grid, 'r0', await pki.list(grid, {revoked: [host]}));
		await pause(1100);
		const error = await outcome(gatepass, server.url, {agent: {https: agent}});
		expect(error).toBeInstanceOf(CertificateError);
		expect((error as Error).message).toMatch(/is revoked/);
	});

	test('an older Node would resume a session of an agent of theirs, and keep connections for other checks', async () => {
		const sessions: unknown[] = [];
		class Recording extends Agent {
			override createConnection(...parameters: Parameters<Agent['createConnection']>) {
				sessions.push((parameters as unknown as [{session?: unknown}])[0].session);
				return super.createConnection(...parameters);
			}
		}
		const agent = new Recording();
		onTestFinished(() => agent.destroy());
		await outcome(await gatepassFor(folder.path), server.url, {agent: {https: agent}});
		await outcome(await gatepassFor(root.certificate), server.url, {agent: {https: agent}});
		expect(sessions).toEqual([null, undefined]);

		const own = new TlsAgents().for(undefined, undefined);
		const [some, other] = [() => undefined, () => undefined];
		const nameFor = (checkServerIdentity: unknown) => own.getName({host: 'a', checkServerIdentity} as never);
		expect(nameFor(some)).toBe(nameFor(some));
		expect(new Set([nameFor(some), nameFor(other), nameFor(undefined)]).size).toBe(3);
	});

	test('what authorize gives to other clients', async () => {
		const {request} = await import('node:https');
		const {tls} = await (await gatepassFor(folder.path)).authorize(server.url);
		const error = await new Promise<Error>((resolve, reject) => {
			request(server.url, {...tls}, response => reject(new Error(`answered ${response.statusCode}`)))
				.on('error', resolve)
				.end();
		});
		expect(error.message).toMatch(/is revoked/);
	});

	test("the caller's leave to skip verification holds for the one request", async () => {
		const gatepass = await gatepassFor(folder.path);
		const lax = {https: {rejectUnauthorized: false}};
		expect(await outcome(gatepass, server.url, lax)).toBe(200);
		await expectRefusal(gatepass, /is revoked/);
		expect(await outcome(gatepass, server.url, lax)).toBe(200);
		await expectRefusal(gatepass, /is revoked/);
	});

	test("a check of the caller's takes the place of that for names only, and for the one request", async () => {
		const wrongName = await startTlsServer(
			await pki.issue('wrong', '/DC=org/CN=wrong', grid, ['wrong.example']),
		);
		onTestFinished(() => wrongName.close());
		const gatepass = await gatepassFor((await newFolder()).path);
		const lax = {https: {checkServerIdentity: () => undefined}};
		expect(await outcome(gatepass, wrongName.url, lax)).toBe(200);
		expect(await outcome(gatepass, wrongName.url)).toMatchObject({message: /is for another name/});
		expect(await outcome(gatepass, wrongName.url, lax)).toBe(200);
		expect(await outcome(await gatepassFor(folder.path), server.url, lax)).toBeInstanceOf(CertificateError);
	});

	test('NODE_TLS_REJECT_UNAUTHORIZED is not heeded', async () => {
		const previous = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
		process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
		onTestFinished(() => {
			if (previous === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
			else process.env.NODE_TLS_REJECT_UNAUTHORIZED = previous;
		});
		await expectRefusal(await gatepassFor(folder.path), /is revoked/);
		const agent = new Agent();
		onTestFinished(() => agent.destroy());
		const error = await outcome(await gatepassFor(folder.path), server.url, {agent: {https: agent}});
		expect(error).toBeInstanceOf(CertificateError);
		const withRule = await createGatepass({
			config: {
				cache: {url: 'memory:'},
				hostRules: [{match: server.url, strategy: 'static-token', options: {token: 'abc'}}],
			},
			cwd: pki.folder,
			env: {},
		});
		onTestFinished(() => withRule.close());
		expect(await outcome(withRule)).toBeInstanceOf(CertificateError);
		expect(await outcome(withRule, server.url, {https: {rejectUnauthorized: false}})).toBe(200);
	});
});

describeWith(opensslServer, 'lists that are fetched', () => {
	interface ListServer {
		readonly url: string;
		readonly requests: string[];
		/** What it answers with. */
		content: string | Buffer | number;
	}

	async function startListServer(content: ListServer['content']): Promise<ListServer> {
		const requests: string[] = [];
		const http: Server = createServer((request, response) => {
			requests.push(request.url ?? '');
			if (typeof state.content === 'number') response.writeHead(state.content).end();
			else response.end(state.content);
		});
		await new Promise<void>(resolve => http.listen(0, '127.0.0.1', resolve));
		onTestFinished(() => {
			http.closeAllConnections();
			http.close();
		});
		const state = {url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/ca.crl`, requests, content};
		return state;
	}

	test('from where .crl_url says, before the first request goes out, and once', async () => {
		const lists = await startListServer(await pki.list(grid, {revoked: [host]}));
		const folder = await newFolder();
		await folder.put(grid, 'crl_url', `${lists.url}\n`);
		const gatepass = await gatepassFor(folder.path);
		await expectRefusal(gatepass, /is revoked, says http:/, lists.url);
		await expectRefusal(gatepass, /is revoked/);
		expect(lists.requests).toEqual(['/ca.crl']);
	});

	test('one that speaks for the server: also with a client that shares the connection', async () => {
		const lists = await startListServer(await pki.list(grid));
		const rootLists = await startListServer(await pki.list(root));
		const folder = await newFolder();
		await folder.put(grid, 'crl_url', lists.url);
		await folder.put(root, 'crl_url', `\n${rootLists.url}\n`);
		const gatepass = await gatepassFor(folder.path, {crl: 'require'});
		expect(await Promise.all([outcome(gatepass), outcome(gatepass)])).toEqual([200, 200]);
		expect(await outcome(gatepass)).toBe(200);
		expect([lists.requests.length, rootLists.requests.length]).toEqual([1, 1]);
	});

	test('not where a list is there already', async () => {
		const lists = await startListServer(500);
		const folder = await newFolder();
		await folder.put(grid, 'crl_url', lists.url);
		await folder.put(grid, 'r0', await pki.list(grid));
		expect(await outcome(await gatepassFor(folder.path))).toBe(200);
		expect(lists.requests).toEqual([]);
	});

	test('in the place of one that is outdated', async () => {
		const lists = await startListServer(await pki.list(grid));
		const folder = await newFolder();
		await folder.put(grid, 'crl_url', lists.url);
		await folder.put(grid, 'r0', await pki.list(grid, {nextUpdate: '20200201000000Z'}));
		expect(await outcome(await gatepassFor(folder.path))).toBe(200);
		expect(lists.requests).toHaveLength(1);
	});

	test('one that cannot be had, or is of somebody else, is as good as none', async () => {
		const impostor = await pki.authority('another', gridName);
		for (const [content, reason] of [
			[404, /cannot be fetched \(404\)/],
			['nothing', /holds no revocation list/],
			[await pki.list(impostor, {revoked: [host]}), /not signed by this CA/],
		] as const) {
			const lists = await startListServer(content);
			const folder = await newFolder();
			await folder.put(root, 'r0', await pki.list(root));
			await folder.put(grid, 'crl_url', lists.url);
			expect(await outcome(await gatepassFor(folder.path))).toBe(200);
			await expectRefusal(await gatepassFor(folder.path, {crl: 'require'}), reason, lists.url, /is missing/);
		}
	});

	test('the second address where the first one fails', async () => {
		const broken = await startListServer(403);
		const lists = await startListServer(await pki.list(grid, {revoked: [host]}));
		const folder = await newFolder();
		await folder.put(grid, 'crl_url', `ldap://127.0.0.1/x\n${broken.url}\n${lists.url}\n`);
		await expectRefusal(await gatepassFor(folder.path), /is revoked/, lists.url);
		expect(broken.requests).toHaveLength(1);
	});

	test('verification that is switched off for one request fetches nothing', async () => {
		const lists = await startListServer(await pki.list(grid, {revoked: [host]}));
		const folder = await newFolder();
		await folder.put(grid, 'crl_url', lists.url);
		const gatepass = await gatepassFor(folder.path);
		expect(await outcome(gatepass, server.url, {https: {rejectUnauthorized: false}})).toBe(200);
		expect(lists.requests).toEqual([]);
		await expectRefusal(gatepass, /is revoked/);
	});
});
