/** `digest` against Apache and lighttpd, and by the examples of RFC 7616. */
import {createHash} from 'node:crypto';
import {createServer, type IncomingMessage, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import {text} from 'node:stream/consumers';
import {setTimeout as pause} from 'node:timers/promises';
import {describe, expect, onTestFinished, test} from 'vitest';
import {createGatepass, type Gatepass} from '../../src/index.ts';
import {parseChallenges} from '../../src/strategy/index.ts';
import {conformance} from '../../src/testing/index.ts';
import {findAlgorithm} from '../../strategies/digest/algorithms.ts';
import {DigestStrategy} from '../../strategies/digest/index.ts';
import {ProtectionSpace} from '../../strategies/digest/protection-space.ts';
import {describeWith} from '../servers/availability.ts';
import {
	apacheDigest,
	type DigestServer,
	lighttpd,
	startApacheDigest,
	startLighttpdDigest,
	user,
} from '../servers/digest.ts';
import {clients} from '../transports/clients.ts';

async function gatepassFor(url: string, options: Record<string, unknown> = user): Promise<Gatepass> {
	const gatepass = await createGatepass({
		env: {},
		config: {cache: {url: 'memory:'}, hostRules: [{match: url, strategy: 'digest', options}]},
	});
	onTestFinished(() => gatepass.close());
	return gatepass;
}

async function start<Server extends DigestServer>(starting: Promise<Server>): Promise<Server> {
	const server = await starting;
	onTestFinished(() => server.close());
	return server;
}

describeWith(apacheDigest, 'Apache, with MD5', () => {
	test('is answered once, and its nonce is used for the requests to come', async () => {
		const server = await start(startApacheDigest());
		const {got} = await gatepassFor(server.url);
		expect(await got(`${server.url}/reports?year=2026&of=a%20b`).text()).toBe('behind Digest\n');
		await Promise.all(Array.from({length: 10}, () => got(`${server.url}/more`)));
		expect(await server.statuses()).toEqual([401, ...Array.from({length: 11}, () => 200)]);
	});

	test('a nonce that is stale is replaced, for a request with a body, too', async () => {
		// Long enough for the new one to be used in time.
		const server = await start(startApacheDigest({nonceLifetime: 3}));
		const {got} = await gatepassFor(server.url);
		await got(server.url);
		await pause(4100);
		await got.post(server.url, {body: 'once more', retry: {limit: 0}});
		expect(await server.statuses()).toEqual([401, 200, 401, 200]);
	});

	test('two realms of one server keep their nonces, also for requests in turn', async () => {
		const server = await start(startApacheDigest());
		const {got} = await gatepassFor(server.url);
		for (let turn = 0; turn < 3; turn++) {
			await got(`${server.url}/reports/a/${turn}`);
			await got(`${server.url}/others/b/${turn}`);
		}
		// A body that can be sent once only would be lost at a refusal.
		const stream = got.stream.post(`${server.url}/others/b`);
		stream.end('written');
		await stream.resume().toArray();
		expect(await server.statuses()).toEqual([401, 200, 401, 200, 200, 200, 200, 200, 200]);
	});

	test('the nonce that it names next is used before the old one is stale', async () => {
		const server = await start(startApacheDigest({nonceLifetime: 29}));
		const {got} = await gatepassFor(server.url);
		for (let request = 0; request < 3; request++) await got(server.url);
		expect(await server.statuses()).toEqual([401, 200, 200, 200]);
		const [challenged, ...answered] = await server.nonces();
		expect(challenged).toBeUndefined();
		expect(new Set(answered).size).toBe(3);
	});

	test('a wrong password ends with the 401 of the server, after one try', async () => {
		const server = await start(startApacheDigest());
		const {got} = await gatepassFor(server.url, {...user, password: 'wrong'});
		const {statusCode} = await got(server.url, {throwHttpErrors: false});
		expect(statusCode).toBe(401);
		expect(await server.statuses()).toEqual([401, 401]);
	});
});

describeWith(lighttpd, 'lighttpd', () => {
	test.each([
		['MD5', false],
		['SHA-256', false],
		['MD5|SHA-256', false],
		['SHA-256', true],
		['SHA-512-256', false],
	])('with %s, the name hashed: %s', async (algorithm, userhash) => {
		const server = await start(startLighttpdDigest({algorithm, userhash}));
		const {got} = await gatepassFor(server.url);
		expect(await got(`${server.url}/a?b=c`).text()).toBe('behind Digest\n');
		expect(await got(server.url).text()).toBe('behind Digest\n');
		expect(await server.statuses()).toEqual([401, 200, 200]);
	});
});

test.each([
	['MD5', '8ca523f5e9506fed4657c9700eebdbec'],
	['SHA-256', '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1'],
])('RFC 7616 section 3.9.1, %s', (algorithm, response) => {
	const [challenge] = parseChallenges(
		`Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=${algorithm}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`,
	);
	const space = new ProtectionSpace(
		challenge?.parameters as ReadonlyMap<string, string>,
		findAlgorithm(algorithm) as NonNullable<ReturnType<typeof findAlgorithm>>,
		challenge?.parameters.get('nonce') as string,
		'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
	);
	const value = space.authorization(
		{method: 'GET', target: '/dir/index.html'},
		{username: 'Mufasa', password: 'Circle of Life'},
	);
	const {parameters} = parseChallenges(value)[0] as {parameters: ReadonlyMap<string, string>};
	expect(parameters.get('response')).toBe(response);
	expect(Object.fromEntries(parameters)).toMatchObject({
		username: 'Mufasa',
		realm: 'http-auth@example.org',
		uri: '/dir/index.html',
		algorithm,
		nc: '00000001',
		qop: 'auth',
		opaque: 'FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS',
	});
});

/** A server whose challenges no real one makes to order. */
async function scripted(
	answer: (request: IncomingMessage, response: ServerResponse) => void | Promise<void>,
): Promise<string> {
	const server = createServer(answer);
	await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
	onTestFinished(() => new Promise(done => server.close(() => done())));
	return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('the nonce that an answer names is used next, counted from one', async () => {
	const shown: string[] = [];
	const url = await scripted(({headers: {authorization}}, response) => {
		if (authorization === undefined) {
			response.writeHead(401, {'www-authenticate': 'Digest realm="r", nonce="first", qop="auth"'}).end();
			return;
		}
		const {parameters} = parseChallenges(authorization)[0] as {parameters: ReadonlyMap<string, string>};
		shown.push(`${parameters.get('nonce')} ${parameters.get('nc')}`);
		const next =
			shown.length === 2 ? {'authentication-info': 'qop=auth, nextnonce="second, \\"quoted\\""'} : {};
		response.writeHead(200, next).end();
	});
	const {got} = await gatepassFor(url);
	for (let request = 0; request < 4; request++) await got(url);
	expect(shown).toEqual([
		'first 00000001',
		'first 00000002',
		'second, "quoted" 00000001',
		'second, "quoted" 00000002',
	]);
});

test.each([
	['an algorithm that nobody knows', 'Digest realm="r", nonce="n", algorithm=WHIRLPOOL'],
	['no nonce', 'Digest realm="r"'],
	['another scheme', 'Basic realm="r"'],
	['a protection that nobody knows', 'Digest realm="r", nonce="n", qop="auth-conf"'],
])('%s is not answered', async (_, header) => {
	let requests = 0;
	const url = await scripted((_request, response) => {
		requests += 1;
		response.writeHead(401, {'www-authenticate': header}).end();
	});
	const {got} = await gatepassFor(url);
	expect((await got(url, {throwHttpErrors: false})).statusCode).toBe(401);
	expect(requests).toBe(1);
});

/** No server of Debian's has `auth-int`; this one computes RFC 7616 section 3.4 by itself. */
describe.each(clients.map(client => ({client, name: client.name})))('over $name', ({client}) => {
	test.each(['MD5', 'SHA-256-sess'])(
		'the body is protected where the server wants that: %s',
		async algorithm => {
			const verdicts: (boolean | string)[] = [];
			const hash = (text: string) =>
				createHash(algorithm === 'MD5' ? 'md5' : 'sha256')
					.update(text)
					.digest('hex');
			const url = await scripted(async (request, response) => {
				const body = await text(request);
				const {authorization} = request.headers;
				if (authorization === undefined) {
					verdicts.push('asked');
					const challenge = `Digest realm="r", nonce="n", qop="auth-int", algorithm=${algorithm}`;
					response.writeHead(401, {'www-authenticate': challenge}).end();
					return;
				}
				const {parameters} = parseChallenges(authorization)[0] as {parameters: ReadonlyMap<string, string>};
				const get = (name: string) => parameters.get(name) ?? '';
				const base = hash(`${user.username}:r:${user.password}`);
				const key = algorithm.endsWith('-sess') ? hash(`${base}:n:${get('cnonce')}`) : base;
				const what = hash(`${request.method}:${request.url}:${hash(body)}`);
				const expected = hash(`${key}:n:${get('nc')}:${get('cnonce')}:auth-int:${what}`);
				verdicts.push(get('response') === expected && get('qop') === 'auth-int');
				response.writeHead(verdicts.at(-1) === true ? 200 : 403).end('answered');
			});
			const gatepass = await gatepassFor(url);
			const sent = {method: 'POST', body: 'grün '.repeat(10_000)} as const;
			expect((await client.send(gatepass, `${url}/a?b=c`, sent)).status).toBe(200);
			expect((await client.send(gatepass, `${url}/a`, sent)).status).toBe(200);
			expect((await client.send(gatepass, url)).status).toBe(200);
			expect(verdicts).toEqual(['asked', true, true, true]);
		},
	);
});

test('the target is signed to the byte as it is sent, over each client', async () => {
	const seen: string[] = [];
	const url = await scripted(({url: target, headers: {authorization = ''}}, response) => {
		const [challenge] = parseChallenges(authorization);
		if (challenge !== undefined) seen.push(`${target} ${challenge.parameters.get('uri')}`);
		const header = 'Digest realm="r", nonce="n", qop="auth", domain="/ /x http://other.example"';
		response.writeHead(challenge === undefined ? 401 : 200, {'www-authenticate': header}).end();
	});
	const gatepass = await gatepassFor(url);
	const paths = ["/a'b?c='d'", '/a?', '/?x=<y>|^`&&z', '/%2f/..%2f?%zz', '//x//?/'];
	for (const path of paths) {
		for (const client of clients) await client.send(gatepass, url + path);
		const {body} = await gatepass.dispatcher.request({origin: url, path, method: 'GET'});
		await body.dump();
	}
	expect(seen).toHaveLength(paths.length * (clients.length + 1));
	for (const pair of seen) {
		const [sent, signed] = pair.split(' ');
		expect(signed).toBe(sent);
	}
	expect(seen.at(-6)).toBe('/%2f/..%2f?%zz /%2f/..%2f?%zz');
});

test('where the server offers both, the body is left alone: it may be a stream that is sent once', async () => {
	let shown: string | undefined;
	const url = await scripted(async (request, response) => {
		await text(request);
		shown = request.headers.authorization;
		const challenge = 'Digest realm="r", nonce="n", qop="auth-int, auth"';
		response.writeHead(shown === undefined ? 401 : 200, {'www-authenticate': challenge}).end();
	});
	const {got} = await gatepassFor(url);
	await got(url);
	const stream = got.stream.post(url);
	stream.end('written');
	await new Promise((resolve, reject) => stream.resume().on('end', resolve).on('error', reject));
	expect(shown).toContain('qop=auth,');
});

test('a server that calls every nonce stale is not asked for ever', async () => {
	let requests = 0;
	const url = await scripted((_request, response) => {
		requests += 1;
		const header = `Digest realm="r", nonce="${requests}", qop="auth", stale=true`;
		response.writeHead(401, {'www-authenticate': header}).end();
	});
	const {got} = await gatepassFor(url);
	expect((await got(url, {throwHttpErrors: false})).statusCode).toBe(401);
	expect(requests).toBeLessThanOrEqual(3);
});

test('a name that no quoted string holds is sent as RFC 8187 has it', () => {
	const challenge = new Map([
		['realm', 'r'],
		['nonce', 'n'],
		['qop', 'auth'],
	]);
	const space = new ProtectionSpace(challenge, findAlgorithm('MD5') as never, 'n');
	const value = space.authorization({method: 'GET', target: '/'}, {username: 'Jäsøn Doe', password: 'x'});
	expect(value).toContain("username*=UTF-8''J%C3%A4s%C3%B8n%20Doe,");
});

test('passes the conformance kit', async () => {
	await expect(conformance(DigestStrategy, {options: user})).resolves.toHaveLength(14);
});
