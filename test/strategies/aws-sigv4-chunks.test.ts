/** Bodies that `aws-sigv4` sends in chunks: AWS's published values, and what each client sends or cannot. */
import {createHash} from 'node:crypto';
import {once} from 'node:events';
import {Readable} from 'node:stream';
import {buffer} from 'node:stream/consumers';
import {getAwsChunkedEncodingStream} from '@smithy/core/serde';
import got from 'got';
import {request} from 'undici';
import {afterEach, beforeEach, describe, expect, onTestFinished, test} from 'vitest';
import {createGatepass, type Gatepass} from '../../src/index.ts';
import {conformance} from '../../src/testing/index.ts';
import {type RecordedRequest, startServer, type TestServer} from '../../src/testing/server.ts';
import {type ChecksumName, checksumNames, startChecksum} from '../../strategies/aws-sigv4/checksums.ts';
import {encodeChunks, encodedLength} from '../../strategies/aws-sigv4/chunks.ts';
import {AwsSigv4Strategy} from '../../strategies/aws-sigv4/index.ts';
import {Signer} from '../../strategies/aws-sigv4/signing.ts';
import {failure} from '../transports/scripted-stage.ts';

const keys = {
	accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
	secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
	sessionToken: undefined,
};

describe("AWS's published example", () => {
	const time = '20130524T000000Z';
	const signer = new Signer('s3', 'us-east-1');
	const length = 65 * 1024;
	const streaming: [string, string][] = [
		['content-encoding', 'aws-chunked'],
		['host', 's3.amazonaws.com'],
		['x-amz-date', time],
		['x-amz-decoded-content-length', String(length)],
		['x-amz-storage-class', 'REDUCED_REDUNDANCY'],
	];

	function seed(hash: string, more: [string, string][]): string {
		const headers: [string, string][] = [...streaming, ['x-amz-content-sha256', hash], ...more];
		const input = {method: 'PUT', path: '/examplebucket/chunkObject.txt', query: '', headers};
		return signer.sign({...input, payloadHash: hash}, time, keys).signature;
	}

	async function encoded(signature: string, checksum?: ChecksumName): Promise<string> {
		const settings = {length, signer: signer.chunkSigner(signature, time, keys), checksum};
		// In parts that have nothing to do with the chunks.
		const body = Readable.from([Buffer.alloc(1000, 'a'), Buffer.alloc(length - 1000, 'a')]);
		return (await buffer(encodeChunks(body, settings))).toString();
	}

	test('of an upload in chunks (sigv4-streaming.html)', async () => {
		const signature = seed('STREAMING-AWS4-HMAC-SHA256-PAYLOAD', [['content-length', '66824']]);
		expect(signature).toBe('4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9');
		expect(encodedLength(length, true)).toBe(66_824);
		expect(await encoded(signature)).toBe(
			`10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n${'a'.repeat(65_536)}\r\n` +
				`400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n${'a'.repeat(1024)}\r\n` +
				'0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n',
		);
	});

	test('with a checksum behind them (sigv4-streaming-trailers.html)', async () => {
		const more: [string, string][] = [['x-amz-trailer', 'x-amz-checksum-crc32c']];
		const signature = seed('STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER', more);
		expect(signature).toBe('106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e');
		const sent = await encoded(signature, 'crc32c');
		expect(sent).toHaveLength(encodedLength(length, true, 'crc32c'));
		expect(sent).toBe(
			`10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n${'a'.repeat(65_536)}\r\n` +
				`400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n${'a'.repeat(1024)}\r\n` +
				'0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n' +
				'x-amz-checksum-crc32c:sOO8/Q==\r\n' +
				'x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n',
		);
	});
});

// The check values of the catalogue of CRC algorithms, and those of FIPS 180-4 for `abc`.
test.each([
	['crc32', '123456789', (0xcbf43926).toString(16)],
	['crc32c', '123456789', (0xe3069283).toString(16)],
	['sha1', 'abc', 'a9993e364706816aba3e25717850c26c9cd0d89d'],
	['sha256', 'abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
] as const)('%s', (name, text, digits) => {
	const sum = startChecksum(name);
	for (const character of text) sum.update(Buffer.from(character));
	expect(Buffer.from(sum.digest(), 'base64').toString('hex')).toBe(digits);
});

test.each([0, 1, 8191, 65_535, 65_536, 65_537, 131_072, 200_000])(
	'%i bytes have the length that was told',
	async length => {
		for (const checksum of [undefined, ...checksumNames]) {
			for (const signer of [undefined, new Signer('s3', 'x').chunkSigner('', '20130524T000000Z', keys)]) {
				const body = Readable.from([Buffer.alloc(length)]);
				const sent = await buffer(encodeChunks(body, {length, signer, checksum}));
				expect(sent).toHaveLength(encodedLength(length, signer !== undefined, checksum));
			}
		}
	},
);

test("without signatures, a body is sent as by AWS's own library", async () => {
	// In pieces of one chunk each: theirs has a chunk for each piece that comes.
	const pieces = [Buffer.alloc(65_536, 'a'), Buffer.alloc(65_536, 'b'), Buffer.from('the end')];
	const theirs = getAwsChunkedEncodingStream(Readable.from(pieces), {
		base64Encoder: (bytes: Uint8Array) => Buffer.from(bytes).toString('base64'),
		bodyLengthChecker: (piece: Buffer) => piece.length,
		checksumAlgorithmFn: (() => createHash('sha256')) as never,
		checksumLocationName: 'x-amz-checksum-sha256',
		streamHasher: (async (_: unknown, stream: Readable) => {
			const hash = createHash('sha256');
			stream.on('data', piece => void hash.update(piece));
			await once(stream, 'end');
			return hash.digest();
		}) as never,
	});
	const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
	const ours = encodeChunks(Readable.from(pieces), {length, signer: undefined, checksum: 'sha256'});
	expect((await buffer(ours)).equals(await buffer(theirs as Readable))).toBe(true);
});

describe('sent by', () => {
	let server: TestServer;
	let answer: (request: RecordedRequest) => {status: number; headers?: Record<string, string>};

	beforeEach(async () => {
		answer = () => ({status: 200});
		server = await startServer((incoming, response) => {
			const {status, headers = {}} = answer(incoming);
			response.writeHead(status, headers).end();
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
					{
						match: 'http://127.0.0.1:*',
						strategy: 'aws-sigv4',
						options: {service: 's3', region: 'eu-west-3', ...keys, ...options},
					},
				],
			},
		});
		onTestFinished(() => gatepass.close());
		return gatepass;
	}

	const last = (): RecordedRequest => server.requests.at(-1) as RecordedRequest;
	const crc32 = (text: string): string => {
		const sum = startChecksum('crc32');
		sum.update(Buffer.from(text));
		return sum.digest();
	};

	/** Takes a body in chunks apart, and finds it whole. */
	function decoded(body: string): {
		readonly text: string;
		readonly signatures: string[];
		readonly trailer: string;
	} {
		let text = '';
		const signatures: string[] = [];
		for (let at = 0; ; ) {
			const [head = ''] = body.slice(at).split('\r\n', 1);
			const [size = '', signature = ''] = head.split(';chunk-signature=');
			signatures.push(signature);
			at += head.length + 2;
			const bytes = Number.parseInt(size, 16);
			if (bytes === 0) return {text, signatures, trailer: body.slice(at)};
			text += body.slice(at, at + bytes);
			at += bytes + 2;
		}
	}

	const clients = {
		got: (gatepass: Gatepass, body: string) =>
			gatepass.got.put(server.url, {
				body: Readable.from([body]),
				headers: {'content-length': `${body.length}`},
			}),
		fetch: (gatepass: Gatepass, body: string) => gatepass.fetch(server.url, {method: 'PUT', body}),
		'undici.request': async (gatepass: Gatepass, body: string) => {
			const {body: read} = await request(server.url, {method: 'PUT', body, dispatcher: gatepass.dispatcher});
			await read.dump();
		},
	};

	test.each(Object.entries(clients))('%s: without signatures, and with a checksum', async (_, send) => {
		const gatepass = await gatepassWith({payload: 'streaming-unsigned'});
		await send(gatepass, 'some text');
		const {headers, body} = last();
		expect(headers).toMatchObject({
			'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
			'x-amz-trailer': 'x-amz-checksum-crc32',
			'x-amz-decoded-content-length': '9',
			'content-encoding': 'aws-chunked',
			'content-length': String(body.length),
		});
		expect(headers['transfer-encoding']).toBeUndefined();
		expect(body).toBe(`9\r\nsome text\r\n0\r\nx-amz-checksum-crc32:${crc32('some text')}\r\n\r\n`);
	});

	test.each(Object.entries(clients))('%s: each leg with signatures of its own', async (name, send) => {
		const gatepass = await gatepassWith({payload: 'streaming', checksum: 'sha256'});
		const date = new Date(Date.now() + 86_400_000).toUTCString();
		answer = () => ({status: server.requests.length === 1 ? 403 : 200, headers: {date}});
		// A stream of Node's is used up once it is sent; an iterable begins again.
		const [body, bytes] = ['x'.repeat(100_000), 100_000];
		if (name === 'got') {
			const twice = () => Readable.from([body]);
			await gatepass.got.put(server.url, {body: twice as never, headers: {'content-length': String(bytes)}});
		} else await send(gatepass, body);
		expect(server.requests).toHaveLength(2);
		const [first, second] = server.requests.map(sent => decoded(sent.body));
		expect(first?.text).toBe(body);
		expect(second?.text).toBe(body);
		expect(second?.signatures).toHaveLength(3);
		expect(first?.signatures).not.toEqual(second?.signatures);
		for (const {headers} of server.requests) expect(headers['content-encoding']).toBe('aws-chunked');
		const hash = createHash('sha256').update(body).digest('base64');
		expect(second?.trailer).toContain(`x-amz-checksum-sha256:${hash}\r\n`);
	});

	test('what the body is encoded with already is told, too', async () => {
		const gatepass = await gatepassWith({payload: 'streaming'});
		await gatepass.fetch(server.url, {method: 'PUT', body: 'x', headers: {'content-encoding': 'gzip'}});
		expect(last().headers['content-encoding']).toBe('aws-chunked,gzip');
	});

	test('a request without a body is signed as ever', async () => {
		const gatepass = await gatepassWith({payload: 'streaming'});
		await gatepass.got(server.url);
		await gatepass.got.delete(server.url);
		await gatepass.fetch(server.url);
		for (const {headers} of server.requests) {
			expect(headers['x-amz-content-sha256']).toBe(createHash('sha256').digest('hex'));
			expect(headers['content-encoding']).toBeUndefined();
		}
	});

	test('a stream that fails on its way fails the request, over got and undici', async () => {
		const gatepass = await gatepassWith({payload: 'streaming'});
		const broken = () =>
			Readable.from(
				(async function* () {
					yield 'some';
					throw new Error('the disk is gone');
				})(),
			);
		const headers = {'content-length': '100'};
		const viaGot = await failure(gatepass.got.put(server.url, {body: broken(), headers}));
		expect(viaGot.message).toContain('the disk is gone');
		const sent = {method: 'PUT', headers, dispatcher: gatepass.dispatcher, body: broken()} as const;
		expect((await failure(request(server.url, sent))).message).toContain('the disk is gone');
	});

	test('a caller who breaks off ends the stream', async () => {
		const gatepass = await gatepassWith({payload: 'streaming'});
		for (const send of ['got', 'undici'] as const) {
			const body = new Readable({read() {}});
			body.push('first');
			const controller = new AbortController();
			const headers = {'content-length': '100'};
			const closed = new Promise(resolve => body.once('close', resolve));
			body.on('error', () => {});
			const sent =
				send === 'got'
					? gatepass.got.put(server.url, {body, headers, signal: controller.signal})
					: request(server.url, {
							method: 'PUT',
							body,
							headers,
							signal: controller.signal,
							dispatcher: gatepass.dispatcher,
						});
			setImmediate(() => controller.abort());
			await failure(sent as Promise<unknown>);
			body.push('second');
			await closed;
		}
	});

	test("another client's text is signed whole, and its stream is refused", async () => {
		const gatepass = await gatepassWith({payload: 'streaming', checksum: 'crc32'});
		await using flow = await gatepass.flow(server.url, {method: 'PUT', body: 'some text'});
		expect(flow.headers).toMatchObject({
			'x-amz-content-sha256': createHash('sha256').update('some text').digest('hex'),
			'x-amz-checksum-crc32': crc32('some text'),
		});
		expect(flow.headers['content-encoding']).toBeUndefined();
		const error = await failure(gatepass.flow(server.url, {method: 'PUT', body: Readable.from(['x'])}));
		expect(error.message).toContain('which only the clients of gatepass can do');
		expect(error.message).toContain("'gatepass.fetch'");
		const whole = await gatepassWith({payload: 'streaming-unsigned'});
		const {headers} = await whole.authorize(server.url, {method: 'PUT', body: 'some text'});
		expect(headers).toMatchObject({
			'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
			'x-amz-checksum-crc32': crc32('some text'),
		});
	});

	test('what somebody is still to write needs a length', async () => {
		const gatepass = await gatepassWith({payload: 'streaming'});
		const stream = gatepass.got.stream.put(server.url);
		const error = await failure(stream.toArray());
		expect(error.message).toContain("Set 'content-length'");
		expect(server.requests).toHaveLength(0);
	});

	test.each([
		['the form query', {form: 'query'}, 'form: header'],
		['another service', {service: 'execute-api'}, 'only S3'],
		['a checksum without chunks', {payload: 'signed', checksum: 'sha1'}, 'payload: streaming'],
	])('%s is a mistake of the configuration', async (_, options, words) => {
		const error = await failure(gatepassWith({payload: 'streaming', ...options}));
		expect(error.message).toContain(words);
	});

	test('passes the conformance kit', async () => {
		for (const payload of ['streaming', 'streaming-unsigned']) {
			const options = {service: 's3', region: 'eu-west-3', ...keys, payload};
			await expect(
				conformance(AwsSigv4Strategy, {options, secrets: [keys.secretAccessKey]}),
			).resolves.toHaveLength(14);
		}
	});
});
