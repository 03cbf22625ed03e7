/** CAs that were signed by another one, or have changed their key: which of their certificates are shown, and to whom. */

import {X509Certificate} from 'node:crypto';
import {chmodSync, readFileSync, writeFileSync} from 'node:fs';
import {afterAll, afterEach, beforeAll, expect, test, vi} from 'vitest';
import {render} from '../../src/diagnostics/diagnostic.ts';
import {IdentityStore} from '../../src/identities/identity-store.ts';
import {reasonAgainstProxy} from '../../src/identities/probe.ts';
import {type LoadedIdentity, readIdentity} from '../../src/identities/read-identity.ts';
import {createGatepass} from '../../src/index.ts';
import {describeWith} from '../servers/availability.ts';
import {createGridPki, type GridPki} from '../servers/grid-pki.ts';
import {
	type OpensslServer,
	opensslServer,
	startOpensslServer,
	subjectSeen,
} from '../servers/openssl-server.ts';

const expired = ['-startdate', '20200101000000Z', '-enddate', '20210301120000Z'];
const hour = 3_600_000;

/** Alice ← Grid CA ← Root CA, whose key another root has signed as well: as Let's Encrypt's was, and is on the grid. */
describeWith(opensslServer, 'an identity whose CA has several certificates', () => {
	let pki: GridPki;
	/** `knowing`: a server that has only that root. */
	let knowing: Record<'root' | 'elsewhere', OpensslServer>;
	let soon: number;

	beforeAll(async () => {
		pki = await createGridPki();
		soon = Math.floor(Date.now() / 1000) * 1000 + hour;
		const request = ['req', '-new', '-key', 'root.key', '-out', 'root.csr'];
		await pki.openssl(...request, '-subj', '/C=CH/O=Gatepass/CN=Gatepass Root CA');
		await sign('cross', 'root.csr', 'elsewhere', []);
		const end = `${new Date(soon).toISOString().replace(/[-:T]|\.\d+/g, '')}`;
		await sign('cross-ending', 'root.csr', 'elsewhere', ['-enddate', end]);
		await sign('cross-ended', 'root.csr', 'elsewhere', expired);
		await sign('grid-ended', 'grid.csr', 'root', expired);
		await sign('grid-again', 'grid.csr', 'root', []);
		await pki.openssl(
			...['req', '-x509', '-key', 'root.key', '-subj', '/C=CH/O=Gatepass/CN=Gatepass Root CA', '-days', '1'],
			...['-out', 'root-again.pem', '-addext', 'basicConstraints=critical,CA:TRUE'],
		);
		const server = (ca: string) =>
			startOpensslServer({...pki, ca: `${pki.folder}/${ca}.pem`}, {version: 'TLSv1.3'});
		knowing = {root: await server('root'), elsewhere: await server('elsewhere')};
	});
	afterAll(async () => {
		await Promise.all(Object.values(knowing ?? {}).map(server => server.close()));
		await pki?.close();
	});
	afterEach(() => vi.useRealTimers());

	async function sign(name: string, request: string, ca: string, dates: readonly string[]): Promise<void> {
		await pki.openssl(
			...['ca', '-batch', '-notext', '-config', 'ca.cnf', '-keyfile', `${ca}.key`, '-cert', `${ca}.pem`],
			...[...dates, '-in', request, '-extfile', 'grid.ext', '-out', `${name}.pem`],
		);
	}

	const certificate = (name: string): X509Certificate =>
		new X509Certificate(readFileSync(`${pki.folder}/${name}.pem`));

	/** A file with these certificates of `pki`, and the key. */
	function write(names: readonly string[]): string {
		const file = `${pki.folder}/user.pem`;
		const texts = [...names.map(name => `${name}.pem`), 'alice.key'].map(name =>
			readFileSync(`${pki.folder}/${name}`, 'utf8'),
		);
		writeFileSync(file, texts.join(''), {mode: 0o600});
		chmodSync(file, 0o600);
		return file;
	}

	function read(names: readonly string[]): Promise<LoadedIdentity> {
		const file = write(names);
		return readIdentity({kind: 'pair', certificate: file, key: file, namedBy: 'the test'});
	}

	/** The names of what is shown. */
	function shown(identity: {material(): {cert: string}}): string[] {
		const all = ['alice', 'grid', 'grid-again', 'grid-ended', 'root', 'root-again'];
		const byThumbprint = new Map(
			[...all, 'cross', 'cross-ending', 'cross-ended', 'elsewhere'].map(name => [
				certificate(name).fingerprint256,
				name,
			]),
		);
		const texts = identity.material().cert.split(/(?=-----BEGIN)/);
		return texts.map(text => byThumbprint.get(new X509Certificate(text).fingerprint256) as string);
	}

	async function subjectAt(server: OpensslServer, file: string): Promise<string | undefined> {
		await using gatepass = await createGatepass({
			env: {HOME: pki.folder},
			config: {
				cache: {url: 'memory:'},
				trust: [{match: new URL(server.url).origin, ca: pki.ca, only: true}],
				hostRules: [
					{match: new URL(server.url).origin, strategy: 'grid-certificate', options: {proxy: file}},
				],
			},
		});
		return subjectSeen(await gatepass.got(server.url, {retry: {limit: 0}}).text());
	}

	// Certificates that were made one after the other end a second or two apart.
	const near = -5;
	const endOf = (name: string): number => certificate(name).validToDate.getTime();
	const leftOut =
		/^The certificate of CN=Gatepass Root CA,O=Gatepass,C=CH in .*user\.pem expired on 2021-03-01, so it is not shown\. If servers refuse the chain, put its CA's present certificate in its place$/;

	test.each<{
		title: string;
		file: string[];
		shows: string[];
		warns?: RegExp;
		accepted: ('root' | 'elsewhere')[];
	}>([
		{
			title: 'an expired cross-signed certificate, and nothing beside it',
			file: ['alice', 'grid', 'cross-ended', 'elsewhere'],
			shows: ['alice', 'grid'],
			warns: leftOut,
			accepted: ['root'],
		},
		{
			title: 'an expired cross-signed certificate beside a root',
			file: ['alice', 'grid', 'cross-ended', 'elsewhere', 'root'],
			shows: ['alice', 'grid', 'root'],
			accepted: ['root'],
		},
		{
			title: 'an expired cross-signed certificate beside one that is valid',
			file: ['cross-ended', 'cross', 'grid', 'alice'],
			shows: ['alice', 'grid', 'cross'],
			accepted: ['root', 'elsewhere'],
		},
		{
			title: 'a valid cross-signed certificate and the root itself',
			file: ['root', 'elsewhere', 'cross', 'grid', 'alice'],
			shows: ['alice', 'grid', 'cross', 'elsewhere'],
			accepted: ['root', 'elsewhere'],
		},
		{
			title: 'an expired intermediate beside the present one',
			file: ['alice', 'grid-ended', 'grid', 'root'],
			shows: ['alice', 'grid', 'root'],
			accepted: ['root'],
		},
	])('$title', async ({file, shows, warns, accepted}) => {
		const identity = await read(file);
		expect(shown(identity)).toEqual(shows);
		expect(identity.warnings.map(render)).toEqual(warns === undefined ? [] : [expect.stringMatching(warns)]);
		expect(identity.notAfter).toBeCloseTo(endOf('alice'), near);
		for (const name of accepted) {
			expect(await subjectAt(knowing[name], write(file)), name).toBe(pki.users.alice.subject);
		}
	});

	test('the end is that of the way that lasts longest, whatever ends sooner beside it', async () => {
		expect((await read(['alice', 'grid', 'cross-ending', 'elsewhere', 'root'])).notAfter).toBeCloseTo(
			endOf('alice'),
			near,
		);
		expect((await read(['alice', 'grid', 'root-again'])).notAfter).toBeCloseTo(endOf('alice'), near);
		// Without another way, it is that of the one.
		expect((await read(['alice', 'grid', 'cross-ending'])).notAfter).toBe(soon);
	});

	test('when a certificate of the chain ends, the other way is taken up', async () => {
		const file = write(['alice', 'grid', 'cross-ending', 'root']);
		const retired: unknown[] = [];
		const store = new IdentityStore(pki.folder, {}, {retire: identity => retired.push(identity)});
		const source = {certificate: file, key: file};
		vi.useFakeTimers({toFake: ['Date'], now: soon - 60_000});
		const before = await store.load(source);
		expect(shown(before)).toEqual(['alice', 'grid', 'cross-ending']);
		vi.setSystemTime(soon + 1000);
		const after = await store.load(source);
		expect(shown(after)).toEqual(['alice', 'grid', 'root']);
		expect(after.notAfter).toBeCloseTo(endOf('alice'), near);
		expect(retired).toEqual([before]);
	});

	test('an expired intermediate right above the certificate is told, unless a trust store leads on without it', async () => {
		const file = write(['alice', 'grid-ended']);
		const place = {kind: 'pair', certificate: file, key: file, namedBy: 'the test'} as const;
		await expect(readIdentity(place)).rejects.toThrow(
			/^The certificate of CN=Gatepass Grid CA,DC=gatepass,DC=org, in the chain of .* expired on 2021-03-01\./,
		);
		await expect(readIdentity(place, () => ({outcome: 'unknown'}))).rejects.toThrow(/expired on 2021-03-01/);
		const identity = await readIdentity(place, () => ({outcome: 'complete'}));
		expect(shown(identity)).toEqual(['alice']);
		expect(identity.notAfter).toBeCloseTo(endOf('alice'), near);
		expect(identity.warnings).toHaveLength(1);
	});

	test('a proxy at the default place is not passed over for an expired CA certificate that is not needed', async () => {
		const file = write(['alice', 'grid', 'cross-ended', 'root']);
		const user = process.geteuid?.() ?? 0;
		expect(reasonAgainstProxy(file, user)).toBeUndefined();
		write(['alice', 'grid-ended']);
		expect(reasonAgainstProxy(file, user)).toMatch(/^it expired on 2021-03-01/);
	});

	test('status says what is not shown', async () => {
		const file = write(['alice', 'grid', 'cross-ended']);
		await using gatepass = await createGatepass({
			env: {HOME: pki.folder},
			config: {
				cache: {url: 'memory:'},
				hostRules: [{match: 'h.example.org', strategy: 'grid-certificate', options: {proxy: file}}],
			},
		});
		const [status] = await gatepass.status();
		expect(status?.available).toBe(true);
		expect(status?.warnings).toEqual([expect.stringMatching(leftOut)]);
	});
});
