/** Certificates as they are found, names and kinds as openssl and the grid write them, and the order of a chain. */
import {X509Certificate} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {CertificateError} from '../../src/errors.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/index.ts';
import {parseCertificates, toPem} from '../../src/x509/certificates.ts';
import {policiesOf} from '../../src/x509/extensions.ts';
import {kindOf} from '../../src/x509/kind.ts';
import {
	rfc2253Issuer,
	rfc2253Subject,
	slashIssuer,
	slashSubject,
	subjectValues,
} from '../../src/x509/names.ts';
import {orderChain} from '../../src/x509/own-chain.ts';
import {cpuOf} from '../cpu-time.ts';
import {describeWith} from '../servers/availability.ts';
import {createGridPki, type GridPki} from '../servers/grid-pki.ts';
import {opensslServer} from '../servers/openssl-server.ts';

describeWith(opensslServer, 'certificates', () => {
	let pki: GridPki;
	let alice: Buffer;
	let grid: Buffer;
	let root: Buffer;

	beforeAll(async () => {
		pki = await createGridPki();
		alice = readFileSync(pki.users.alice.certificate);
		grid = readFileSync(`${pki.folder}/grid.pem`);
		root = readFileSync(`${pki.folder}/root.pem`);
	});
	afterAll(() => pki.close());

	const one = (bytes: Buffer): X509Certificate => parseCertificates(bytes, 'f')[0] as X509Certificate;
	const subjects = (certificates: readonly X509Certificate[]): string[] => certificates.map(rfc2253Subject);

	test.each<[string, (pem: Buffer) => Buffer]>([
		['PEM', pem => pem],
		['DER', pem => new X509Certificate(pem).raw],
		[
			'DER with a line end behind it',
			pem => Buffer.concat([new X509Certificate(pem).raw, Buffer.from('\n')]),
		],
		['Windows line ends', pem => Buffer.from(pem.toString().replaceAll('\n', '\r\n'))],
		[
			'no line ends',
			pem =>
				Buffer.from(
					pem
						.toString()
						.replace(/\n(?!-)/g, '')
						.replace('-----MII', '-----\nMII'),
				),
		],
		['blanks at the ends of lines', pem => Buffer.from(pem.toString().replaceAll('\n', ' \n'))],
		['a byte order mark', pem => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), pem])],
		['UTF-16, as PowerShell writes', pem => Buffer.from(`\uFEFF${pem}`, 'utf16le')],
		['text around it', pem => Buffer.from(`Bag Attributes\n    friendlyName: x -----\n${pem}\nend: é\n`)],
		['twice', pem => Buffer.concat([pem, pem])],
	])('%s', (_, change) => {
		const certificates = parseCertificates(change(alice), 'f');
		expect(certificates).toHaveLength(1);
		expect(certificates[0]?.fingerprint256).toBe(new X509Certificate(alice).fingerprint256);
		expect(toPem(certificates[0] as X509Certificate).trim()).toBe(alice.toString().trim());
	});

	test("OpenSSL's marks of trust are left out", async () => {
		const trusted = Buffer.from(
			await pki.openssl('x509', '-in', 'root.pem', '-trustout', '-addtrust', 'serverAuth'),
		);
		expect(trusted.toString()).toContain('BEGIN TRUSTED CERTIFICATE');
		expect(toPem(one(trusted)).trim()).toBe(root.toString().trim());
	});

	test.each<[string, (pem: string) => string | Buffer, RegExp]>([
		['nothing', () => '', /^f holds no certificate\. It is empty\. Copy it again$/],
		[
			'text',
			() => 'hello',
			/^f holds no certificate\. It should contain '-----BEGIN CERTIFICATE-----', or be a certificate in DER form$/,
		],
		['bytes', () => Buffer.alloc(4000, 0x80), /^f holds no certificate\. It should contain/],
		[
			'a key',
			() => readFileSync(pki.users.alice.key),
			/^f holds no certificate\. It holds a private key: are 'certificate' and 'key' exchanged\?$/,
		],
		[
			'a request',
			() => readFileSync(`${pki.folder}/alice.csr`),
			/^f holds no certificate\. It is a certificate request: name the certificate that was issued for it$/,
		],
		[
			'a certificate cut off',
			pem => pem.slice(0, 700),
			/^The certificate in f is damaged or cut off\. Copy it again$/,
		],
		[
			'DER cut off',
			pem => new X509Certificate(pem).raw.subarray(0, 300),
			/^The certificate in f is damaged or cut off/,
		],
		['a chain cut off', pem => pem + grid.subarray(0, 700), /^A certificate in f is damaged or cut off/],
		[
			'a block that ends as another',
			pem => pem.replace('END CERTIFICATE', 'END X509 CRL'),
			/^The certificate in f is damaged/,
		],
	])('%s instead of a certificate', (_, change, message) => {
		const read = () => parseCertificates(Buffer.from(change(alice.toString())), 'f');
		expect(read).toThrow(CertificateError);
		expect(read).toThrow(message);
	});

	test('a request in DER is known as one', async () => {
		await pki.openssl('req', '-in', 'alice.csr', '-outform', 'DER', '-out', 'alice.csr.der');
		expect(() => one(readFileSync(`${pki.folder}/alice.csr.der`))).toThrow(/It is a certificate request/);
	});

	test('PKCS#7 and PKCS#12 are named as what they are', async () => {
		await pki.openssl('crl2pkcs7', '-nocrl', '-certfile', 'alice.pem', '-out', 'alice.p7b');
		expect(() => one(readFileSync(`${pki.folder}/alice.p7b`))).toThrow(
			/PKCS#7 file: take the certificates out with 'openssl pkcs7 -print_certs'/,
		);
		await pki.openssl(
			'crl2pkcs7',
			'-nocrl',
			'-certfile',
			'alice.pem',
			'-outform',
			'DER',
			'-out',
			'alice.p7c',
		);
		expect(() => one(readFileSync(`${pki.folder}/alice.p7c`))).toThrow(/PKCS#7 file/);
		await pki.openssl(
			'pkcs12',
			'-export',
			'-in',
			'alice.pem',
			'-inkey',
			'alice.key',
			'-passout',
			'pass:x',
			'-out',
			'alice.p12',
		);
		expect(() => one(readFileSync(`${pki.folder}/alice.p12`))).toThrow(
			/PKCS#12 file: name it in the option 'pkcs12'/,
		);
	});

	test('a chain is put in order, without what does not belong to it', () => {
		const bob = readFileSync(pki.users.ecdsa.certificate);
		const all = parseCertificates(Buffer.concat([root, bob, grid, alice, root]), 'f');
		const leaf = one(alice);
		expect(subjects(orderChain(all, leaf))).toEqual(subjects([one(alice), one(grid), one(root)]));
		expect(subjects(orderChain([one(root), leaf], leaf))).toEqual(subjects([leaf]));
	});

	test('the issuer is who signed, not who only bears its name', async () => {
		const [real, other] = [await createTestAuthority('twin'), await createTestAuthority('twin')];
		try {
			const leaf = one(readFileSync((await real.issue('x', {subject: 'CN=x'})).certificate));
			const [ownCa, otherCa] = [real, other].map(({ca}) => one(readFileSync(ca))) as [
				X509Certificate,
				X509Certificate,
			];
			const chain = orderChain([otherCa, leaf, ownCa], leaf);
			expect(chain.map(({fingerprint256}) => fingerprint256)).toEqual([
				leaf.fingerprint256,
				ownCa.fingerprint256,
			]);
		} finally {
			await Promise.all([real.close(), other.close()]);
		}
	});

	test('kinds by policy, by name and by use', async () => {
		expect(kindOf(one(alice))).toBe('person');
		expect(policiesOf(one(alice))).toContain('1.2.840.113612.5.2.3.3.3');
		expect(kindOf(one(readFileSync(pki.users.robot.certificate)))).toBe('robot');
		expect(kindOf(one(readFileSync(`${pki.folder}/host.pem`)))).toBe('host');
		expect(kindOf(one(root))).toBeUndefined();
	});

	const selfSigned = async (subject: string, ...extensions: string[]): Promise<X509Certificate> => {
		await pki.openssl(
			...['req', '-x509', '-newkey', 'ed25519', '-nodes', '-keyout', 'x.key', '-out', 'x.pem', '-days', '1'],
			...['-utf8', '-multivalue-rdn', '-subj', subject],
			...extensions.flatMap(extension => ['-addext', extension]),
		);
		return one(readFileSync(`${pki.folder}/x.pem`));
	};

	test.each<[string, string, string[], string | undefined]>([
		['a name that begins with Robot:', '/O=x/CN=Robot: monit', [], 'robot'],
		[
			'such a name before a policy',
			'/CN=Robot: monit',
			['certificatePolicies=1.2.840.113612.5.2.3.3.3'],
			'robot',
		],
		[
			'a robot policy among others',
			'/CN=x',
			['certificatePolicies=1.2.3.4,1.2.840.113612.5.2.3.3.1'],
			'robot',
		],
		['a host policy', '/CN=x', ['certificatePolicies=1.2.840.113612.5.2.3.3.2'], 'host'],
		[
			"a server's use and name",
			'/CN=x',
			['basicConstraints=CA:FALSE', 'extendedKeyUsage=serverAuth', 'subjectAltName=DNS:x'],
			'host',
		],
		[
			'a use by clients only',
			'/CN=x',
			['basicConstraints=CA:FALSE', 'extendedKeyUsage=clientAuth', 'subjectAltName=DNS:x'],
			undefined,
		],
		['a name that only mentions robots', '/CN=I am Robot: x/O=Robots', [], undefined],
		['another policy', '/CN=x', ['certificatePolicies=1.2.840.113612.5.2.3.3.9'], undefined],
	])('%s', async (_, subject, extensions, kind) => {
		expect(kindOf(await selfSigned(subject, ...extensions))).toBe(kind);
	});

	describe('names', () => {
		test.each([
			'/DC=ch/DC=cern/OU=Organic Units/OU=Users/CN=jdoe/CN=123456/CN=Jane Doe',
			'/O=A\\, b; "c" <d> #e/CN= x \\\\ y=z ',
			'/O=#x+OU=y/CN=Robot: Zoë Łuk/emailAddress=a@b.c',
			'/DC=ch/CN=host\\/x.cern.ch',
		])('%s', async subject => {
			const certificate = await selfSigned(subject);
			const printed = await pki.openssl(
				'x509',
				'-in',
				'x.pem',
				'-noout',
				'-subject',
				'-nameopt',
				'RFC2253,utf8,-esc_msb',
			);
			expect(rfc2253Subject(certificate)).toBe(printed.replace('subject=', '').replace(/\n$/, ''));
			expect(rfc2253Issuer(certificate)).toBe(rfc2253Subject(certificate));
			const oneLine = await pki.openssl('x509', '-in', 'x.pem', '-noout', '-subject', '-nameopt', 'compat');
			// OpenSSL 3 writes a backslash before a slash, which no grid map has.
			const expected = oneLine.replace('subject=', '').replace(/\n$/, '').replaceAll('\\/', '/');
			expect(slashSubject(certificate)).toBe(expected);
			expect(slashIssuer(certificate)).toBe(expected);
		});

		test('the values of one attribute', async () => {
			const certificate = await selfSigned('/CN=a\\+b/O=c+CN=d \\+ e');
			expect(subjectValues(certificate, 'CN')).toEqual(['a+b', 'd + e']);
		});
	});
});

describe('without openssl', () => {
	let authority: TestAuthority;
	beforeAll(async () => {
		authority = await createTestAuthority();
	});
	afterAll(() => authority.close());

	test('thousands of certificates of one name take no time', async () => {
		const leaf = parseCertificates(
			readFileSync((await authority.issue('x', {subject: 'CN=x'})).certificate),
			'f',
		)[0] as X509Certificate;
		const text = readFileSync(authority.ca, 'latin1').repeat(1500);
		const spent = await cpuOf(() => {
			const all = parseCertificates(Buffer.from(text), 'f');
			expect(orderChain([leaf, ...all], leaf)).toHaveLength(2);
		});
		expect(spent).toBeLessThan(2000);
	});

	test('thousands of beginnings take no time', async () => {
		const text = '-----BEGIN CERTIFICATE-----'.repeat(38_000);
		const spent = await cpuOf(() =>
			expect(() => parseCertificates(Buffer.from(text), 'f')).toThrow(/damaged or cut off/),
		);
		expect(spent).toBeLessThan(1000);
	});
});
