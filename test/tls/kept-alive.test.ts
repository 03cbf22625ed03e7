/** Connections that nobody uses are let go, as Node's own are; one that is in use may be silent for longer. */
import {readFile} from 'node:fs/promises';
import {createServer as createPlainServer, type Server} from 'node:http';
import {createServer} from 'node:https';
import type {Socket} from 'node:net';
import {setTimeout as delay} from 'node:timers/promises';
import got from 'got';
import {expect, onTestFinished, test} from 'vitest';
import {createGatepass} from '../../src/index.ts';
import {createTestAuthority} from '../../src/testing/authority.ts';
import {startServer} from '../../src/testing/server.ts';
import {OwnedAgents} from '../../src/tls/isolated-agents.ts';

/** Longer than Node's own agents keep an idle connection. */
const silence = 6500;

/** Answers `/late` after a silence, the rest at once, and keeps connections for ever. Tells of each that ends. */
async function startPatientServer(server: Server, scheme: string) {
	server.keepAliveTimeout = 0;
	const ended: Promise<unknown>[] = [];
	server.on(scheme === 'https' ? 'secureConnection' : 'connection', (socket: Socket) => {
		socket.on('error', () => {});
		ended.push(new Promise(resolve => socket.once('close', resolve)));
	});
	const started = await startServer(
		async ({url}, response) => {
			if (url === '/late') await delay(silence);
			response.end('answered');
		},
		server,
		scheme,
	);
	onTestFinished(() => started.close());
	return {url: started.url, ended};
}

test('of a host with a trust entry: an idle one ends, a slow answer is waited for', async () => {
	const authority = await createTestAuthority();
	onTestFinished(() => authority.close());
	const files = await authority.issue('server', {subject: 'CN=server', hosts: ['127.0.0.1']});
	const [cert, key] = await Promise.all([files.certificate, files.key].map(file => readFile(file)));
	const server = await startPatientServer(createServer({cert, key}), 'https');
	const gatepass = await createGatepass({
		env: {},
		config: {
			cache: {url: 'memory:'},
			trust: [{match: server.url, ca: authority.ca, only: true}],
			hostRules: [{match: server.url, strategy: 'none'}],
		},
	});
	onTestFinished(() => gatepass.close());
	const late = gatepass.got(`${server.url}/late`).text();
	await gatepass.got(server.url);
	await Promise.race(server.ended);
	expect(await late).toBe('answered');
	expect(server.ended).toHaveLength(2);
});

test('of an owner of connections, over http', async () => {
	const server = await startPatientServer(createPlainServer(), 'http');
	const owned = new OwnedAgents();
	onTestFinished(() => owned.close());
	const agent = owned.for({}, 'alice', new URL(server.url), undefined, undefined);
	await got(server.url, {agent: {http: agent}});
	expect(server.ended).toHaveLength(1);
	await server.ended[0];
});
