/**
 * Servers whose certificate OpenSSL refuses, for whatever reason: the error names the host, the certificate, the reason and
 * what to do, and all commands say the same.
 */
import {mkdtemp, readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, onTestFinished, test} from 'vitest';
import {judgeChain} from '../../src/cli/chain-trust.ts';
import {checkNetwork} from '../../src/cli/check-network.ts';
import {inspectServer} from '../../src/cli/inspected-server.ts';
import {loadConfiguration} from '../../src/config/load.ts';
import {CertificateError} from '../../src/errors.ts';
import {createGatepass} from '../../src/index.ts';
import {describeWith} from '../servers/availability.ts';
import {opensslServer} from '../servers/openssl-server.ts';
import {createPki, type Holder, type Pki, startTlsServer} from '../trust/pki.ts';

let pki: Pki;
let made = 0;

beforeAll(async () => {
	pki = await createPki();
});
afterAll(() => pki?.close());

interface Making {
	/** Lines for the section of extensions. */
	readonly extensions?: readonly string[];
	readonly key?: readonly string[];
	readonly hash?: string;
	readonly from?: string;
	readonly until?: string;
}

const p256 = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
const asn1 = (days: number): string =>
	new Date(Date.now() + days * 86_400_000).toISOString().replace(/[-:T]|\.\d+/g, '');
const ca = ['basicConstraints = critical, CA:TRUE', 'subjectKeyIdentifier = hash'];
const forServers = ['extendedKeyUsage = serverAuth', 'subjectAltName = IP:127.0.0.1'];

/** A certificate of any kind; without `by` self-signed. */
async function make(subject: string, by: Holder | undefined, making: Making = {}): Promise<Holder> {
	const {extensions = forServers, key = p256, hash = 'sha256', from = asn1(-1), until = asn1(2)} = making;
	const name = `made-${made++}`;
	const own = await mkdtemp(join(pki.folder, 'ca-'));
	const at = (ending: string): string => join(pki.folder, `${name}.${ending}`);
	await writeFile(join(own, 'index'), '');
	await writeFile(
		join(own, 'cnf'),
		[
			...['[ca]', 'default_ca = own', '[own]', `database = ${own}/index`, `new_certs_dir = ${own}`],
			...['rand_serial = yes', 'policy = any', 'x509_extensions = extensions', 'unique_subject = no'],
			...['[any]', 'commonName = supplied', '[extensions]', ...extensions, ''],
		].join('\n'),
	);
	await pki.openssl(...['req', ...key, '-nodes', '-keyout', at('key'), '-out', at('csr'), '-subj', subject]);
	await pki.openssl(
		...['ca', '-batch', '-notext', '-config', join(own, 'cnf'), '-in', at('csr'), '-out', at('pem')],
		...['-md', hash, '-startdate', from, '-enddate', until, '-subj', subject, '-preserveDN'],
		...(by === undefined
			? ['-selfsign', '-keyfile', at('key')]
			: ['-cert', by.certificate, '-keyfile', by.key]),
	);
	const above = by === undefined ? '' : await readFile(by.chain, 'utf8');
	await writeFile(at('chain'), (await readFile(at('pem'), 'utf8')) + above);
	const read = (): never => {
		throw new Error('is not needed');
	};
	return {name, certificate: at('pem'), key: at('key'), chain: at('chain'), read};
}

const root = (making: Making = {}): Promise<Holder> =>
	make('/CN=Root', undefined, {extensions: ca, ...making});
const below = async (by: Promise<Holder>, making: Making = {}): Promise<Holder> =>
	make('/CN=Middle', await by, {extensions: ca, ...making});
const leaf = async (by: Promise<Holder>, making: Making = {}): Promise<Holder> =>
	make('/CN=leaf', await by, making);

interface Case {
	readonly server: Holder;
	/** What is trusted: a file. */
	readonly trusted: string;
	readonly said: RegExp;
	readonly hint: RegExp;
}

async function withRoot(
	build: (root: Promise<Holder>) => Promise<Holder>,
	said: RegExp,
	hint: RegExp,
	making: Making = {},
): Promise<Case> {
	const authority = root(making);
	return {server: await build(authority), trusted: (await authority).certificate, said, hint};
}

const cases: Readonly<Record<string, () => Promise<Case>>> = {
	'a CA that nobody knows': async () => ({
		server: await leaf(root()),
		trusted: (await make('/CN=Another', undefined, {extensions: ca})).certificate,
		said: /no trusted CA vouches for its certificate \(CN=leaf, issued by CN=Root\)/,
		hint: /add its CA under 'trust'/,
	}),
	'a certificate that vouches for itself': async () => ({
		server: await make('/CN=leaf', undefined),
		trusted: (await root()).certificate,
		said: /its certificate \(CN=leaf\) is self-signed/,
		hint: /add that certificate under 'trust'/,
	}),
	'a certificate that has expired': () =>
		withRoot(
			by => leaf(by, {from: '20200101000000Z', until: '20200201000000Z'}),
			/its certificate \(CN=leaf\) expired on 2020-02-01/,
			/whoever runs the server to renew it/,
		),
	'a CA between that has expired': () =>
		withRoot(
			by => leaf(below(by, {from: '20200101000000Z', until: '20200201000000Z'})),
			/the certificate of CN=Middle in its chain expired on 2020-02-01/,
			/have it send that CA's present certificate/,
		),
	'a root that has expired': () =>
		withRoot(
			by => leaf(by),
			/the certificate of CN=Root in its chain expired on 2020-02-01/,
			/in the files under 'trust'/,
			{
				from: '20200101000000Z',
				until: '20200201000000Z',
			},
		),
	'a certificate that is yet to begin': () =>
		withRoot(
			by => leaf(by, {from: '20400101000000Z', until: '20400201000000Z'}),
			/its certificate \(CN=leaf\) is not valid before 2040-01-01/,
			/Check this machine's clock/,
		),
	'another name': () =>
		withRoot(
			by => leaf(by, {extensions: ['subjectAltName = DNS:a.example.org, DNS:b.example.org']}),
			/its certificate is for another name \(DNS:a\.example\.org, DNS:b\.example\.org\)/,
			/Use a name that it is for/,
		),
	'a certificate for clients': () =>
		withRoot(
			by => leaf(by, {extensions: ['extendedKeyUsage = clientAuth', 'subjectAltName = IP:127.0.0.1']}),
			/its certificate \(CN=leaf\) is not for servers \(extended key usage: clientAuth\)/,
			/with serverAuth among its uses/,
		),
	'a CA for clients': () =>
		withRoot(
			by => leaf(below(by, {extensions: [...ca, 'extendedKeyUsage = clientAuth']})),
			/the certificate of CN=Middle in its chain is not for servers \(extended key usage: clientAuth\)/,
			/with serverAuth among its uses/,
		),
	'a certificate with another use of its key': () =>
		withRoot(
			by => leaf(by, {extensions: ['keyUsage = critical, cRLSign', 'subjectAltName = IP:127.0.0.1']}),
			/its certificate \(CN=leaf\) is not for servers \(key usage: cRLSign\)/,
			/another certificate/,
		),
	'a name that its CA may not vouch for': () =>
		withRoot(
			by =>
				leaf(below(by, {extensions: [...ca, 'nameConstraints = critical, permitted;DNS:example.org']}), {
					extensions: ['subjectAltName = IP:127.0.0.1, DNS:elsewhere.example.net'],
				}),
			/the CA CN=Middle above it may not vouch for the names in its certificate \(CN=leaf\)/,
			/of a CA that may vouch for its name/,
		),
	'a name that its CA is kept from': () =>
		withRoot(
			by =>
				leaf(below(by, {extensions: [...ca, 'nameConstraints = critical, excluded;IP:127.0.0.0/255.0.0.0']})),
			/the CA CN=Middle above it may not vouch/,
			/of a CA that may vouch for its name/,
		),
	'a weak key': () =>
		withRoot(
			by => leaf(by, {key: ['-newkey', 'rsa:1024']}),
			/its certificate \(CN=leaf\) has an RSA key of 1024 bits, which is too weak/,
			/with a key of 2048 bits/,
		),
	'a weak key of a CA': () =>
		withRoot(
			by => leaf(below(by, {key: ['-newkey', 'rsa:1024']})),
			/the certificate of CN=Middle in its chain has an RSA key of 1024 bits/,
			/with a key of 2048 bits/,
		),
	'a weak hash': () =>
		withRoot(
			by => leaf(by, {hash: 'sha1'}),
			/its certificate \(CN=leaf\) is signed with SHA-1, which is too weak/,
			/signed with SHA-256/,
		),
	'a chain that is longer than its CA allows': () =>
		withRoot(
			by => leaf(below(by)),
			/the CA CN=Root in the chain of its certificate \(CN=leaf\) allows fewer CAs/,
			/another certificate/,
			{extensions: ['basicConstraints = critical, CA:TRUE, pathlen:0', 'subjectKeyIdentifier = hash']},
		),
	'a CA that may not sign': () =>
		withRoot(
			by => leaf(below(by, {extensions: [...ca, 'keyUsage = critical, digitalSignature']})),
			/the certificate of CN=Middle in its chain is not for signing certificates \(key usage: digitalSignature\)/,
			/another certificate/,
		),
	'an issuer that is no CA': () =>
		withRoot(
			by =>
				leaf(
					below(by, {extensions: ['basicConstraints = critical, CA:FALSE', 'subjectKeyIdentifier = hash']}),
				),
			/the certificate of CN=Middle in its chain is not that of a CA/,
			/another certificate/,
		),
	'an unknown critical extension': () =>
		withRoot(
			by => leaf(by, {extensions: [...forServers, '1.2.3.4 = critical, ASN1:NULL']}),
			/its certificate \(CN=leaf\) has a critical extension that OpenSSL does not know \(1\.2\.3\.4\)/,
			/without that extension/,
		),
	'an unknown critical extension of a CA': () =>
		withRoot(
			by => leaf(below(by, {extensions: [...ca, '1.2.3.5 = critical, ASN1:NULL']})),
			/the certificate of CN=Middle in its chain has a critical extension .*\(1\.2\.3\.5\)/,
			/without that extension/,
		),
	'a curve that is spelt out': () =>
		withRoot(
			by => leaf(below(by, {key: [...p256, '-pkeyopt', 'ec_param_enc:explicit']})),
			/OpenSSL does not accept its certificate \(CN=leaf\), or one in its chain: Certificate public key has explicit ECC parameters/,
			/another certificate/,
		),
	'a CA that is for mail': async () => {
		const authority = root();
		const server = await leaf(authority);
		const trusted = join(pki.folder, 'for-mail.pem');
		const {certificate} = await authority;
		await pki.openssl('x509', '-in', certificate, '-addtrust', 'emailProtection', '-out', trusted);
		return {
			server,
			trusted,
			said: /the CA CN=Root above its certificate \(CN=leaf\) is not to vouch for servers, by its trust settings/,
			hint: /change the settings/,
		};
	},
};

describeWith(opensslServer, 'a server with', () => {
	test.each(Object.keys(cases))('%s is refused, and everybody says why', async name => {
		const {server, trusted, said, hint} = await (cases[name] as () => Promise<Case>)();
		const {url, close} = await startTlsServer(server, ['-cipher', 'ALL:@SECLEVEL=0']);
		onTestFinished(close);
		const file = join(pki.folder, `${server.name}.json`);
		const home = {HOME: pki.folder};
		await writeFile(
			file,
			JSON.stringify({trust: [{match: url, ca: trusted, only: true}], cache: {url: 'memory:'}}),
		);
		const gatepass = await createGatepass({config: file, env: home});
		onTestFinished(() => gatepass.close());

		const error = await gatepass.got(url, {retry: {limit: 0}}).catch(reason => reason);
		expect(error).toBeInstanceOf(CertificateError);
		const {message} = error as CertificateError;
		expect(message).toMatch(new RegExp(`^${new URL(url).host} cannot be trusted: `));
		expect(message).toMatch(said);
		expect(message).toMatch(hint);
		expect(message).toContain(trusted);
		expect(message.includes("add its CA under 'trust'")).toBe(name === 'a CA that nobody knows');

		const loaded = await loadConfiguration({
			config: file,
			cwd: pki.folder,
			env: home,
			strategies: [],
			builtIn: {},
		});
		const [finding] = await checkNetwork([new URL(url)], loaded.configuration);
		expect(`${finding?.what}. ${finding && 'hint' in finding ? finding.hint : ''}`).toBe(message);

		const {chain, problems} = await inspectServer(new URL(url));
		const trust = await judgeChain(chain, file, new URL(url));
		// Its CA is trusted; the name is another matter.
		expect(trust.trustedBy).toHaveLength(name === 'another name' ? 1 : 0);
		if (name === 'another name')
			expect(problems).toContainEqual(expect.stringMatching(/not for 127\.0\.0\.1/));
		else if (/nobody|vouches|for mail/.test(name)) expect(trust.problems.join('\n')).toMatch(/under 'trust'/);
		else expect(trust.problems).toContain(message);
	});
});
