/** What is checked of a server is checked on every way to it, and nothing switches that off for longer than a request. */
import {Agent} from 'node:https';
import {setTimeout as pause} from 'node:timers/promises';
import {beforeAll, expect, onTestFinished, test} from 'vitest';
import {CertificateError} from '../../src/errors.ts';
import {createGatepass} from '../../src/index.ts';
import {startServer} from '../../src/testing/server.ts';
import {TlsAgents} from '../../src/tls/agents.ts';
import {describeWith} from '../servers/availability.ts';
import {opensslServer} from '../servers/openssl-server.ts';
import {type CaFolder, startTlsServer} from './pki.ts';
import {expectRefusal, gatepassFor, grid, host, newFolder, outcome, pki, root, server} from './stage.ts';

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
		expect(sessions).toEqual([undefined, undefined]);

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

	test("got's HTTP/2, retries, and a redirect from elsewhere", async () => {
		const gatepass = await gatepassFor(folder.path);
		expect(await outcome(gatepass, server.url, {http2: true})).toBeInstanceOf(CertificateError);
		const retrying = {
			retry: {limit: 2, calculateDelay: ({computedValue}: {computedValue: number}) => computedValue && 1},
		};
		expect(await outcome(gatepass, server.url, retrying)).toBeInstanceOf(CertificateError);
		const elsewhere = await startServer((_, response) => {
			response.writeHead(302, {location: server.url}).end();
		});
		onTestFinished(() => elsewhere.close());
		expect(await outcome(gatepass, elsewhere.url)).toBeInstanceOf(CertificateError);
	});

	test("a check of the caller's counts with an agent of theirs, too", async () => {
		const agent = new Agent();
		onTestFinished(() => agent.destroy());
		const pinned = {
			agent: {https: agent},
			https: {checkServerIdentity: () => new Error('another key than the pinned one')},
		};
		for (const ca of [root.certificate, (await newFolder()).path]) {
			const error = await outcome(await gatepassFor(ca), server.url, pinned);
			expect(error).toMatchObject({message: expect.stringContaining('the pinned one')});
		}
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
