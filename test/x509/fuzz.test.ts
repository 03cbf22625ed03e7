/**
 * The loaders read whatever lies on a disk: real files with bytes changed, cut out, put in, and put together anyhow.
 * Only our own errors may come, in bounded time, and nothing in them may show a key.
 */
import {createPrivateKey, type KeyObject, X509Certificate} from 'node:crypto';
import {readFileSync} from 'node:fs';
import fc from 'fast-check';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {GatepassError} from '../../src/errors.ts';
import {parseCertificates} from '../../src/x509/certificates.ts';
import {policiesOf} from '../../src/x509/extensions.ts';
import {formsOf} from '../../src/x509/form.ts';
import {kindOf} from '../../src/x509/kind.ts';
import {rfc2253Subject, slashIssuer} from '../../src/x509/names.ts';
import {orderChain} from '../../src/x509/own-chain.ts';
import {readPkcs12} from '../../src/x509/pkcs12.ts';
import {isEncryptedKey, openPrivateKey, parsePrivateKey} from '../../src/x509/private-keys.ts';
import {proxyInfoOf} from '../../src/x509/proxy.ts';
import {cpuOf} from '../cpu-time.ts';
import {describeWith} from '../servers/availability.ts';
import {createGridPki, type GridPki} from '../servers/grid-pki.ts';
import {opensslServer} from '../servers/openssl-server.ts';

const passphrase = 'canary';
/** Milliseconds of CPU for one call: the most rounds that are taken need two seconds; without a bound, they would need hours. */
const longestCall = 60_000;

/** One change to a file. Places are fractions of its length. */
type Change =
	| {readonly kind: 'set'; readonly at: number; readonly byte: number}
	| {readonly kind: 'flip'; readonly at: number; readonly bit: number}
	| {readonly kind: 'cut'; readonly at: number; readonly length: number}
	| {readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array}
	| {readonly kind: 'end'; readonly at: number};

/** Evenly spread: by itself fast-check prefers the ends, where a change leaves nothing to read. */
const at = fc.noBias(fc.nat(1_000_000)).map(number => number / 1_000_001);
const change: fc.Arbitrary<Change> = fc.oneof(
	{
		weight: 6,
		arbitrary: fc.record({
			kind: fc.constant('set' as const),
			at,
			byte: fc.noBias(fc.integer({min: 0, max: 255})),
		}),
	},
	{weight: 6, arbitrary: fc.record({kind: fc.constant('flip' as const), at, bit: fc.nat(7)})},
	{
		weight: 1,
		arbitrary: fc.record({kind: fc.constant('cut' as const), at, length: fc.integer({min: 1, max: 64})}),
	},
	{
		weight: 1,
		arbitrary: fc.record({
			kind: fc.constant('insert' as const),
			at,
			bytes: fc.uint8Array({minLength: 1, maxLength: 32}),
		}),
	},
	{weight: 1, arbitrary: fc.record({kind: fc.constant('end' as const), at})},
);

function changed(original: Buffer, changes: readonly Change[]): Buffer {
	let bytes = Buffer.from(original);
	for (const step of changes) {
		const index = Math.min(Math.floor(step.at * bytes.length), Math.max(bytes.length - 1, 0));
		switch (step.kind) {
			case 'set':
				if (bytes.length > 0) bytes[index] = step.byte;
				break;
			case 'flip':
				if (bytes.length > 0) bytes[index] = (bytes[index] as number) ^ (1 << step.bit);
				break;
			case 'cut':
				bytes = Buffer.concat([bytes.subarray(0, index), bytes.subarray(index + step.length)]);
				break;
			case 'insert':
				bytes = Buffer.concat([bytes.subarray(0, index), step.bytes, bytes.subarray(index)]);
				break;
			case 'end':
				bytes = bytes.subarray(0, index);
				break;
		}
	}
	return bytes;
}

describeWith(opensslServer, 'changed files', () => {
	let pki: GridPki;
	const files: Record<'certificates' | 'keys' | 'pkcs12', Buffer[]> = {
		certificates: [],
		keys: [],
		pkcs12: [],
	};
	let secrets: string[];

	beforeAll(async () => {
		pki = await createGridPki();
		const read = (name: string): Buffer => readFileSync(`${pki.folder}/${name}`);
		const out = async (...parameters: string[]): Promise<Buffer> => {
			await pki.openssl(...parameters, '-out', 'fuzz.out');
			return read('fuzz.out');
		};
		const secret = ['-passout', `pass:${passphrase}`];
		const alice = read('alice.pem');
		// As DER more often than not: a change to base64 spoils most of what stands behind it.
		const der = ['alice', 'robot', 'grid'].map(name => new X509Certificate(read(`${name}.pem`)).raw);
		files.certificates.push(alice, Buffer.concat([alice, read('ca.pem')]), ...der);
		files.keys.push(
			...['alice.key', 'ecdsa.key', 'ed25519.key'].map(read),
			await out('rsa', '-in', 'alice.key', '-traditional'),
			await out('rsa', '-in', 'alice.key', '-traditional', '-outform', 'DER'),
			await out('pkcs8', '-topk8', '-in', 'ecdsa.key', '-nocrypt', '-outform', 'DER'),
			await out('rsa', '-in', 'alice.key', '-traditional', '-aes128', ...secret),
			await out('ec', '-in', 'ecdsa.key', '-outform', 'DER'),
			await out('pkcs8', '-topk8', '-in', 'ecdsa.key', '-outform', 'DER', ...secret),
			await out('pkcs8', '-topk8', '-in', 'ecdsa.key', '-scrypt', '-outform', 'DER', ...secret),
		);
		const own = ['-in', 'ecdsa.pem', '-inkey', 'ecdsa.key', ...secret];
		files.pkcs12.push(
			await out('pkcs12', '-export', ...own),
			await out('pkcs12', '-export', '-legacy', ...own),
			await out('pkcs12', '-export', '-keypbe', 'NONE', '-certpbe', 'NONE', '-nomac', ...own),
			await out('pkcs12', '-export', '-nomac', ...own),
		);
		secrets = [
			passphrase,
			...['alice', 'ecdsa', 'ed25519'].map(name => read(`${name}.key`).toString().split('\n')[1] as string),
		];
	});
	afterAll(() => pki.close());

	/** Change the files in many ways, and hold each call to account. */
	async function fuzz(
		originals: readonly Buffer[],
		numRuns: number,
		read: (bytes: Buffer) => unknown,
	): Promise<void> {
		const input = fc.tuple(fc.nat(originals.length - 1), fc.array(change, {minLength: 1, maxLength: 3}));
		await fc.assert(
			fc.asyncProperty(input, async ([which, changes]) => {
				const bytes = changed(originals[which] as Buffer, changes);
				const spent = await cpuOf(async () => {
					try {
						await read(bytes);
					} catch (error) {
						expect(error).toBeInstanceOf(GatepassError);
						expect((error as Error).message).toContain('file.name');
						for (const secret of secrets) expect(`${(error as Error).stack}`).not.toContain(secret);
					}
				});
				expect(spent).toBeLessThan(longestCall);
			}),
			{numRuns},
		);
	}

	test('certificates, and all that is read from them', async () => {
		await fuzz(files.certificates, 3000, bytes => {
			const certificates = parseCertificates(bytes, 'file.name');
			for (const certificate of certificates) {
				orderChain(certificates, certificate);
				for (const look of [kindOf, policiesOf, proxyInfoOf, rfc2253Subject, slashIssuer]) look(certificate);
			}
		});
	});

	test('keys', async () => {
		await fuzz(files.keys, 2000, async bytes => {
			const key: KeyObject = await openPrivateKey(bytes, 'file.name', passphrase);
			// What is taken for a key is one.
			createPrivateKey(key.export({type: 'pkcs8', format: 'pem'}));
		});
	});

	test('PKCS#12', async () => {
		await fuzz(files.pkcs12, 600, bytes => readPkcs12(bytes, 'file.name', passphrase));
	});

	test('anything for anything', async () => {
		const all = [...files.certificates, ...files.keys, ...files.pkcs12];
		await fuzz(all, 600, bytes => parseCertificates(bytes, 'file.name'));
		await fuzz(all, 300, bytes => openPrivateKey(bytes, 'file.name', passphrase));
		await fuzz(all, 300, bytes => readPkcs12(bytes, 'file.name', undefined));
		await fuzz(all, 600, bytes => [formsOf(bytes), isEncryptedKey(bytes)]);
	});

	test('bytes by chance', async () => {
		await fc.assert(
			fc.asyncProperty(fc.uint8Array({maxLength: 512}), async random => {
				for (const bytes of [
					Buffer.from(random),
					Buffer.from([0x30, ...random]),
					Buffer.from([0x30, 0x80, 2, 1, 3, 0x30, ...random]),
				]) {
					expect(() => parseCertificates(bytes, 'f')).toThrow(GatepassError);
					expect(() => parsePrivateKey(bytes, 'f')).toThrow(GatepassError);
					await expect(readPkcs12(bytes, 'f', 'x')).rejects.toThrow(GatepassError);
				}
			}),
			{numRuns: 500},
		);
	});
});
