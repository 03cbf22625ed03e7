/** What `gatepass request -v` says of a client certificate, also where the server breaks the connection off. */
import {readFileSync} from 'node:fs';
import {createServer, type Server} from 'node:https';
import {type AddressInfo, createServer as createPlainServer} from 'node:net';
import {afterAll, afterEach, beforeAll, expect, test} from 'vitest';
import {type CertificateFiles, createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {createWorkspace, type Workspace} from './command-line.ts';

let authority: TestAuthority;
let stranger: TestAuthority;
let own: CertificateFiles;
let workspace: Workspace;
const servers: Server[] = [];

beforeAll(async () => {
	[authority, stranger, workspace] = await Promise.all([
		createTestAuthority(),
		createTestAuthority('another CA'),
		createWorkspace(),
	]);
	own = await authority.issue('server', {subject: 'CN=localhost', hosts: ['127.0.0.1']});
});
afterEach(() => {
	for (const server of servers.splice(0)) {
		server.closeAllConnections();
		server.close();
	}
});
afterAll(() => Promise.all([authority?.close(), stranger?.close(), workspace?.close()]));

/** Node's own server breaks connections off without an alert over TLS 1.3. */
async function start(version: 'TLSv1.2' | 'TLSv1.3', demands: boolean): Promise<string> {
	const server = createServer(
		{
			cert: readFileSync(own.certificate),
			key: readFileSync(own.key),
			ca: readFileSync(authority.ca),
			requestCert: true,
			rejectUnauthorized: demands,
			minVersion: version,
			maxVersion: version,
		},
		(request, response) => {
			if (request.url === '/gone') return request.socket.destroy();
			response.writeHead(403, {connection: 'close'}).end('no');
		},
	);
	servers.push(server);
	return listening(server);
}

async function listening(server: {listen: Server['listen']; address: Server['address']}): Promise<string> {
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The line about what was sent, and all that was said. */
async function sent(url: string, {certificate, key}: CertificateFiles): Promise<{line: string; all: string}> {
	const {origin} = new URL(url);
	await workspace.configure({
		cache: {url: 'memory:'},
		trust: [{match: origin, ca: authority.ca, only: true}],
		hostRules: [{match: origin, strategy: 'grid-certificate', options: {certificate, key}}],
	});
	const {stdout, stderr} = await workspace.run(['request', '-v', url]);
	return {line: /^\* +sent +(.*)$/m.exec(stderr)?.[1] ?? '', all: stdout + stderr};
}

test.each(['TLSv1.2', 'TLSv1.3'] as const)('a server that refuses it over %s', async version => {
	const files = await stranger.issue('bob', {subject: 'CN=bob'});
	const {line, all} = await sent(await start(version, true), files);
	expect(line).toMatch(/^with client certificate CN=bob → no answer \(\w+/);
	expect(all).toContain('refused the client certificate');
});

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
	'a server that goes away, and one that answers and closes, over %s',
	async version => {
		const files = await authority.issue('alice', {subject: 'CN=alice'});
		const url = await start(version, true);
		expect((await sent(`${url}/gone`, files)).line).toMatch(
			/^with client certificate CN=alice → no answer \((?:ECONNRESET|EPROTO)\)$/,
		);
		expect((await sent(url, files)).line).toBe('with client certificate CN=alice → 403 Forbidden');
	},
);

test('where the connection ends before it could be shown, it was not', async () => {
	const files = await authority.issue('alice', {subject: 'CN=alice'});
	const closing = createPlainServer(socket => socket.destroy());
	const url = await listening(closing as unknown as Server);
	expect((await sent(url, files)).line).toMatch(/^as it is → no answer \(ECONNRESET\)$/);
	await new Promise(resolve => closing.close(resolve));
	expect((await sent(url, files)).line).toMatch(/^as it is → no answer \(ECONNREFUSED\)$/);
});

test.each(['TLSv1.2', 'TLSv1.3'] as const)('one with an empty subject, over %s', async version => {
	const files = await stranger.issue('empty', {subject: '', hosts: ['client.example.org', 'b.example.org']});
	const refused = await sent(await start(version, true), files);
	expect(refused.line).toMatch(/^with client certificate DNS:client\.example\.org, … → no answer/);
	expect(refused.all).toContain(`${files.certificate} (DNS:client.example.org, …) was shown`);
	const {stdout} = await workspace.run(['status']);
	expect(stdout).toContain('DNS:client.example.org, …');
	expect(refused.all + stdout).not.toContain('()');
});
