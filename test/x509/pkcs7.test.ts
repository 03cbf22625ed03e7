/** PKCS#7 files as authorities give them: with revocation lists, signatures, in BER; and what is none. */
import {X509Certificate} from 'node:crypto';
import {readFileSync, writeFileSync} from 'node:fs';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {CertificateError} from '../../src/errors.ts';
import {readIssued} from '../../src/lineages/issued-certificate.ts';
import {cpuOf} from '../cpu-time.ts';
import {describeWith} from '../servers/availability.ts';
import {createGridPki, type GridPki} from '../servers/grid-pki.ts';
import {opensslServer} from '../servers/openssl-server.ts';

describeWith(opensslServer, 'PKCS#7', () => {
	let pki: GridPki;
	beforeAll(async () => {
		pki = await createGridPki();
	});
	afterAll(() => pki.close());

	const read = (name: string): Buffer => readFileSync(`${pki.folder}/${name}`);
	const thumbprints = (certificates: readonly X509Certificate[]): string[] =>
		certificates.map(({fingerprint256}) => fingerprint256).toSorted();
	const expected = (...names: string[]): string[] =>
		thumbprints(names.map(name => new X509Certificate(read(`${name}.pem`))));

	const certificates = ['-certfile', 'alice.pem', '-certfile', 'grid.pem', '-certfile', 'root.pem'];
	const all = ['alice', 'grid', 'root'];
	test.each<[string, string[], string[]]>([
		['certificates alone', ['crl2pkcs7', '-nocrl', ...certificates], all],
		['the same in DER', ['crl2pkcs7', '-nocrl', ...certificates, '-outform', 'DER'], all],
		['with a revocation list', ['crl2pkcs7', '-in', 'crl.pem', ...certificates], all],
		['the same in DER', ['crl2pkcs7', '-in', 'grid.crl', ...certificates, '-outform', 'DER'], all],
		[
			'signed by one of them, in BER with lengths left open',
			[
				...['cms', '-sign', '-stream', '-nodetach', '-binary', '-in', 'alice.csr', '-signer', 'alice.pem'],
				...['-inkey', 'alice.key', '-certfile', 'ca.pem', '-outform', 'DER'],
			],
			all,
		],
	])('%s', async (_, parameters, names) => {
		await pki.openssl(...parameters, '-out', 'out.p7b');
		expect(thumbprints(await readIssued(read('out.p7b'), 'f'))).toEqual(expected(...names));
	});

	test('labelled as a certificate, as Microsoft does, and two of them in one file', async () => {
		await pki.openssl('crl2pkcs7', '-in', 'crl.pem', '-certfile', 'alice.pem', '-out', 'one.p7b');
		await pki.openssl('crl2pkcs7', '-nocrl', '-certfile', 'grid.pem', '-out', 'two.p7b');
		const text = (read('one.p7b').toString() + read('two.p7b')).replaceAll('PKCS7', 'CERTIFICATE');
		expect(thumbprints(await readIssued(Buffer.from(text), 'f'))).toEqual(expected('alice', 'grid'));
	});

	test.each<[string, () => Promise<Buffer>, RegExp]>([
		[
			'a revocation list alone',
			async () => {
				await pki.openssl('crl2pkcs7', '-in', 'grid.crl', '-out', 'out.p7b');
				return read('out.p7b');
			},
			/^The PKCS#7 file f holds no certificate\./,
		],
		[
			'half of it',
			async () => {
				await pki.openssl('crl2pkcs7', '-nocrl', ...certificates, '-outform', 'DER', '-out', 'out.p7b');
				return read('out.p7b').subarray(0, 1000);
			},
			/^The PKCS#7 file f is damaged or cut off\. Download it again$/,
		],
		[
			'something encrypted',
			async () => {
				writeFileSync(`${pki.folder}/text`, 'text');
				const to = ['-outform', 'DER', '-out', 'out.p7b', 'alice.pem'];
				await pki.openssl('cms', '-encrypt', '-in', 'text', '-aes256', ...to);
				return read('out.p7b');
			},
			/^The PKCS#7 file f is damaged or cut off/,
		],
		[
			'lengths left open without end',
			async () =>
				Buffer.concat([Buffer.from('308006092a864886f70d010702', 'hex'), Buffer.alloc(400_000, 0x30)]),
			/^The PKCS#7 file f is damaged or cut off/,
		],
	])('%s', async (_, make, message) => {
		const bytes = await make();
		const spent = await cpuOf(async () => {
			await expect(readIssued(bytes, 'f')).rejects.toThrow(message);
			await expect(readIssued(bytes, 'f')).rejects.toThrow(CertificateError);
		});
		expect(spent).toBeLessThan(1000);
	});
});
