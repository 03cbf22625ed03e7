/** `gatepass/fastify`, in real Fastify instances. */
import Fastify, {type FastifyInstance} from 'fastify';
import {request} from 'undici';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {type ConfigurationInput, createGatepass, type Gatepass} from '../../src/index.ts';
import {gatepassPlugin} from '../../src/integrations/fastify.ts';
import {startTokenServer, type TokenServer} from '../../src/testing/index.ts';

let api: TokenServer;
let app: FastifyInstance;
let config: ConfigurationInput;
beforeEach(async () => {
	api = await startTokenServer();
	app = Fastify();
	const options = {clientId: 'a', clientSecret: 'only for tests', tokenEndpoint: api.tokenEndpoint};
	config = {
		cache: {url: 'memory:'},
		hostRules: [{match: api.url, strategy: 'sso-client-credentials', options}],
	};
});
afterEach(async () => {
	await app.close();
	await api.close();
});

const missing = {
	match: 'https://files.example.org',
	strategy: 'grid-certificate',
	options: {directory: '/nowhere'},
};

test('the decorator is there for routes beside the plugin, and its requests are authenticated', async () => {
	await app.register(gatepassPlugin, {config});
	app.get('/runs', () => app.gatepass.got(`${api.url}/runs`).json());
	const response = await app.inject('/runs');
	expect(response.json()).toEqual({path: '/runs', authorized: true});
});

test('the health check says 200 where each rule has its credential', async () => {
	await app.register(gatepassPlugin, {config, health: '/health'});
	const response = await app.inject('/health');
	expect(response.statusCode).toBe(200);
	expect(response.headers['cache-control']).toBe('no-store');
	expect(response.json()).toEqual({
		available: true,
		rules: [{match: api.url, strategy: 'sso-client-credentials', available: true, codes: []}],
	});
});

test('it says 503 where one has none, by its code, and names no file', async () => {
	config = {...config, hostRules: [...(config.hostRules ?? []), missing]};
	await app.register(gatepassPlugin, {config, health: '/health'});
	const response = await app.inject('/health');
	expect(response.statusCode).toBe(503);
	expect(response.json()).toMatchObject({
		available: false,
		rules: [{available: true}, {match: missing.match, available: false, codes: ['named-file-missing']}],
	});
	expect(response.body).not.toContain('nowhere');
	expect(response.body).not.toContain('only for tests');
});

test('there is no health check unless it has a path', async () => {
	await app.register(gatepassPlugin, {config});
	expect((await app.inject('/health')).statusCode).toBe(404);
});

test('it is closed with the instance, after the last request', async () => {
	await app.register(gatepassPlugin, {config});
	const arrived = Promise.withResolvers<void>();
	const mayGoOn = Promise.withResolvers<void>();
	app.get('/runs', async () => {
		arrived.resolve();
		await mayGoOn.promise;
		return app.gatepass.got(`${api.url}/runs`).json();
	});
	const url = await app.listen({port: 0, host: '127.0.0.1'});
	// Fastify waits for connections that are kept alive, too.
	const response = request(`${url}/runs`, {reset: true});
	await arrived.promise;
	const closing = app.close();
	mayGoOn.resolve();
	expect(await (await response).body.json()).toEqual({path: '/runs', authorized: true});
	await closing;
	await expect(app.gatepass.authorize(api.url)).rejects.toMatchObject({code: 'ERR_GATEPASS_CLOSED'});
});

test('one that was made elsewhere stays open', async () => {
	await using gatepass: Gatepass = await createGatepass({config});
	await app.register(gatepassPlugin, {gatepass});
	expect(app.gatepass).toBe(gatepass);
	await app.close();
	await expect(gatepass.authorize(api.url)).resolves.toHaveProperty('headers.authorization');
});

test('what it tells goes to the log of the instance', async () => {
	const lines: string[] = [];
	app = Fastify({logger: {level: 'info', stream: {write: (line: string) => void lines.push(line)}}});
	await app.register(gatepassPlugin, {config});
	await app.ready();
	await app.gatepass.got(`${api.url}/runs`);
	expect(lines.map(line => JSON.parse(line).msg)).toContain('gatepass: a token was issued');
});

test('a mistake in the configuration stops the service', async () => {
	const mistaken = {hostRules: [{match: 'https://*x.example.org', strategy: 'none'}]};
	const starting = Promise.resolve(app.register(gatepassPlugin, {config: mistaken})).then(() => app.ready());
	await expect(starting).rejects.toMatchObject({code: 'ERR_GATEPASS_CONFIGURATION'});
});
