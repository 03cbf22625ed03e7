/** Which CA certificates verify which server, and CA files that cannot be used. */
import {X509Certificate} from 'node:crypto';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {getCACertificates} from 'node:tls';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test} from 'vitest';
import type {TrustEntry} from '../../src/config/configuration.ts';
import {CertificateError} from '../../src/errors.ts';
import {parsePattern} from '../../src/host-rules/pattern.ts';
import {createGatepass} from '../../src/index.ts';
import {createTestAuthority, startMtlsServer, type TestAuthority} from '../../src/testing/index.ts';
import {TrustStores} from '../../src/trust/trust-stores.ts';

let authority: TestAuthority;
let other: TestAuthority;
let ca: string;
let otherCa: string;
let folder: string;

beforeAll(async () => {
	[authority, other] = await Promise.all([createTestAuthority(), createTestAuthority('another CA')]);
	ca = readFileSync(authority.ca, 'utf8');
	otherCa = readFileSync(other.ca, 'utf8');
});
afterAll(() => Promise.all([authority.close(), other.close()]));
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), 'gatepass-trust-'));
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

function entry(match: string, files: readonly string[] = [], only = false): TrustEntry {
	return {patterns: [parsePattern(match)], files, only, source: `trust of ${match}`} as TrustEntry;
}

function write(name: string, content: string | Buffer): string {
	const file = join(folder, name);
	writeFileSync(file, content);
	return file;
}

/** The certificates of a trust store over one file with this content. */
function certificatesIn(content: string | Buffer, only = true): readonly string[] {
	const sets = new TrustStores([entry('*', [write('ca.pem', content)], only)]);
	return sets.find(new URL('https://any.example'))?.certificates() ?? [];
}

test('the most specific entry wins, as with rules, and the later of two that are equal', () => {
	const sets = new TrustStores(
		['*', '*.example.org', 'a.example.org', 'a.example.org/x', 'A.example.org', '*:8443'].map(match =>
			entry(match),
		),
	);
	const sourceFor = (url: string) => sets.find(new URL(url))?.source;
	expect(sourceFor('https://a.example.org/')).toBe('trust of A.example.org');
	expect(sourceFor('https://a.example.org/x/y')).toBe('trust of a.example.org/x');
	expect(sourceFor('https://b.a.example.org/')).toBe('trust of *.example.org');
	expect(sourceFor('https://example.net/')).toBe('trust of *');
	expect(sourceFor('https://example.net:8443/')).toBe('trust of *:8443');
	expect(sourceFor('https://example.net:9443/')).toBeUndefined();
	expect(new TrustStores([]).find(new URL('https://example.net/'))).toBeUndefined();
});

test('one entry with several patterns is one trust store, so that connections are shared', () => {
	const sets = new TrustStores([
		{...entry('a.example.org'), patterns: [parsePattern('a.example.org'), parsePattern('b.example.org')]},
	]);
	expect(sets.find(new URL('https://a.example.org'))).toBe(sets.find(new URL('https://b.example.org')));
});

test("its certificates come besides the system's, unless 'only' leaves those out", () => {
	const common = new Set([...getCACertificates('default'), ...getCACertificates('system')]);
	expect(certificatesIn(ca)).toEqual([ca]);
	expect(certificatesIn(ca, false)).toEqual([ca, ...common]);
	const sets = new TrustStores([entry('*', [write('a.pem', ca), write('b.pem', otherCa)], true)]);
	expect(sets.find(new URL('https://any.example'))?.certificates()).toEqual([ca, otherCa]);
});

test.each<[string, () => string | Buffer, number]>([
	['several in one file', () => ca + otherCa, 2],
	['text around them', () => `# our CA\nsubject=CN=x\n${ca}\nissuer=CN=x\n${otherCa}`, 2],
	['Windows line ends', () => ca.replaceAll('\n', '\r\n'), 1],
	['a byte order mark', () => `\uFEFF${ca}`, 1],
	['one in DER', () => new X509Certificate(ca).raw, 1],
	['one several times', () => ca + otherCa + ca, 2],
])('%s', (_, content, count) => {
	expect(certificatesIn(content())).toHaveLength(count);
});

describe('a CA file that cannot be used is told when it is needed', () => {
	test.each<[string, () => string | Buffer, RegExp]>([
		['empty', () => '', /holds no certificate\./],
		[
			'a key',
			() => '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n',
			/holds no certificate\./,
		],
		['binary', () => Buffer.alloc(5000, 0x80), /holds no certificate\./],
		['cut off', () => ca.slice(0, ca.length / 2), /damaged or cut off/],
		['the second of two cut off', () => ca + otherCa.slice(0, otherCa.length / 2), /damaged or cut off/],
		['damaged', () => ca.replace(/\n[A-Za-z0-9+/]{20}/, '\n!!!!!!!!!!!!!!!!!!!!'), /damaged or cut off/],
		[
			'one that is none',
			() => '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
			/damaged or cut off/,
		],
	])('%s', (_, content, message) => {
		const attempt = () => certificatesIn(content());
		expect(attempt).toThrow(CertificateError);
		expect(attempt).toThrow(message);
		expect(attempt).toThrow(join(folder, 'ca.pem'));
	});

	test('gone since the configuration was checked', () => {
		const sets = new TrustStores([entry('*', [join(folder, 'none.pem')])]);
		expect(() => sets.find(new URL('https://any.example'))?.certificates()).toThrow(
			/none\.pem does not exist\. Name another under 'trust'/,
		);
	});

	test('is read again once it is fixed', () => {
		const file = write('ca.pem', '');
		const trust = new TrustStores([entry('*', [file], true)]).find(new URL('https://any.example'));
		expect(() => trust?.certificates()).toThrow(CertificateError);
		writeFileSync(file, ca);
		expect(trust?.certificates()).toHaveLength(1);
	});
});

describe('on a real connection', () => {
	async function requestTo(trust: object[] | undefined, url: string) {
		const gatepass = await createGatepass({
			config: {cache: {url: 'memory:'}, trust: trust as never},
			cwd: folder,
			env: {},
		});
		onTestFinished(() => gatepass.close());
		return gatepass.got(url, {retry: {limit: 0}}).catch(error => error);
	}

	test('the entry decides whether the server is believed, also without a rule', async () => {
		const server = await startMtlsServer();
		onTestFinished(() => server.close());
		const wrong = write('wrong.pem', otherCa);
		// Whoever got so far as to be asked for a client certificate has believed the server.
		const believed = /refused the client certificate/;
		const doubted = /cannot be trusted/;
		for (const [trust, expected] of [
			[undefined, /certificate/],
			[[{match: server.url, ca: server.ca}], believed],
			[[{match: server.url, ca: server.ca, only: true}], believed],
			[[{match: server.url, ca: wrong}], doubted],
			[[{match: server.url, ca: [wrong, server.ca]}], believed],
			[
				[
					{match: '*:*', ca: wrong},
					{match: server.url, ca: server.ca},
				],
				believed,
			],
			[
				[
					{match: '*:*', ca: server.ca},
					{match: server.url, ca: wrong},
				],
				doubted,
			],
			[[{match: 'elsewhere.example.org', ca: server.ca}], /certificate/],
		] as const) {
			expect((await requestTo(trust as object[] | undefined, server.url)).message).toMatch(expected);
		}
	});

	test('a broken CA file fails what is asked for once, whichever the client, and leaves no rejection behind', async () => {
		const unhandled: unknown[] = [];
		const note = (reason: unknown): void => void unhandled.push(reason);
		process.on('unhandledRejection', note);
		onTestFinished(() => void process.off('unhandledRejection', note));
		const file = write('ca.pem', 'nothing');
		const url = 'https://127.0.0.1:4443/';
		await using gatepass = await createGatepass({
			config: {
				cache: {url: 'memory:'},
				trust: [{match: '*:*', ca: file}],
				hostRules: [{match: url, strategy: 'static-token', options: {token: 'CANARY'}}],
			},
		});
		for (const asked of [
			() => gatepass.authorize(url),
			() => gatepass.flow(url),
			() => gatepass.got(url, {retry: {limit: 0}}),
			() => gatepass.fetch(url),
		]) {
			const error = await asked().then(
				() => expect.unreachable(),
				(reason: unknown) => reason,
			);
			expect(`${error} ${(error as Error).cause}`).toContain(file);
			// Rejections that nobody handles are told of once all that is due at once is done.
			await new Promise(resolve => setTimeout(resolve));
		}
		expect(unhandled).toEqual([]);
	});

	test('a broken CA file fails the request with its name', async () => {
		const file = write('ca.pem', 'nothing');
		const error = await requestTo([{match: '*:*', ca: file}], 'https://127.0.0.1:1/');
		expect(error).toBeInstanceOf(CertificateError);
		expect(error.message).toContain(file);
	});
});
