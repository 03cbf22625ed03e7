/** A folder of CA certificates becomes a bundle. */
import {execFileSync} from 'node:child_process';
import {createHash, X509Certificate} from 'node:crypto';
import {
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {type BuildRequest, buildBundle} from '../../src/bundles/build.ts';
import {placesOf} from '../../src/bundles/bundle.ts';
import {readManifest} from '../../src/bundles/manifest.ts';
import {verifyBundle} from '../../src/bundles/verify.ts';
import {CertificateError, GatepassError} from '../../src/errors.ts';
import {subjectHash} from '../../src/x509/subject-hash.ts';
import {describeWith} from '../servers/availability.ts';
import {makeCertificate} from './certificates.ts';

let folder: string;
let from: string;
let to: string;

beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), 'gatepass-build-'));
	from = join(folder, 'from');
	to = join(folder, 'lab');
	mkdirSync(from);
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

function put(files: Readonly<Record<string, string | Buffer>>): void {
	for (const [name, content] of Object.entries(files)) writeFileSync(join(from, name), content);
}

async function build(request: Partial<BuildRequest> = {}) {
	return (await buildBundle({from, to, ...request})).manifest;
}

const hashOf = (pem: string): string => subjectHash(new X509Certificate(pem));
const dayOf = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);

test('each certificate with what lies beside it, as openssl and people look for them', async () => {
	const [one, other] = await Promise.all([
		makeCertificate('O=Lab,CN=One'),
		makeCertificate('O=Lab,CN=Other'),
	]);
	put({
		'one.pem': `Text around it\r\n${one.pem.replaceAll('\n', '\r\n')}`,
		'one.signing_policy': 'policy of one',
		'one.crl_url': 'http://ca.example.org/one.crl',
		'other.crt': new X509Certificate(other.pem).raw,
		'readme.txt': 'no certificate',
		'key.key': 'no certificate',
	});
	symlinkSync('one.pem', join(from, `${hashOf(one.pem)}.0`));
	symlinkSync('nowhere.pem', join(from, '12345678.0'));
	const manifest = await build({source: 'https://ca.example.org', licence: 'CC0-1.0'});
	const certificate = new X509Certificate(one.pem);
	expect(manifest).toMatchObject({name: 'lab', built: dayOf(0), days: 90, leftOut: []});
	expect(manifest.certificates).toEqual([
		{
			file: `${hashOf(one.pem)}.0`,
			subject: 'CN=One,O=Lab',
			sha256: createHash('sha256').update(certificate.raw).digest('hex'),
			notBefore: certificate.validFromDate.toISOString(),
			notAfter: certificate.validToDate.toISOString(),
			source: {file: 'one.pem', note: 'https://ca.example.org'},
			licence: 'CC0-1.0',
		},
		expect.objectContaining({subject: 'CN=Other,O=Lab', file: `${hashOf(other.pem)}.0`}),
	]);
	expect(readManifest(placesOf(to))).toEqual(manifest);
	const names = readdirSync(join(to, 'certificates'));
	expect(names.sort()).toEqual(
		[`${hashOf(one.pem)}.0`, `${hashOf(one.pem)}.crl_url`, `${hashOf(one.pem)}.signing_policy`]
			.concat(`${hashOf(other.pem)}.0`)
			.sort(),
	);
	expect(readFileSync(join(to, 'certificates', `${hashOf(one.pem)}.signing_policy`), 'utf8')).toBe(
		'policy of one',
	);
	// openssl finds its way in the folder, and takes the PEM file.
	for (const trusted of [
		['-no-CAfile', '-CApath', join(to, 'certificates')],
		['-no-CApath', '-CAfile', join(to, 'ca.pem')],
	]) {
		const output = execFileSync('openssl', ['verify', ...trusted, join(from, 'one.pem')], {encoding: 'utf8'});
		expect(output).toContain('one.pem: OK');
	}
	expect(verifyBundle(placesOf(to), {days: 90}).faults).toEqual([]);
});

test('what has expired, soon will, is yet to begin or is a leaf stays out, and the manifest says so', async () => {
	const root = await makeCertificate('CN=Root');
	const others = {
		ended: await makeCertificate('CN=Ended', {endsIn: -3}),
		ending: await makeCertificate('CN=Ending', {endsIn: 40}),
		future: await makeCertificate('CN=Future', {beginsIn: 5}),
		leaf: await makeCertificate('CN=Leaf', {ca: false, issuer: root}),
	};
	put({'root.pem': root.pem});
	put(Object.fromEntries(Object.entries(others).map(([name, {pem}]) => [`${name}.pem`, pem])));
	const {certificates, leftOut} = await build();
	expect(certificates.map(({subject}) => subject)).toEqual(['CN=Root']);
	expect(leftOut.map(({subject, reason}) => `${subject}: ${reason}`)).toEqual([
		`CN=Ended: it expired on ${dayOf(-3)}`,
		`CN=Ending: it expires on ${dayOf(40)}, within 90 days of the build`,
		`CN=Future: it begins on ${dayOf(5)}`,
		'CN=Leaf: it is no CA certificate',
	]);
	expect((await build({days: 30})).certificates.map(({subject}) => subject)).toEqual([
		'CN=Ending',
		'CN=Root',
	]);
	// What was there before is gone.
	expect((await build({days: 60})).certificates).toHaveLength(1);
	expect(readdirSync(join(to, 'certificates'))).toEqual([`${hashOf(root.pem)}.0`]);
});

test('one that is there several times is taken once; two of one name get two files', async () => {
	const [old, renewed] = await Promise.all([
		makeCertificate('CN=CA'),
		makeCertificate('CN=CA', {endsIn: 2000}),
	]);
	put({'a.pem': old.pem, 'b.pem': old.pem, 'both.pem': old.pem + renewed.pem});
	const {certificates} = await build();
	expect(certificates.map(({file}) => file).sort()).toEqual([`${hashOf(old.pem)}.0`, `${hashOf(old.pem)}.1`]);
	expect(certificates.map(({source}) => source.file).sort()).toEqual(['a.pem', 'both.pem']);
	expect(verifyBundle(placesOf(to)).faults).toEqual([]);
});

test('only what is named, by file or by subject', async () => {
	for (const name of ['one', 'two', 'three'])
		put({[`${name}.pem`]: (await makeCertificate(`CN=${name}`)).pem});
	const {certificates} = await build({only: ['one', 'CN=three']});
	expect(certificates.map(({subject}) => subject)).toEqual(['CN=one', 'CN=three']);
	await expect(build({only: ['one', 'four']})).rejects.toThrow(/no certificate 'four'/);
});

test('a preset that is there stays', async () => {
	put({'ca.pem': (await makeCertificate('CN=CA')).pem});
	mkdirSync(to);
	writeFileSync(join(to, 'preset.yaml'), 'description: mine');
	await build();
	await build();
	expect(readFileSync(join(to, 'preset.yaml'), 'utf8')).toBe('description: mine');
	expect(readdirSync(to).sort()).toEqual(['ca.pem', 'certificates', 'manifest.json', 'preset.yaml']);
});

describe('what cannot be built', () => {
	const wrong: [string, () => Promise<unknown>, RegExp][] = [
		['a folder that is not there', () => build({from: join(from, 'nowhere')}), /does not exist/],
		['an empty folder', () => build(), /holds no certificates/],
		[
			'a damaged certificate',
			async () => {
				put({'ca.pem': (await makeCertificate('CN=CA')).pem.slice(0, 300)});
				await build();
			},
			/ca\.pem is damaged or cut off/,
		],
		[
			'nothing but what has expired',
			async () => {
				put({'ca.pem': (await makeCertificate('CN=CA', {endsIn: -1})).pem});
				await build();
			},
			/No certificate of .* can be used: CN=CA: it expired/,
		],
		[
			'two policies for one subject',
			async () => {
				put({'a.pem': (await makeCertificate('CN=CA')).pem, 'a.signing_policy': 'a'});
				put({'b.pem': (await makeCertificate('CN=CA')).pem, 'b.signing_policy': 'b'});
				await build();
			},
			/of another certificate of the same subject differ/,
		],
	];
	test.each(wrong)('%s', async (_, attempt, message) => {
		await expect(attempt()).rejects.toThrow(GatepassError);
		await expect(attempt()).rejects.toThrow(message);
		expect(existsSync(to)).toBe(false);
	});

	test('a key among the certificates is told, not copied', async () => {
		put({
			'ca.pem': (await makeCertificate('CN=CA')).pem,
			'user.pem': '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n',
		});
		await expect(build()).rejects.toThrow(CertificateError);
		await expect(build()).rejects.toThrow(/user\.pem holds no certificate. It holds a private key/);
		expect(existsSync(to)).toBe(false);
	});

	test('a folder of something else is left alone', async () => {
		put({'ca.pem': (await makeCertificate('CN=CA')).pem});
		mkdirSync(to);
		writeFileSync(join(to, 'thesis.tex'), 'years of work');
		await expect(build()).rejects.toThrow(/is no bundle \(it holds thesis\.tex\)/);
		expect(readdirSync(to)).toEqual(['thesis.tex']);
	});
});

const classic = '/usr/share/igtf-policy/classic';
const igtf = {
	name: "Debian's igtf-policy-classic",
	install: 'apt-get install igtf-policy-classic',
	whyUnavailable: () => (existsSync(classic) ? undefined : `there is no ${classic}`),
};

describeWith(igtf, "Debian's igtf-policy-classic", () => {
	test('becomes a bundle that says where each certificate came from, and verifies', async () => {
		const manifest = await build({from: classic});
		expect(manifest.certificates.length + manifest.leftOut.length).toBeGreaterThan(70);
		expect(manifest.certificates.find(({subject}) => subject.startsWith('CN=CERN Grid'))).toMatchObject({
			file: '5168735f.0',
			subject: 'CN=CERN Grid Certification Authority,DC=cern,DC=ch',
			source: {
				package: 'igtf-policy-classic',
				version: expect.stringMatching(/^1\.\d+/),
				file: 'CERN-GridCA.pem',
			},
			licence: 'CC-BY-3.0',
		});
		expect(manifest.copyright?.['igtf-policy-classic']).toContain('Members of the IGTF');
		expect(verifyBundle(placesOf(to), {days: 90})).toMatchObject({faults: []});
		// Every one that openssl knows by its hash has its signing policy under the same name.
		const policies = Object.keys(manifest.policies);
		for (const {file} of manifest.certificates) {
			expect(policies).toContain(file.replace('.0', '.signing_policy'));
		}
	});

	test('a folder of links, as /etc/grid-security/certificates is, gives the same', async () => {
		const links = join(folder, 'links');
		mkdirSync(links);
		for (const name of readdirSync(classic)) symlinkSync(join(classic, name), join(links, name));
		const request = {only: ['CERN-Root-2', 'CERN-GridCA']};
		const direct = await build({from: classic, ...request});
		expect(await build({from: links, ...request})).toEqual(direct);
	});
});
