/** Token endpoints that answer with anything but a token: a clear error for each, and no secret in any of them. */
import {readFile} from 'node:fs/promises';
import {createServer, type RequestListener, type Server} from 'node:http';
import {createServer as createHttpsServer} from 'node:https';
import type {AddressInfo} from 'node:net';
import {inspect} from 'node:util';
import {gzipSync} from 'node:zlib';
import {afterEach, describe, expect, test, vi} from 'vitest';
import {createGatepass, type Gatepass, TokenRequestError} from '../../src/index.ts';
import {createTestAuthority} from '../../src/testing/authority.ts';
import {startServer} from '../../src/testing/server.ts';
import {cpuOf} from '../cpu-time.ts';

const clientSecret = 'hunter2 &+/ü=canary';
const jwt = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl';

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
	for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function listen(
	listener: RequestListener,
): Promise<{url: string; server: Server; requests: () => number}> {
	let count = 0;
	const server = createServer((request, response) => {
		count += 1;
		listener(request, response);
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	cleanUps.push(() => {
		server.closeAllConnections();
		return new Promise(resolve => server.close(resolve));
	});
	return {url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server, requests: () => count};
}

interface Settings {
	readonly options?: Record<string, unknown>;
	readonly tokenRequest?: {timeout?: number; retries?: number};
	readonly env?: Record<string, string>;
}

/** A gatepass whose rule for `api` gets its tokens from `tokenEndpoint`. */
async function gatepassWith(
	api: string,
	options: Record<string, unknown>,
	settings: Settings = {},
): Promise<Gatepass> {
	const gatepass = await createGatepass({
		config: {
			cache: {url: 'memory:'},
			tokenRequest: {timeout: 60_000, ...settings.tokenRequest},
			hostRules: [{match: api, strategy: 'sso-client-credentials', options: options as never}],
		},
		env: settings.env ?? {},
	});
	cleanUps.push(() => gatepass.close());
	return gatepass;
}

/** What a request fails with whose token endpoint answers like this. */
async function failureOf(
	listener: RequestListener,
	settings: Settings = {},
): Promise<TokenRequestError & {tokenRequests: number; api: string; endpoint: string}> {
	const api = await listen((_, response) => response.end('the API was reached'));
	const tokens = await listen(listener);
	const endpoint = `${tokens.url}/token`;
	const options = {clientId: 'me', clientSecret, tokenEndpoint: endpoint, ...settings.options};
	const gatepass = await gatepassWith(api.url, options, settings);
	const error: unknown = await gatepass
		.got(api.url, {retry: {limit: 0}})
		.text()
		.catch(error => error);
	expect(error).toBeInstanceOf(TokenRequestError);
	expect(api.requests()).toBe(0);
	const failure = error as TokenRequestError;
	expect(failure.code).toBe('ERR_GATEPASS_TOKEN_REQUEST');
	expect(failure.message).toContain(`${endpoint} (rule for ${api.url}, hostRules[0])`);
	// What happened, and what to do.
	expect(failure.message).toMatch(/\. [A-Z][^.]+$/);
	expectNoSecret(failure);
	return Object.assign(failure, {tokenRequests: tokens.requests(), api: api.url, endpoint});
}

function expectNoSecret(error: Error): void {
	const shown = [
		inspect(error, {depth: 10, showHidden: true}),
		JSON.stringify(error),
		error.stack,
		error.message,
		String(error.cause),
	].join('\n');
	const encoded = encodeURIComponent(clientSecret);
	const basic = Buffer.from(`me:${new URLSearchParams({'': clientSecret}).toString().slice(1)}`).toString(
		'base64',
	);
	for (const text of [
		clientSecret,
		encoded,
		encoded.replaceAll('%20', '+'),
		basic,
		jwt,
		'canary',
		'hunter2',
	]) {
		expect(shown).not.toContain(text);
	}
}

function json(status: number, body: unknown, headers: Record<string, string> = {}): RequestListener {
	return (_, response) => {
		response.writeHead(status, {'content-type': 'application/json', ...headers});
		response.end(typeof body === 'string' ? body : JSON.stringify(body));
	};
}

const good = {access_token: 'abc', token_type: 'Bearer', expires_in: 3600};

describe('an answer with status 200 that is no token', () => {
	test.each<[string, RequestListener, RegExp]>([
		[
			'a page of HTML',
			(_, response) => response.setHeader('content-type', 'text/html; charset=utf-8').end('<h1>Sign in</h1>'),
			/answered with text\/html, not JSON/,
		],
		['an empty body', json(200, ''), /JSON that is empty or broken/],
		['half a JSON', json(200, '{"access_token": "abc", "tok'), /JSON that is empty or broken/],
		['JSON that is no object', json(200, '[]'), /no token/],
		['null', json(200, 'null'), /no token/],
		['no token', json(200, {token_type: 'Bearer'}), /no token .*access_token/],
		['an empty token', json(200, {...good, access_token: ''}), /no token .*access_token/],
		['a token that is a number', json(200, {...good, access_token: 5}), /no token .*access_token/],
		[
			'a token with a line break',
			json(200, {...good, access_token: 'abc\r\nx-evil: 1'}),
			/characters no token may have/,
		],
		['a token with a space', json(200, {...good, access_token: 'two words'}), /characters no token may have/],
		['no type', json(200, {access_token: 'abc'}), /no token .*token_type/],
		['an unknown type', json(200, {...good, token_type: 'mac'}), /token of an unknown type/],
		[
			'a type that repeats the secret',
			json(200, {...good, token_type: clientSecret}),
			/token of an unknown type/,
		],
		['a DPoP token that nobody asked for', json(200, {...good, token_type: 'DPoP'}), /bound to a key/],
		['a negative life', json(200, {...good, expires_in: -1}), /no token .*expires_in/],
		['no life at all', json(200, {...good, expires_in: 0}), /has already expired \(expires_in is 0\)/],
		[
			'a life that no clock counts',
			json(200, {...good, expires_in: 1e-9}),
			/has already expired \(expires_in is 1e-9\)/,
		],
		['a life that is no number', json(200, {...good, expires_in: 'NaN'}), /no token .*expires_in/],
		['a life that is a word', json(200, {...good, expires_in: 'soon'}), /no token .*expires_in/],
		[
			'a life beyond numbers',
			json(200, '{"access_token":"abc","token_type":"Bearer","expires_in":1e999}'),
			/no token .*expires_in/,
		],
	])('%s', async (_, listener, message) => {
		const error = await failureOf(listener);
		expect(error.message).toMatch(message);
		expect(error.status).toBe(200);
		expect(error.tokenRequests).toBe(1);
	});

	test.each([
		[{error: 'invalid_client'}, 'invalid_client'],
		[{error: 'invalid_scope', access_token: ''}, 'invalid_scope'],
	])('an error in its body: %j', async (body, code) => {
		const error = await failureOf(json(200, body));
		expect(error.message).toMatch(new RegExp(code));
		expect(error).toMatchObject({status: 200, error: code});
	});
});

test.each([
	[
		'a status that there is not',
		'HTTP/1.1 999 X\r\ncontent-length: 0\r\n\r\n',
		/answered with the status 999/,
	],
	[
		'a redirect to a file',
		'HTTP/1.1 302 X\r\nlocation: file:///etc/passwd\r\ncontent-length: 0\r\n\r\n',
		/redirects to elsewhere/,
	],
])('%s is told as such', async (_, answer, message) => {
	const error = await failureOf(({socket}) => socket.write(answer));
	expect(error.message).toMatch(message);
	expect(error.message).not.toContain('passwd');
});

describe('a life that is accepted', () => {
	test.each<[unknown, number | undefined]>([
		[3600, 3_600_000],
		['3600', 3_600_000],
		[0.5, 500],
		[undefined, undefined],
	])('%j', async (expires_in, expected) => {
		const api = await listen((request, response) => response.end(request.headers.authorization));
		const tokens = await listen(json(200, {...good, expires_in}));
		const gatepass = await gatepassWith(api.url, {clientId: 'me', clientSecret, tokenEndpoint: tokens.url});
		const before = Date.now();
		expect(await gatepass.got(api.url).text()).toBe('Bearer abc');
		const [status] = await gatepass.status();
		if (expected === undefined) expect(status).not.toHaveProperty('expiresAt');
		// The server's clock, by its Date header, has whole seconds.
		else if (expected > 1000) {
			expect(status?.expiresAt).toBeGreaterThan(before + expected - 2000);
			expect(status?.expiresAt).toBeLessThan(Date.now() + expected + 2000);
		}
	});
});

describe('an answer that is too much', () => {
	test.each<[string, RequestListener]>([
		[
			'10 MB',
			(_, response) =>
				response.setHeader('content-type', 'application/json').end(Buffer.alloc(10_000_000, 0x20)),
		],
		[
			'without end',
			(_, response) => {
				response.setHeader('content-type', 'application/json');
				const write = (): void => {
					while (!response.destroyed && response.write(Buffer.alloc(65_536, 0x20)));
					response.once('drain', write);
				};
				write();
			},
		],
	])('%s', async (_, listener) => {
		const error = await failureOf(listener, {tokenRequest: {retries: 0}});
		expect(error.message).toMatch(/the answer is larger than 1048576 bytes/);
	});

	test('small on the way, but large when it is unpacked', async () => {
		const packed = gzipSync(Buffer.alloc(50_000_000, 0x20));
		const error = await failureOf((_, response) => {
			response.writeHead(200, {'content-type': 'application/json', 'content-encoding': 'gzip'}).end(packed);
		});
		expect(error.message).toMatch(/JSON that is empty or broken|larger than/);
	});
});

describe('no answer', () => {
	test('for longer than the time limit, all tries together', async () => {
		const error = await failureOf(() => {}, {tokenRequest: {timeout: 300, retries: 5}});
		expect(error.message).toMatch(/did not answer in time/);
		expect(error.message).toMatch(/try again/);
		expect(error).not.toHaveProperty('status');
		// There would be six, had each try a time limit of its own.
		expect(error.tokenRequests).toBeLessThan(6);
	});

	test('a head without a body', async () => {
		const error = await failureOf(
			(_, response) => response.writeHead(200, {'content-type': 'application/json'}).flushHeaders(),
			{tokenRequest: {timeout: 300}},
		);
		expect(error.message).toMatch(/did not answer in time/);
	});

	test('a connection that breaks is tried again, then an error', async () => {
		const error = await failureOf(request => request.socket.destroy(), {tokenRequest: {retries: 2}});
		expect(error.message).toMatch(/gave no answer/);
		expect(error.tokenRequests).toBe(3);
	});

	test('a body that is cut off', async () => {
		const error = await failureOf(
			(_, response) => {
				response.writeHead(200, {'content-type': 'application/json', 'content-length': '1000'});
				response.write('{"access_token": "abc"');
				response.socket?.end();
			},
			{tokenRequest: {retries: 0}},
		);
		expect(error.message).toMatch(/gave no answer|broken/);
	});

	test('a connection that is refused', async () => {
		const gone = await listen(() => {});
		const api = await listen(() => {});
		gone.server.close();
		const gatepass = await gatepassWith(
			api.url,
			{clientId: 'me', clientSecret, tokenEndpoint: `${gone.url}/token`},
			{tokenRequest: {retries: 0}},
		);
		const error = await gatepass
			.got(api.url)
			.text()
			.catch(error => error);
		expect(error).toBeInstanceOf(TokenRequestError);
		expect(error.message).toMatch(/gave no answer: .*ECONNREFUSED.*\. Check the endpoint and the network/);
		expect(error.cause).toMatchObject({code: 'ECONNREFUSED'});
		expectNoSecret(error);
	});

	test('a CA that nobody trusts: add it', async () => {
		const authority = await createTestAuthority();
		cleanUps.push(() => authority.close());
		const files = await authority.issue('tokens', {subject: 'CN=tokens', hosts: ['127.0.0.1']});
		const [cert, key] = await Promise.all([files.certificate, files.key].map(file => readFile(file)));
		const tokens = await startServer(() => {}, createHttpsServer({cert, key}), 'https');
		cleanUps.push(() => tokens.close());
		const options = {clientId: 'me', clientSecret, tokenEndpoint: `${tokens.url}/token`};
		const rule = await gatepassWith('https://api.example.org', options, {tokenRequest: {retries: 0}});
		const error = await rule.authorize('https://api.example.org').catch((error: unknown) => error);
		expect(error).toBeInstanceOf(TokenRequestError);
		expect((error as Error).message).toMatch(/gave no answer: .*(certificate|signed)/);
		const hint = `. If this is the right server, add its CA under 'trust', for ${tokens.url}`;
		expect((error as Error).message.endsWith(hint)).toBe(true);
	});

	test('something that is not HTTP', async () => {
		const error = await failureOf(request => request.socket.end('SSH-2.0-OpenSSH_9.2\r\n'), {
			tokenRequest: {retries: 0},
		});
		expect(error.message).toMatch(/gave no answer/);
	});
});

describe('another status', () => {
	test.each([301, 302, 303, 307, 308])(
		'%i: a redirect is not followed, and the secret stays',
		async status => {
			const target = await listen(json(200, good));
			const error = await failureOf((_, response) => {
				response.writeHead(status, {location: `${target.url}/steal?q=canary`}).end();
			});
			expect(target.requests()).toBe(0);
			expect(error.message).toContain(`redirects to ${target.url}; `);
			expect(error.status).toBe(status);
		},
	);

	test('a redirect to nowhere', async () => {
		expect((await failureOf((_, response) => response.writeHead(302).end())).message).toMatch(/redirects to/);
	});

	test('429 with Retry-After in seconds: not tried again, and says how long to wait', async () => {
		const error = await failureOf(json(429, '', {'retry-after': '120'}));
		expect(error).toMatchObject({status: 429, retryAfter: 120_000});
		expect(error.message).toMatch(/answered 429.*\. .*120 s/);
		expect(error.tokenRequests).toBe(1);
	});

	test('429 with Retry-After as a date', async () => {
		const {retryAfter} = await failureOf(
			json(429, '', {'retry-after': new Date(Date.now() + 600_000).toUTCString()}),
		);
		expect(retryAfter).toBeGreaterThan(300_000);
		expect(retryAfter).toBeLessThanOrEqual(600_000);
	});

	test.each([60, -60])('429 with Retry-After as a date, by a clock that is %i minutes ahead', async ahead => {
		const date = Date.now() + ahead * 60_000;
		const toText = (time: number): string => new Date(time).toUTCString();
		const headers = {date: toText(date), 'retry-after': toText(date + 90_000)};
		expect(await failureOf(json(429, '', headers))).toMatchObject({retryAfter: 90_000});
	});

	test.each(['1893456000', new Date(Date.now() + 60 * 365 * 86_400_000).toUTCString()])(
		'429 with a Retry-After of sixty years, %j: ten minutes',
		async value => {
			const error = await failureOf(json(429, '', {'retry-after': value}));
			expect(error.retryAfter).toBe(600_000);
			expect(error.message).toContain('Try again in 600 s');
		},
	);

	test('429 with a Retry-After of a fraction', async () => {
		expect(await failureOf(json(429, '', {'retry-after': '1.5'}))).toMatchObject({retryAfter: 1500});
	});

	test.each(['soon', '-5', '1e3', ''])('429 with a Retry-After of %j', async value => {
		const error = await failureOf(json(429, '', {'retry-after': value}));
		expect(error.retryAfter ?? 0).toBeGreaterThanOrEqual(0);
		expect(error.retryAfter ?? 0).toBeLessThan(1);
	});

	test('500: an error at once', async () => {
		const error = await failureOf((_, response) =>
			response.writeHead(500, {'content-type': 'text/html'}).end('<h1>Oops</h1>'),
		);
		expect(error).toMatchObject({status: 500, tokenRequests: 1});
		expect(error.message).toMatch(/answered 500 with text\/html/);
	});

	test('503 with Retry-After: not pressed', async () => {
		const error = await failureOf(json(503, '', {'retry-after': '7'}));
		expect(error).toMatchObject({status: 503, retryAfter: 7000, tokenRequests: 1});
	});

	test('503 for ever: an error after the retries', async () => {
		const error = await failureOf(json(503, ''), {tokenRequest: {retries: 2}});
		expect(error).toMatchObject({status: 503, tokenRequests: 3});
	});

	test.each([
		[401, "that it knows this client, and that 'clientAuthentication' is a way that it takes"],
		[
			403,
			"that it knows this client, and that 'clientAuthentication' is a way that it takes; it may insist on a 'scope', too",
		],
	])('%d without a body may be about the client, and of 403 about the scope', async (status, advice) => {
		const error = await failureOf((_, response) => response.writeHead(status).end());
		expect(error.message).toContain(`answered ${status}. Check that this is the token endpoint, ${advice}`);
	});

	test('404: the endpoint is wrong', async () => {
		const error = await failureOf((_, response) => response.writeHead(404).end());
		expect(error.message).toMatch(/answered 404.*\. Check that this is the token endpoint/);
	});

	test('204', async () => {
		const error = await failureOf((_, response) => response.writeHead(204).end());
		expect(error).toMatchObject({status: 204});
	});

	test.each([502, 503, 504])('%i, then a token: nobody notices', async status => {
		const api = await listen((request, response) => response.end(request.headers.authorization));
		let isFirst = true;
		const tokens = await listen((request, response) => {
			const answer = isFirst ? json(status, '') : json(200, good);
			isFirst = false;
			answer(request, response);
		});
		const gatepass = await gatepassWith(api.url, {clientId: 'me', clientSecret, tokenEndpoint: tokens.url});
		expect(await gatepass.got(api.url).text()).toBe('Bearer abc');
		expect(tokens.requests()).toBe(2);
	});
});

describe('an OAuth error', () => {
	test.each<[number, string, RegExp]>([
		[401, 'invalid_client', /Check 'clientId', 'clientSecret'/],
		[400, 'invalid_scope', /Check 'scope'/],
		[400, 'invalid_target', /Check 'audience'/],
		[400, 'unauthorized_client', /Have the client allowed/],
		[400, 'unsupported_grant_type', /Have the client allowed/],
		[400, 'made_up', /Check the options of the rule/],
	])('%i %s says what to check', async (status, code, hint) => {
		const error = await failureOf(json(status, {error: code, error_description: 'It is wrong'}));
		expect(error).toMatchObject({status, error: code, errorDescription: 'It is wrong'});
		expect(error.message).toContain(`refused: ${code} (It is wrong). `);
		expect(error.message).toMatch(hint);
	});

	test('with a challenge beside it', async () => {
		const error = await failureOf(
			json(401, {error: 'invalid_client'}, {'www-authenticate': 'Basic realm="x"'}),
		);
		expect(error).toMatchObject({status: 401, error: 'invalid_client'});
	});

	test.each(['client_secret_basic', 'client_secret_post'])(
		'that repeats what it was sent, by %s',
		async clientAuthentication => {
			const error = await failureOf(
				(request, response) => {
					let body = '';
					request.setEncoding('utf8');
					request.on('data', chunk => {
						body += chunk;
					});
					request.on('end', () => {
						const sent = `${request.headers.authorization} ${body} ${clientSecret} ${decodeURIComponent(body)} ${jwt}`;
						json(400, {error: `invalid_client ${sent}`, error_description: `I got ${sent}`})(
							request,
							response,
						);
					});
				},
				{options: {clientAuthentication}},
			);
			expect(error.errorDescription).toContain('I got');
		},
	);

	test.each<[string, (secret: string) => string]>([
		['in JSON', JSON.stringify],
		['percent-encoded in lower case', secret => encodeURIComponent(secret).toLowerCase()],
		['in HTML', secret => secret.replaceAll('&', '&amp;').replaceAll('=', '&#x3d;')],
		['in base64', secret => Buffer.from(`it was ${secret}`).toString('base64')],
		['cut off', secret => `${secret.slice(0, -3)}...`],
	])('that repeats the secret %s', async (_, write) => {
		const written = write(clientSecret);
		const error = await failureOf(json(400, {error: 'x', error_description: `I got ${written}`}));
		expect(error.errorDescription).toMatch(/^I got .*…/);
		for (let start = 8; start + 10 <= written.length; start++)
			expect(error.message).not.toContain(written.slice(start, start + 10));
	});

	test('to a client whose secret has one letter stays readable', async () => {
		const error = await failureOf(json(400, {error: 'x', error_description: 'a plain sentence'}), {
			options: {clientSecret: 'a'},
		});
		expect(error.errorDescription).toBe('a plain sentence');
	});

	test.each(['eyJ-', 'eyJ', 'eyJ.'])(
		'whose description of 120 kB is made of %j holds nothing up',
		async unit => {
			const error_description = unit.repeat(120_000 / unit.length);
			const spent = await cpuOf(() => failureOf(json(400, {error: 'x', error_description})));
			// It was 4.4 s.
			expect(spent).toBeLessThan(2000);
		},
	);

	test('with control characters and without end', async () => {
		const error = await failureOf(
			json(400, {error: 'x\u001B[31m\r\n', error_description: `a\u0007b\n${'y'.repeat(100_000)}`}),
		);
		expect(error.message).not.toMatch(/[^\x20-\x7E…]/);
		expect(error.errorDescription).not.toMatch(/[^\x20-\x7E…]/);
		expect(error.message.length).toBeLessThan(1000);
		expect(error.errorDescription?.length).toBeLessThan(1000);
	});

	test.each([{error: 5}, {error: ''}, {error: null}, {error: 'x', error_description: 5}, {error: {a: 1}}])(
		'of odd types: %j',
		async body => {
			expect(await failureOf(json(400, body))).toMatchObject({status: 400});
		},
	);
});

describe('the client and the endpoint', () => {
	test('come from the variables SSO_CLIENT_ID and SSO_CLIENT_SECRET', async () => {
		const api = await listen((request, response) => response.end(request.headers.authorization));
		let authorization: string | undefined;
		const tokens = await listen((request, response) => {
			authorization = request.headers.authorization;
			json(200, good)(request, response);
		});
		const env = {SSO_CLIENT_ID: 'from the environment', SSO_CLIENT_SECRET: clientSecret};
		const gatepass = await gatepassWith(api.url, {tokenEndpoint: tokens.url}, {env});
		await gatepass.got(api.url);
		const [id = '', secret = ''] = Buffer.from(authorization?.split(' ')[1] ?? '', 'base64')
			.toString()
			.split(':');
		const decode = (text: string): string => decodeURIComponent(text.replaceAll('+', ' '));
		expect([decode(id), decode(secret)]).toEqual([env.SSO_CLIENT_ID, env.SSO_CLIENT_SECRET]);
	});

	test('a line break at the end of a variable is no part of the secret, and is told of', async () => {
		const api = await listen((request, response) => response.end(request.headers.authorization));
		let authorization: string | undefined;
		const tokens = await listen((request, response) => {
			authorization = request.headers.authorization;
			json(200, good)(request, response);
		});
		const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
		cleanUps.push(() => warned.mockRestore());
		const env = {SSO_CLIENT_ID: 'me\r\n', SSO_CLIENT_SECRET: 'canary-word\n'};
		const gatepass = await gatepassWith(api.url, {tokenEndpoint: tokens.url}, {env});
		await gatepass.got(api.url);
		await gatepass.got(api.url, {context: {gatepass: {fresh: true}}});
		expect(Buffer.from(authorization?.split(' ')[1] ?? '', 'base64').toString()).toBe('me:canary-word');
		const messages = warned.mock.calls.map(([message]) => String(message));
		expect(messages).toHaveLength(2);
		expect(messages[1]).toMatch(/^The variable SSO_CLIENT_SECRET ends with a line break/);
		expect(messages.join()).not.toContain('canary');
	});

	test.each<[Record<string, string>, Record<string, string>, RegExp]>([
		[{}, {}, /'clientId', and the variable SSO_CLIENT_ID is not set/],
		[{clientId: 'me'}, {}, /'clientSecret', and the variable SSO_CLIENT_SECRET is not set/],
		[{clientId: 'me'}, {SSO_CLIENT_SECRET: ''}, /SSO_CLIENT_SECRET is not set/],
	])('%j and %j lack something', async (options, env, message) => {
		const api = await listen((_, response) => response.end());
		const tokens = await listen(json(200, good));
		const gatepass = await gatepassWith(api.url, {tokenEndpoint: tokens.url, ...options}, {env});
		const error = await gatepass
			.got(api.url)
			.text()
			.catch(error => error);
		expect(error).toMatchObject({
			code: 'ERR_GATEPASS_CREDENTIAL_UNAVAILABLE',
			message: expect.stringMatching(message),
		});
		expect([api.requests(), tokens.requests()]).toEqual([0, 0]);
		// And it says so beforehand.
		expect((await gatepass.status())[0]).toMatchObject({
			available: false,
			detail: expect.stringMatching(message),
		});
	});

	test.each<[Record<string, string>, string]>([
		[{server: 'sso.example.org'}, 'sso.example.org'],
		[{server: 'sso.example.org:8443', realm: 'lab'}, 'sso.example.org:8443'],
	])('%j is a Keycloak server as CERN runs it', async (options, host) => {
		const gatepass = await gatepassWith('https://api.example.org', {
			clientId: 'me',
			clientSecret,
			...options,
		});
		expect((await gatepass.status())[0]?.detail).toContain(`from ${host}`);
	});
});

test('a failure is not kept: the next request tries again', async () => {
	const api = await listen((request, response) => response.end(request.headers.authorization));
	let isBroken = true;
	const tokens = await listen((request, response) => {
		json(isBroken ? 400 : 200, isBroken ? {error: 'invalid_client'} : good)(request, response);
	});
	const gatepass = await gatepassWith(api.url, {clientId: 'me', clientSecret, tokenEndpoint: tokens.url});
	await expect(gatepass.got(api.url).text()).rejects.toBeInstanceOf(TokenRequestError);
	isBroken = false;
	expect(await gatepass.got(api.url).text()).toBe('Bearer abc');
});
