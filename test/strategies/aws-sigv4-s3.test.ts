/** `aws-sigv4` before a real S3 that verifies signatures: Ceph's. */
import {createReadStream} from 'node:fs';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {createServer, request as send} from 'node:http';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Readable} from 'node:stream';
import {pipeline} from 'node:stream/promises';
import got from 'got';
import {request} from 'undici';
import {afterAll, beforeAll, expect, onTestFinished, test} from 'vitest';
import {createGatepass, type Gatepass} from '../../src/index.ts';
import {secret, startProxy} from '../serve/start-proxy.ts';
import {describeWith} from '../servers/availability.ts';
import {type Radosgw, radosgw, startRadosgw} from '../servers/radosgw.ts';
import {clients} from '../transports/clients.ts';
import {failure} from '../transports/scripted-stage.ts';

describeWith(radosgw, 'aws-sigv4, with a real S3', () => {
	let server: Radosgw;
	let bucket: string;

	beforeAll(async () => {
		server = await startRadosgw();
		bucket = `${server.url}/bucket`;
		const gatepass = await open();
		await gatepass.got.put(bucket);
		await gatepass.close();
	});
	afterAll(() => server?.close());

	async function open(options: Record<string, unknown> = {}): Promise<Gatepass> {
		return createGatepass({
			env: {},
			got: got.extend({retry: {limit: 0}, throwHttpErrors: false}),
			config: {
				cache: {url: 'memory:'},
				hostRules: [
					{
						match: 'http://127.0.0.1:*',
						strategy: 'aws-sigv4',
						options: {service: 's3', region: 'default', ...server.keys, ...options},
					},
				],
			},
		});
	}

	async function gatepassWith(options: Record<string, unknown> = {}): Promise<Gatepass> {
		const gatepass = await open(options);
		onTestFinished(() => gatepass.close());
		return gatepass;
	}

	/** What the server has, read with a signature of the usual kind. */
	async function stored(key: string): Promise<string> {
		const gatepass = await gatepassWith();
		const {statusCode, body} = await gatepass.got(`${bucket}/${key}`, {decompress: false});
		return statusCode === 200 ? body : `${statusCode} ${body}`;
	}

	test.each(['header', 'query'])('refuses a wrong key in the form %s, so that it does verify', async form => {
		const gatepass = await gatepassWith({form, secretAccessKey: 'another'});
		const {statusCode, body} = await gatepass.got(bucket);
		expect(statusCode).toBe(403);
		expect(body).toContain('<Code>SignatureDoesNotMatch</Code>');
	});

	test.each(clients.map(client => ({client, name: client.name})))(
		'takes what is signed over $name, in both forms and with and without the body',
		async ({client}) => {
			for (const options of [
				{form: 'header'},
				{form: 'query'},
				{form: 'header', payload: 'unsigned'},
				{form: 'header', payload: 'streaming'},
			]) {
				const gatepass = await gatepassWith(options);
				// A form of S3's own that is posted: to delete several objects, which asks for a digest of the body.
				const {status, body} = await client.send(gatepass, `${bucket}?list-type=2&prefix=a%2Fb&delimiter=/`);
				expect(body).toContain('<ListBucketResult');
				expect(status).toBe(200);
				const posted = {method: 'POST', body: 'grün', headers: {'content-type': 'text/plain'}} as const;
				const started = await client.send(gatepass, `${bucket}/parts?uploads`, {
					...posted,
					body: '',
				});
				expect(started.status).toBe(200);
				expect(started.body).toContain('<UploadId>');
			}
		},
	);

	const keys = [
		'a b',
		'a%20b',
		'a//b',
		'/a',
		'a/',
		'a/../b',
		'./x',
		'%2Fx',
		'a%2fb%2F',
		'grün€',
		'%F0%9F%94%91',
		'a+b',
		'a%2Bb',
		"it's(1)!*",
		'100%25',
		'~t-_.',
		'a;b=c,d',
		'a%3Fb%26c',
		'@$[x]|y',
		'a:b',
	];

	test.each(['header', 'query'])('takes odd keys in the form %s, each as a key of its own', async form => {
		const gatepass = await gatepassWith({form});
		for (const key of keys) {
			const {statusCode, body} = await gatepass.got.put(`${bucket}/odd/${key}`, {body: `of ${key}`});
			expect(`${key}: ${statusCode} ${body}`).toBe(`${key}: 200 `);
			expect(await stored(`odd/${key}`)).toBe(`of ${key}`);
		}
		const undici = await request(`${bucket}/odd/a//b?response-content-type=text%2Fx&x=&y`, {
			dispatcher: gatepass.dispatcher,
		});
		expect(undici.statusCode).toBe(200);
		expect(undici.headers['content-type']).toBe('text/x');
		await undici.body.dump();
	});

	test("headers of the caller's are signed as they are sent", async () => {
		const gatepass = await gatepassWith();
		const headers = {'x-amz-meta-note': '  some   note ', 'content-type': 'text/plain; charset=utf-8'};
		const {statusCode} = await gatepass.got.put(`${bucket}/noted`, {body: 'x', headers});
		expect(statusCode).toBe(200);
		const answer = await gatepass.fetch(`${bucket}/noted`);
		expect(answer.headers.get('x-amz-meta-note')).toBe('some   note');
		expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8');
	});

	test('temporary keys are signed with, and refused without their token', async () => {
		const {withSessions} = server;
		const administrator = await gatepassWith({service: 'sts'});
		const statement = {Effect: 'Allow', Action: ['sts:GetSessionToken'], Resource: ['*']};
		const policy = JSON.stringify({Version: '2012-10-17', Statement: [statement]});
		const ask = (form: Record<string, string>) => administrator.got.post(`${withSessions}/`, {form});
		const allowed = await ask({
			Action: 'PutUserPolicy',
			UserName: 'tester',
			PolicyName: 'sessions',
			PolicyDocument: policy,
		});
		expect(allowed.statusCode).toBe(200);
		const {body} = await ask({Action: 'GetSessionToken', DurationSeconds: '900'});
		const named = (name: string): string => new RegExp(`<${name}>([^<]+)<`).exec(body)?.[1] ?? '';
		const temporary = {accessKeyId: named('AccessKeyId'), secretAccessKey: named('SecretAccessKey')};
		const sessionToken = named('SessionToken');
		expect(sessionToken).not.toBe('');
		for (const form of ['header', 'query']) {
			const gatepass = await gatepassWith({...temporary, sessionToken, form});
			const put = await gatepass.got.put(`${withSessions}/bucket/of-session`, {body: form});
			expect(put.statusCode).toBe(200);
			expect(await stored('of-session')).toBe(form);
			const without = await gatepassWith({...temporary, form});
			expect((await without.got(`${withSessions}/bucket/of-session`)).statusCode).toBe(403);
		}
		const streaming = await gatepassWith({...temporary, sessionToken, payload: 'streaming'});
		const put = await streaming.got.put(`${withSessions}/bucket/of-session`, {body: 'in chunks'});
		expect(put.statusCode).toBe(200);
		expect(await stored('of-session')).toBe('in chunks');
	});

	/** Nothing that begins and ends with a chunk: three and a bit, in parts of all sizes. */
	const text = Array.from({length: 20_000}, (_, index) => `line ${index}\n`).join('');
	const parts = (): string[] => {
		const cuts = [0, 1, 100, 65_535, 65_536, 70_000, 200_000];
		return cuts.map((from, index) => text.slice(from, cuts[index + 1]));
	};
	const length = String(text.length);

	test('a stream is signed in chunks as it is sent, over each client', async () => {
		const gatepass = await gatepassWith({payload: 'streaming'});
		const headers = {'content-length': length};
		const viaGot = await gatepass.got.put(`${bucket}/got`, {body: Readable.from(parts()), headers});
		expect(`${viaGot.statusCode} ${viaGot.body}`).toBe('200 ');
		expect(await stored('got')).toBe(text);

		const written = gatepass.got.stream.put(`${bucket}/got-stream`, {headers});
		await Promise.all([pipeline(Readable.from(parts()), written), written.resume().toArray()]);
		expect(await stored('got-stream')).toBe(text);

		const viaUndici = await request(`${bucket}/undici`, {
			method: 'PUT',
			dispatcher: gatepass.dispatcher,
			body: Readable.from(parts()),
			headers,
		});
		expect(`${viaUndici.statusCode} ${await viaUndici.body.text()}`).toBe('200 ');
		expect(await stored('undici')).toBe(text);

		const encoder = new TextEncoder();
		const viaFetch = await gatepass.fetch(`${bucket}/fetch`, {
			method: 'PUT',
			body: ReadableStream.from(parts().map(part => encoder.encode(part))),
			duplex: 'half',
			headers,
		} as RequestInit);
		expect(`${viaFetch.status} ${await viaFetch.text()}`).toBe('200 ');
		expect(await stored('fetch')).toBe(text);
	});

	test('a file needs no length, nor does what is in memory', async () => {
		const folder = await mkdtemp(join(tmpdir(), 'gatepass-s3-'));
		onTestFinished(() => rm(folder, {recursive: true, force: true}));
		const file = join(folder, 'file');
		await writeFile(file, text);
		const gatepass = await gatepassWith({payload: 'streaming'});
		const whole = await gatepass.got.put(`${bucket}/file`, {body: createReadStream(file)});
		expect(whole.statusCode).toBe(200);
		expect(await stored('file')).toBe(text);
		const part = createReadStream(file, {start: 10, end: 99_999});
		expect((await gatepass.got.put(`${bucket}/part`, {body: part})).statusCode).toBe(200);
		expect(await stored('part')).toBe(text.slice(10, 100_000));
		for (const body of [text, new Blob([text]), new TextEncoder().encode(text)]) {
			expect((await gatepass.fetch(`${bucket}/memory`, {method: 'PUT', body})).status).toBe(200);
			expect(await stored('memory')).toBe(text);
		}
		// Nobody knows how long it will be, so it is read and signed whole.
		const unknown = await gatepass.got.put(`${bucket}/unknown`, {body: Readable.from(parts())});
		expect(unknown.statusCode).toBe(200);
		expect(await stored('unknown')).toBe(text);
		expect((await gatepass.got.put(`${bucket}/empty`, {body: ''})).statusCode).toBe(200);
		expect(await stored('empty')).toBe('');
	});

	test('gatepass serve signs what any program uploads, in chunks', async () => {
		const proxy = await startProxy({
			hostRules: [
				{
					match: server.url,
					strategy: 'aws-sigv4',
					options: {service: 's3', region: 'default', ...server.keys, payload: 'streaming'},
				},
			],
			serve: {routes: {'/s3': server.url}},
		});
		onTestFinished(() => proxy.close());
		const long = text.repeat(20);
		for (const body of [text, long]) {
			const {status} = await fetch(`${proxy.url}/s3/bucket/served`, {
				method: 'PUT',
				body,
				headers: {authorization: `Bearer ${secret}`},
			});
			expect(status).toBe(200);
			expect(await stored('served')).toBe(body);
		}
	});

	test('a chunk that is changed on its way is refused: the server verifies each', async () => {
		let meddles = false;
		const meddler = createServer((incoming, outgoing) => {
			const {hostname, port} = new URL(server.url);
			const onward = send({
				hostname,
				port,
				path: incoming.url,
				method: incoming.method,
				headers: incoming.headers,
			});
			let seen = 0;
			incoming.on('data', (chunk: Buffer) => {
				// One byte in the third chunk.
				const at = 150_000 - seen;
				if (meddles && at >= 0 && at < chunk.length) chunk[at] = (chunk[at] ?? 0) ^ 1;
				seen += chunk.length;
				onward.write(chunk);
			});
			incoming.on('end', () => onward.end());
			onward.on('response', answer => {
				outgoing.writeHead(answer.statusCode ?? 0, answer.headers);
				answer.pipe(outgoing);
			});
			onward.on('error', () => outgoing.destroy());
		});
		await new Promise<void>(resolve => meddler.listen(0, '127.0.0.1', resolve));
		onTestFinished(() => void meddler.close());
		const {port} = meddler.address() as {port: number};
		const gatepass = await gatepassWith({payload: 'streaming'});
		const url = `http://127.0.0.1:${port}/bucket`;
		expect((await gatepass.got.put(`${url}/passed`, {body: text})).statusCode).toBe(200);
		meddles = true;
		const answer = await gatepass.got.put(`${url}/meddled`, {body: text});
		expect(answer.statusCode).toBeGreaterThanOrEqual(400);
		expect(await stored('meddled')).toContain('NoSuchKey');
	});

	test('what is shorter or longer than its length is no request: the error says so', async () => {
		const gatepass = await gatepassWith({payload: 'streaming'});
		for (const [said, word] of [
			[text.length + 1, 'has only'],
			[text.length - 1, 'has more'],
		] as const) {
			const headers = {'content-length': String(said)};
			const viaGot = await failure(
				gatepass.got.put(`${bucket}/wrong`, {body: Readable.from(parts()), headers}),
			);
			expect(viaGot.message).toContain(word);
			const sent = {method: 'PUT', dispatcher: gatepass.dispatcher, headers} as const;
			const viaUndici = await failure(request(`${bucket}/wrong`, {...sent, body: Readable.from(parts())}));
			expect(viaUndici.message).toContain(word);
		}
		expect(await stored('wrong')).toContain('NoSuchKey');
	});
});
