/**
 * Revocation lists that are made to waste time and memory. They come from the network, and until their signature is known
 * to be right, anybody may have made them.
 */
import {createPrivateKey, sign} from 'node:crypto';
import {readFile} from 'node:fs/promises';
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import {afterAll, beforeAll, describe, expect, onTestFinished, test} from 'vitest';
import {parseRevocationList} from '../../src/trust/revocation-list.ts';
import {cpuOf, turnsDuring} from '../cpu-time.ts';
import {describeWith} from '../servers/availability.ts';
import {opensslServer} from '../servers/openssl-server.ts';
import {createPki, type Holder, type Pki} from './pki.ts';
import {gatepassFor, grid, newFolder, outcome} from './stage.ts';

const size = 60_000_000;
/** Milliseconds of CPU: more than twenty times what any of these takes. To read each byte of one as an element takes more. */
const mostCpu = 1500;
const mostBytes = 200_000_000;

function der(tag: number, ...parts: Buffer[]): Buffer {
	const content = Buffer.concat(parts);
	const length = Buffer.alloc(4);
	length.writeUInt32BE(content.length);
	return Buffer.concat([Buffer.of(tag, 0x84), length, content]);
}

const algorithm = der(0x30, der(6, Buffer.from('2a864886f70d01010b', 'hex')), Buffer.of(5, 0));
/** CN=ca */
const issuer = Buffer.from('300d310b300906035504030c026361', 'hex');
const time = der(0x17, Buffer.from('260101000000Z'));
const signature = der(3, Buffer.alloc(257));
const list = (...fields: Buffer[]): Buffer =>
	der(0x30, der(0x30, algorithm, ...fields), algorithm, signature);

/** So many elements of two bytes each. */
const crumbs = Buffer.alloc(size, Buffer.of(5, 0));
const nested = (): Buffer => {
	// Each element holds all that follow.
	const bytes = Buffer.alloc(size);
	for (let at = 0; at + 6 <= size; at += 6) {
		bytes.writeUInt16BE(0x3084, at);
		bytes.writeUInt32BE(size - at - 6, at + 2);
	}
	return bytes;
};
const identifier = (text: string): Buffer => der(6, Buffer.from(text, 'hex'));
const extensions = (...all: Buffer[]): Buffer => der(0xa0, der(0x30, ...all));
const idp = '551d1c';

const shapes: readonly [string, () => Buffer][] = [
	['beside the list', () => der(0x30, der(0x30, algorithm, issuer, time), algorithm, signature, crumbs)],
	['among its fields', () => list(issuer, time, crumbs)],
	[
		'in its algorithm',
		() => der(0x30, der(0x30, der(0x30, crumbs), issuer, time), der(0x30, crumbs), signature),
	],
	['in its issuer', () => list(der(0x30, crumbs), time)],
	['as its time', () => list(issuer, der(0x17, crumbs))],
	['as its entries', () => list(issuer, time, der(0x30, crumbs))],
	[
		'as entries that are right',
		() => list(issuer, time, der(0x30, Buffer.alloc(size, Buffer.of(0x30, 3, 2, 1, 5)))),
	],
	['as its extensions', () => list(issuer, time, extensions(crumbs))],
	['in an extension', () => list(issuer, time, extensions(der(0x30, identifier('551d14'), crumbs)))],
	[
		'as the identifier of one',
		() => list(issuer, time, extensions(der(0x30, der(6, Buffer.alloc(size, 0x81))))),
	],
	[
		'in its distribution point',
		() => list(issuer, time, extensions(der(0x30, identifier(idp), der(4, der(0x30, crumbs))))),
	],
	['one in another', () => list(issuer, time, nested())],
	['nothing but that', nested],
	[
		'lines of PEM',
		() =>
			Buffer.concat([
				Buffer.from('-----BEGIN X509 CRL-----'),
				Buffer.alloc(size, '\n'),
				Buffer.from('-----END X509 CRL-----'),
			]),
	],
	[
		'half lines of PEM',
		() => Buffer.concat([Buffer.from('-----BEGIN X509 CRL-----\n'), Buffer.alloc(size, 'A\n')]),
	],
	['blocks of PEM', () => Buffer.alloc(size, '-----BEGIN A-----\n-----END A-----\n')],
	['beginnings of PEM', () => Buffer.alloc(size, '-----BEGIN X509 CRL-----\n')],
	['UTF-16', () => Buffer.concat([Buffer.of(0xff, 0xfe), Buffer.alloc(size, '-\0')])],
];

let pki: Pki;
let ca: Holder;
beforeAll(async () => {
	pki = await createPki();
	ca = await pki.authority('ca', '/CN=ca');
});
afterAll(() => pki?.close());

describeWith(opensslServer, 'a list of 60 MB that nobody signed is refused in no time', () => {
	describe.each(shapes)('%s', (_, make) => {
		test('by itself', async () => {
			const authority = await ca.read();
			const bytes = make();
			expect(bytes.length).toBeGreaterThanOrEqual(size - 40);
			const before = process.memoryUsage().rss;
			const spent = await cpuOf(async () => {
				try {
					expect(await parseRevocationList(bytes).verify(authority)).toBe(false);
				} catch (error) {
					expect((error as Error).message).toMatch(/^holds /);
				}
			});
			expect(spent).toBeLessThan(mostCpu);
			expect(process.memoryUsage().rss - before).toBeLessThan(mostBytes);
		});
	});

	test('as it is fetched, and the request goes on', async () => {
		const bytes = list(issuer, time, crumbs);
		const server = createServer((_, response) => void response.end(bytes));
		await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
		onTestFinished(() => void server.close());
		const folder = await newFolder();
		await folder.put(grid, 'crl_url', `http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
		const gatepass = await gatepassFor(folder.path);
		const {longest} = await turnsDuring(async () => expect(await outcome(gatepass)).toBe(200));
		expect(longest).toBeLessThan(mostCpu);
	});
});

describeWith(opensslServer, 'a list of 60 MB that its CA signed', () => {
	test('is verified while other work goes on', async () => {
		const count = 1_700_000;
		const entry = Buffer.from(
			`302102105f${'00'.repeat(15)}170d${Buffer.from('260101000000Z').toString('hex')}`,
			'hex',
		);
		const entries = Buffer.alloc(count * entry.length, entry);
		for (let at = 0; at < count; at++) entries.writeUInt32BE(at, at * entry.length + 8);
		const ecdsa = der(0x30, der(6, Buffer.from('2a8648ce3d040302', 'hex')));
		const content = der(0x30, ecdsa, issuer, time, der(0x30, entries));
		const key = createPrivateKey(await readFile(ca.key));
		const signed = der(3, Buffer.of(0), sign('sha256', content, key));
		const authority = await ca.read();
		const bytes = der(0x30, content, ecdsa, signed);
		const parsed = parseRevocationList(bytes);
		const turns = await turnsDuring(async () => expect(await parsed.verify(authority)).toBe(true));
		// As much as one list may hold things up.
		expect(turns.longest).toBeLessThan(mostCpu / 2);
		const spent = await cpuOf(() => {
			expect(parsed.size).toBe(count);
			expect(parsed.revokes(authority)).toBe(false);
		});
		expect(spent).toBeLessThan(mostCpu);
	});
});
