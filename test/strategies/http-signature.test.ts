/** `http-signature`: the examples of RFC 9421, another library's verdict, and what is sent over each client. */
import {
	constants,
	createHash,
	createHmac,
	createPrivateKey,
	createPublicKey,
	createSecretKey,
	generateKeyPairSync,
	type KeyObject,
	verify,
} from 'node:crypto';
import got from 'got';
import {createVerifier, httpbis} from 'http-message-signatures';
import {afterEach, beforeEach, describe, expect, onTestFinished, test} from 'vitest';
import {createGatepass, type Gatepass} from '../../src/index.ts';
import {conformance} from '../../src/testing/index.ts';
import {type RecordedRequest, startServer, type TestServer} from '../../src/testing/server.ts';
import {type Algorithm, signBase} from '../../strategies/http-signature/algorithms.ts';
import {
	type Component,
	type Message,
	parseComponent,
	signatureBase,
	signatureParameters,
} from '../../strategies/http-signature/components.ts';
import {HttpSignatureStrategy} from '../../strategies/http-signature/index.ts';
import {clients} from '../transports/clients.ts';
import {failure} from '../transports/scripted-stage.ts';

/** RFC 9421 appendix B.1. */
const published = {
	ed25519: `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF
-----END PRIVATE KEY-----`,
	secret: 'uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==',
	rsaPss: `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2
+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+
oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq
gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W
Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4
aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI
2wIDAQAB
-----END PUBLIC KEY-----`,
	ecc: `-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIFKbhfNZfpDsW43+0+JjUr9K+bTeuxopu653+hBaXGA7oAoGCCqGSM49
AwEHoUQDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lfw0EkjqF7xB4FivAxzic30tMM
4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END EC PRIVATE KEY-----`,
};

/** RFC 9421 appendix B.2: `test-request`. */
const fields: Record<string, string> = {
	date: 'Tue, 20 Apr 2021 02:07:55 GMT',
	'content-type': 'application/json',
	'content-digest':
		'sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:',
	'content-length': '18',
};
const message: Message = {
	method: 'POST',
	protocol: 'https:',
	authority: 'example.com',
	path: '/foo',
	search: '?param=Value&Pet=dog',
	header: name => fields[name],
};
const created = 1_618_884_473;
const parse = (names: readonly string[]): Component[] => names.map(name => parseComponent(name) as Component);

describe('RFC 9421, appendix B.2', () => {
	test('the digest of the body', () => {
		const digest = createHash('sha512').update('{"hello": "world"}').digest('base64');
		expect(`sha-512=:${digest}:`).toBe(fields['content-digest']);
	});

	test.each<[string, readonly string[], string, string, Algorithm]>([
		[
			'B.2.5, hmac-sha256',
			['date', '@authority', 'content-type'],
			'test-shared-secret',
			'pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=',
			'hmac-sha256',
		],
		[
			'B.2.6, ed25519',
			['date', '@method', '@path', '@authority', 'content-type', 'content-length'],
			'test-key-ed25519',
			'wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==',
			'ed25519',
		],
	])('%s', async (_, names, keyId, expected, algorithm) => {
		const components = parse(names);
		const base = signatureBase(message, components, signatureParameters(components, created, keyId));
		const key: KeyObject =
			algorithm === 'ed25519'
				? createPrivateKey(published.ed25519)
				: createSecretKey(Buffer.from(published.secret, 'base64'));
		expect(signBase(base, algorithm, key).toString('base64')).toBe(expected);
	});

	test.each<[string, readonly string[], string]>([
		[
			'B.2.2, some components',
			['@authority', 'content-digest', '@query-param;name="Pet"'],
			'LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==',
		],
		[
			'B.2.3, all',
			[
				'date',
				'@method',
				'@path',
				'@query',
				'@authority',
				'content-type',
				'content-digest',
				'content-length',
			],
			'bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==',
		],
	])('%s: the published signature is one of our base', (name, names, signature) => {
		const components = parse(names);
		const tag = name.startsWith('B.2.2') ? ';tag="header-example"' : '';
		const parameters = signatureParameters(components, created, 'test-key-rsa-pss') + tag;
		const base = Buffer.from(signatureBase(message, components, parameters));
		const key = createPublicKey(published.rsaPss);
		const padding = constants.RSA_PKCS1_PSS_PADDING;
		expect(verify('sha512', base, {key, padding, saltLength: 64}, Buffer.from(signature, 'base64'))).toBe(
			true,
		);
	});
});

/** RFC 9421 sections 2.2.7 and 2.2.8. */
test.each([
	['@query', '?param=value&foo=bar&baz=bat%2Dman', '"@query": ?param=value&foo=bar&baz=bat%2Dman'],
	['@query', '', '"@query": ?'],
	['@query-param;name="baz"', '?param=value&foo=bar&baz=batman&qux=', '"@query-param";name="baz": batman'],
	['@query-param;name="qux"', '?param=value&foo=bar&baz=batman&qux=', '"@query-param";name="qux": '],
	[
		'@query-param;name="var"',
		'?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something',
		'"@query-param";name="var": this%20is%20a%20big%0Amultiline%20value',
	],
	[
		'@query-param;name="bar"',
		'?var=this&bar=with+plus+whitespace',
		'"@query-param";name="bar": with%20plus%20whitespace',
	],
	['@target-uri', '?a=b', '"@target-uri": https://example.com/foo?a=b'],
	['@request-target', '?a=b', '"@request-target": /foo?a=b'],
	['@scheme', '', '"@scheme": https'],
])('%s of %s', (name, search, expected) => {
	const base = signatureBase({...message, search}, parse([name]), '()');
	expect(base).toBe(`${expected}\n"@signature-params": ()`);
});

const pem = (key: KeyObject): string => key.export({type: 'pkcs8', format: 'pem'}) as string;
const pairs: Record<Algorithm, () => {privateKey: KeyObject; publicKey: KeyObject} | undefined> = {
	ed25519: () => generateKeyPairSync('ed25519'),
	'ecdsa-p256-sha256': () => {
		const privateKey = createPrivateKey(published.ecc);
		return {privateKey, publicKey: createPublicKey(privateKey)};
	},
	'ecdsa-p384-sha384': () => generateKeyPairSync('ec', {namedCurve: 'secp384r1'}),
	'rsa-pss-sha512': () => generateKeyPairSync('rsa', {modulusLength: 2048}),
	'rsa-v1_5-sha256': () => generateKeyPairSync('rsa', {modulusLength: 2048}),
	'hmac-sha256': () => undefined,
};

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

async function gatepassWith(options: Record<string, unknown>): Promise<Gatepass> {
	const gatepass = await createGatepass({
		env: {},
		got: got.extend({retry: {limit: 0}}),
		config: {
			cache: {url: 'memory:'},
			hostRules: [
				{match: 'http://127.0.0.1:*', strategy: 'http-signature', options: {keyId: 'a "key"', ...options}},
			],
		},
	});
	onTestFinished(() => gatepass.close());
	return gatepass;
}

/** Whether another library takes a received request for signed, and the digest is that of the body. */
async function isRight(received: RecordedRequest, algorithm: Algorithm, key: KeyObject): Promise<boolean> {
	const {method, url, headers, body} = received;
	const digest = headers['content-digest'];
	if (body !== '' && digest !== undefined) {
		const [, name = '', value] = /^(sha-\d+)=:(.*):$/.exec(String(digest)) ?? [];
		if (createHash(name.replace('-', '')).update(body).digest('base64') !== value) return false;
	}
	const isMac = algorithm === 'hmac-sha256';
	return (
		(await httpbis.verifyMessage(
			{
				keyLookup: async ({keyid}) => ({
					id: String(keyid),
					algs: [algorithm],
					verify: isMac
						? async (data: Buffer, signature: Buffer) =>
								createHmac('sha256', key).update(data).digest().equals(signature)
						: createVerifier(key, algorithm as never),
				}),
			},
			{method, url: `http://${headers.host}${url}`, headers: headers as Record<string, string>},
		)) === true
	);
}

describe.each(Object.keys(pairs) as Algorithm[])('%s', algorithm => {
	test('is what another library verifies, over each client', async () => {
		const pair = pairs[algorithm]();
		const key = pair?.publicKey ?? createSecretKey(Buffer.from(published.secret, 'base64'));
		const own = pair === undefined ? {secret: published.secret} : {privateKey: pem(pair.privateKey)};
		const gatepass = await gatepassWith({...own, algorithm});
		for (const client of clients) {
			await client.send(gatepass, `${server.url}/a%20b/?x=%7E&y=a+b`, {
				method: 'POST',
				body: 'grün',
				headers: {'content-type': 'text/plain'},
			});
			await client.send(gatepass, server.url);
		}
		expect(server.requests).toHaveLength(2 * clients.length);
		for (const received of server.requests) expect(await isRight(received, algorithm, key)).toBe(true);
		const [withBody, without] = server.requests;
		expect(withBody?.headers['signature-input']).toContain('"content-digest"');
		expect(without?.headers['content-digest']).toBeUndefined();
		const changed = {...(withBody as RecordedRequest), url: '/other'};
		expect(await isRight(changed, algorithm, key).catch(() => false)).toBe(false);
	});
});

describe.each(clients.map(client => ({client, name: client.name})))('over $name', ({client}) => {
	test('each hop and each leg is signed by itself', async () => {
		const gatepass = await gatepassWith({privateKey: published.ed25519, digest: 'sha-512'});
		const key = createPublicKey(published.ed25519);
		const second = await startServer((_request, response) => {
			const isFirst = second.requests.length === 1;
			response.writeHead(isFirst ? 401 : 200, {date: new Date(Date.now() - 86_400_000).toUTCString()}).end();
		});
		onTestFinished(() => second.close());
		answer = () => ({status: 307, headers: {location: `${second.url}/moved`}});
		const {status} = await client.send(gatepass, `${server.url}/first`, {method: 'POST', body: 'body'});
		expect(status).toBe(200);
		expect(second.requests).toHaveLength(2);
		const received = [...server.requests, ...second.requests];
		for (const request of received) expect(await isRight(request, 'ed25519', key)).toBe(true);
		const times = second.requests.map(({headers}) =>
			Number(/created=(\d+)/.exec(String(headers['signature-input']))?.[1]),
		);
		expect((times[0] ?? 0) - (times[1] ?? 0)).toBeGreaterThan(86_000);
	});

	test('the components that the rule names, and the headers that they need', async () => {
		const components = ['@method', '@target-uri', 'date', 'content-digest', 'content-length'];
		const gatepass = await gatepassWith({secret: published.secret, components, label: 'mine'});
		const key = createSecretKey(Buffer.from(published.secret, 'base64'));
		await client.send(gatepass, `${server.url}/?a=b`, {method: 'POST', body: 'body'});
		await client.send(gatepass, server.url);
		const [withBody, without] = server.requests as [RecordedRequest, RecordedRequest];
		expect(withBody.headers['signature-input']).toMatch(
			/^mine=\("@method" "@target-uri" "date" "content-digest" "content-length"\);created=\d+;keyid="a \\"key\\""$/,
		);
		expect(withBody.headers['content-length']).toBe('4');
		expect(without.headers['signature-input']).toMatch(/^mine=\("@method" "@target-uri" "date"\);/);
		for (const received of server.requests) expect(await isRight(received, 'hmac-sha256', key)).toBe(true);
	});
});

test.each(["/a'b?c='d'", '/a?', '/?x=<y>|^&&z'])(
	'%s is signed to the byte as undici sends it',
	async path => {
		const components = ['@target-uri', '@path', '@query', '@request-target'];
		const gatepass = await gatepassWith({privateKey: published.ed25519, components});
		const {body} = await gatepass.dispatcher.request({origin: server.url, path, method: 'GET'});
		await body.dump();
		const {url, headers} = server.requests[0] as RecordedRequest;
		expect(url).toBe(path);
		const question = path.indexOf('?');
		const parameters = String(headers['signature-input']).replace(/^sig1=/, '');
		const base = [
			`"@target-uri": ${server.url}${path}`,
			`"@path": ${path.slice(0, question)}`,
			`"@query": ${path.slice(question)}`,
			`"@request-target": ${path}`,
			`"@signature-params": ${parameters}`,
		].join('\n');
		const signature = Buffer.from(/^sig1=:(.*):$/.exec(String(headers.signature))?.[1] ?? '', 'base64');
		expect(verify(null, Buffer.from(base), createPublicKey(published.ed25519), signature)).toBe(true);
	},
);

test('a stream is sent as it comes where the body is left out', async () => {
	const gatepass = await gatepassWith({privateKey: published.ed25519, digest: 'none'});
	const stream = gatepass.got.stream.put(server.url);
	stream.end('written');
	await new Promise((resolve, reject) => stream.resume().on('end', resolve).on('error', reject));
	expect(server.requests[0]?.body).toBe('written');
	expect(server.requests[0]?.headers['content-digest']).toBeUndefined();
});

test('what is to be signed and is not there is an error, before anything is sent', async () => {
	const gatepass = await gatepassWith({
		privateKey: published.ed25519,
		components: ['x-request-id', '@query-param;name="page"'],
	});
	expect((await failure(gatepass.got(server.url))).message).toContain("has no header 'x-request-id'");
	const headers = {'x-request-id': '1'};
	expect((await failure(gatepass.got(server.url, {headers}))).message).toContain("no parameter 'page'");
	const twice = await failure(gatepass.got(`${server.url}/?page=1&page=2`, {headers}));
	expect(twice.message).toContain('more than once');
	expect(server.requests).toHaveLength(0);
	await gatepass.got(`${server.url}/?page=1`, {headers});
	expect(
		await isRight(server.requests[0] as RecordedRequest, 'ed25519', createPublicKey(published.ed25519)),
	).toBe(true);
});

test.each<[string, Record<string, unknown>, string]>([
	['no key', {}, "'privateKey' or 'secret'"],
	['two keys', {privateKey: published.ed25519, secret: published.secret}, "'privateKey' or 'secret'"],
	['what is no key', {privateKey: 'not-a-key-at-all'}, 'no private key'],
	['a public key', {privateKey: published.rsaPss}, 'no private key'],
	['an algorithm of another key', {privateKey: published.ed25519, algorithm: 'rsa-pss-sha512'}, 'ed25519'],
	['a secret for a private key', {secret: published.secret, algorithm: 'ed25519'}, 'hmac-sha256'],
	['a secret that is no base64', {secret: 'not base64, never!'}, 'base64'],
	['a short secret', {secret: 'c2hvcnQ='}, 'guessed'],
	['an unknown component', {privateKey: published.ed25519, components: ['@body']}, '@method'],
	['a component twice', {privateKey: published.ed25519, components: ['date', '"date"']}, 'twice'],
	[
		'a digest that is left out and signed',
		{privateKey: published.ed25519, components: ['content-digest'], digest: 'none'},
		'content-digest',
	],
])('%s is a mistake of the configuration', async (_, options, words) => {
	const error = await failure(gatepassWith(options));
	expect(error.message).toContain(words);
	for (const secret of ['not-a-key-at-all', 'never!', 'c2hvcnQ=', 'J+DYvh6'])
		expect(error.message).not.toContain(secret);
});

test('passes the conformance kit', async () => {
	const options = {keyId: 'k', secret: published.secret};
	await expect(conformance(HttpSignatureStrategy, {options})).resolves.toHaveLength(14);
	const signing = {keyId: 'k', privateKey: published.ed25519};
	await expect(conformance(HttpSignatureStrategy, {options: signing})).resolves.toHaveLength(14);
});
