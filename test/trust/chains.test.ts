/** Chains judged by a trust store: of servers, users and proxies; and the policies of the grid's own CA folder. */

import {X509Certificate} from 'node:crypto';
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import type {TrustEntry} from '../../src/config/configuration.ts';
import {render} from '../../src/diagnostics/diagnostic.ts';
import {parsePattern} from '../../src/host-rules/pattern.ts';
import {NameRules} from '../../src/trust/name-rules.ts';
import {createTrustSet, TrustStores} from '../../src/trust/trust-stores.ts';
import {parseCertificates} from '../../src/x509/certificates.ts';
import {describeWith, findProgram} from '../servers/availability.ts';
import {opensslServer} from '../servers/openssl-server.ts';
import {type CaFolder, createPki, type Holder, type Pki, signingPolicy} from './pki.ts';

const entry = (file: string, settings: Partial<TrustEntry> = {}): TrustEntry => ({
	patterns: [parsePattern('*')],
	files: [file],
	only: true,
	source: 'trust[0]',
	...settings,
});

describeWith(opensslServer, 'a chain', () => {
	let pki: Pki;
	let root: Holder;
	let grid: Holder;
	let alice: Holder;
	let folder: CaFolder;
	let certificates: Record<'root' | 'grid' | 'alice', X509Certificate>;
	let proxies: X509Certificate[];

	beforeAll(async () => {
		pki = await createPki();
		root = await pki.authority('root', '/C=CH/CN=Root');
		grid = await pki.authority('grid', '/DC=org/CN=Grid', root);
		alice = await pki.issue('alice', '/DC=org/OU=Users/CN=alice', grid);
		folder = await pki.caFolder('cas', [root, grid]);
		certificates = {root: await root.read(), grid: await grid.read(), alice: await alice.read()};
		proxies = [await makeProxy('proxy', alice), await makeProxy('second', {...alice, name: 'proxy'})];
	});
	afterAll(() => pki?.close());

	/** A proxy certificate (RFC 3820), made by whoever has the key `by`. */
	async function makeProxy(name: string, by: Holder): Promise<X509Certificate> {
		const {subject} = new X509Certificate(readFileSync(join(pki.folder, `${by.name}.pem`)));
		const slashes = subject
			.split('\n')
			.map(part => `/${part}`)
			.join('');
		const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`];
		await pki.openssl('req', ...key, '-out', `${name}.csr`, '-subj', `${slashes}/CN=${name}`);
		const extensions =
			'keyUsage=critical,digitalSignature\nproxyCertInfo=critical,language:id-ppl-inheritAll\n';
		await writeFile(join(pki.folder, `${name}.ext`), extensions);
		await pki.openssl(
			...[
				'x509',
				'-req',
				'-in',
				`${name}.csr`,
				'-CA',
				`${by.name}.pem`,
				'-CAkey',
				`${by.name}.key`,
				'-days',
				'1',
			],
			...['-extfile', `${name}.ext`, '-out', `${name}.pem`, '-set_serial', '17'],
		);
		return new X509Certificate(readFileSync(join(pki.folder, `${name}.pem`)));
	}

	test('leads to a root of the set, to one that is not in it, or nowhere', async () => {
		const {alice, grid: ca, root: top} = certificates;
		const set = createTrustSet(entry(folder.path));
		expect(set.verifyChain([alice])).toMatchObject({end: 'complete', path: [alice, {}, {}], faults: []});
		expect(set.verifyChain([alice, ca, top])).toMatchObject({end: 'complete'});
		const onlyRoot = createTrustSet(entry(root.certificate));
		expect(onlyRoot.verifyChain([alice])).toMatchObject({end: 'incomplete', path: [alice]});
		expect(onlyRoot.verifyChain([alice, ca]).end).toBe('complete');
		const stranger = createTrustSet(entry((await pki.authority('stranger', '/CN=stranger')).certificate));
		expect(stranger.verifyChain([alice, ca]).end).toBe('incomplete');
		expect(stranger.verifyChain([alice, ca, top]).end).toBe('unknown');
		expect(stranger.verifyChain([]).end).toBe('incomplete');
	});

	test('a forged CA of the same name leads nowhere', async () => {
		const forged = await (await pki.authority('forged', '/DC=org/CN=Grid')).read();
		// With the key identifier of the true one: only the signature tells.
		const identifier = await pki.openssl(
			...['x509', '-in', grid.certificate, '-noout', '-ext', 'subjectKeyIdentifier'],
		);
		await pki.openssl(
			...[
				'req',
				'-x509',
				'-newkey',
				'ec',
				'-pkeyopt',
				'ec_paramgen_curve:P-256',
				'-nodes',
				'-keyout',
				'twin.key',
			],
			...['-out', 'twin.pem', '-subj', '/DC=org/CN=Grid', '-addext', 'keyUsage=keyCertSign'],
			...['-addext', `subjectKeyIdentifier=${identifier.trim().split('\n').at(-1)?.trim()}`],
		);
		const twin = new X509Certificate(readFileSync(join(pki.folder, 'twin.pem')));
		expect(certificates.alice.checkIssued(twin)).toBe(true);
		const set = createTrustSet(entry(root.certificate));
		for (const impostor of [forged, twin]) {
			const verdict = set.verifyChain([certificates.alice, impostor]);
			expect(verdict).toMatchObject({end: 'incomplete', path: {length: 1}});
		}
	});

	test('a trusted CA goes before one that came along', async () => {
		const again = await pki.authority('again', '/C=CH/CN=Root');
		await pki.openssl(
			...['x509', '-req', '-in', 'grid.csr', '-CA', again.certificate, '-CAkey', again.key],
			...['-set_serial', '99', '-days', '2', '-extfile', 'grid.ext', '-out', 'cross.pem'],
		);
		const cross = new X509Certificate(readFileSync(join(pki.folder, 'cross.pem')));
		const set = createTrustSet(entry(folder.path));
		const {path, end} = set.verifyChain([certificates.alice, cross]);
		expect(end).toBe('complete');
		expect(path.map(({fingerprint256}) => fingerprint256)).toEqual(
			[certificates.alice, certificates.grid, certificates.root].map(({fingerprint256}) => fingerprint256),
		);
	});

	test('of a proxy, and of a proxy of a proxy: policies are about the user alone', async () => {
		const restricted = await pki.caFolder('restricted', [root, grid]);
		await restricted.put(
			grid,
			'signing_policy',
			signingPolicy('/DC=org/CN=Grid', '/DC=org/OU=Users/CN=alice'),
		);
		const set = createTrustSet(entry(restricted.path));
		const [first, second] = proxies as [X509Certificate, X509Certificate];
		for (const chain of [
			[first, certificates.alice],
			[second, first, certificates.alice],
		]) {
			expect(set.verifyChain(chain)).toMatchObject({end: 'complete', faults: []});
		}
		await restricted.put(root, 'r0', await pki.list(root));
		await restricted.put(grid, 'r0', await pki.list(grid));
		const strict = createTrustSet(entry(restricted.path, {crl: 'require'}));
		const ofProxy = strict.verifyChain([second, first, certificates.alice]);
		expect(ofProxy).toMatchObject({revocation: 'good', faults: []});
		await restricted.put(grid, 'r0', await pki.list(grid, {revoked: [alice]}));
		const fresh = createTrustSet(entry(restricted.path));
		expect(fresh.verifyChain([second, first, certificates.alice])).toMatchObject({
			revocation: 'revoked',
			faults: [{kind: 'revoked', certificate: certificates.alice}],
		});
	});

	test('is good only where each CA has a list', async () => {
		const listed = await pki.caFolder('listed', [root, grid]);
		const revocation = () => createTrustSet(entry(listed.path)).verifyChain([certificates.alice]).revocation;
		expect(revocation()).toBe('unknown');
		await listed.put(grid, 'r0', await pki.list(grid));
		expect(revocation()).toBe('unknown');
		await listed.put(root, 'r0', await pki.list(root));
		expect(revocation()).toBe('good');
		await listed.put(grid, 'r0', await pki.list(grid, {revoked: [alice]}));
		expect(revocation()).toBe('revoked');
	});

	describe('of an identity', () => {
		const judge = (chain: X509Certificate[], ...files: string[]) =>
			new TrustStores(files.map(file => entry(file, {only: false}))).judgeIdentity(chain);

		test('by any of the trust stores that knows its CA', async () => {
			const stranger = (await pki.authority('nobody', '/CN=nobody')).certificate;
			const {alice: user, grid: ca} = certificates;
			expect(judge([user], stranger)).toEqual({outcome: 'unknown'});
			expect(judge([user], stranger, folder.path)).toMatchObject({
				outcome: 'complete',
				revocation: 'unknown',
			});
			expect(judge([user], root.certificate)).toEqual({outcome: 'unknown'});
			expect(judge([user, ca], root.certificate)).toMatchObject({outcome: 'complete'});
			expect(judge([user], grid.certificate)).toMatchObject({
				outcome: 'incomplete',
				detail: /DC=org, CN=Grid/,
			});
			expect(judge([user], '/nowhere/at/all.pem')).toEqual({outcome: 'unknown'});
		});

		test('is refused when it is revoked, but not for want of a list that holds', async () => {
			const own = await pki.caFolder('identity', [root, grid]);
			await own.put(grid, 'r0', await pki.list(grid, {nextUpdate: '20200201000000Z'}));
			expect(judge([certificates.alice], own.path)).toMatchObject({outcome: 'complete'});
			await own.put(grid, 'r0', await pki.list(grid, {revoked: [alice]}));
			expect(judge([certificates.alice], own.path)).toMatchObject({
				outcome: 'refused',
				detail: /is revoked, says/,
			});
		});
	});

	test('the mistakes in a folder that no connection has met', async () => {
		const broken = await pki.caFolder('broken', [root, grid]);
		expect(createTrustSet(entry(broken.path)).problems().map(render)).toEqual([]);
		const policy = await broken.put(root, 'signing_policy', 'nonsense\n');
		const list = await broken.put(grid, 'r0', await pki.list(grid, {nextUpdate: '20200201000000Z'}));
		await writeFile(join(broken.path, 'ffffffff.0'), 'nothing');
		expect(createTrustSet(entry(broken.path)).problems().map(render)).toEqual([
			expect.stringMatching(/^The CA file .*ffffffff\.0 holds no certificate\. It is left out/),
			expect.stringContaining(
				`cannot be told from ${policy}:1: 'nonsense' stands where 'access_id_CA' should`,
			),
			expect.stringMatching(
				new RegExp(`^The revocation list of CN=Grid,DC=org is outdated: ${list} .*fetch-crl`),
			),
		]);
	});
});

const gridFolder = '/etc/grid-security/certificates';

describeWith(
	{
		name: "the grid's CA certificates",
		install: 'apt-get install igtf-policy-classic',
		whyUnavailable: () =>
			existsSync(gridFolder) && findProgram('openssl') !== undefined
				? undefined
				: `there is no ${gridFolder}`,
	},
	'the CA folder of the grid, as Debian has it',
	() => {
		const set = createTrustSet(entry(gridFolder));
		const all = readdirSync(gridFolder)
			.filter(name => name.endsWith('.pem'))
			.flatMap(name => parseCertificates(readFileSync(join(gridFolder, name)), name));

		test('is read whole: each CA once, and no mistake in any policy', () => {
			expect(set.certificates()).toHaveLength(new Set(all.map(({fingerprint256}) => fingerprint256)).size);
			expect(set.problems().filter(({what}) => !/revocation list/.test(what))).toEqual([]);
		});

		test('lets each of its CAs have been issued by the one above it', () => {
			const below = all.filter(({issuer, subject}) => issuer !== subject);
			expect(below.length).toBeGreaterThan(10);
			for (const certificate of below) {
				const {faults} = set.verifyChain([certificate]);
				expect(faults.filter(({kind}) => kind === 'outside namespace')).toEqual([]);
			}
		});

		test('lets none give a name that belongs to another', () => {
			const rules = new NameRules();
			const find = (name: string) => all.find(({subject}) => subject.endsWith(name)) as X509Certificate;
			const cern = find('CN=CERN Grid Certification Authority');
			const elsewhere = find('CN=UK e-Science CA 2B');
			expect(rules.check([gridFolder], [elsewhere, cern])).toMatchObject({
				kind: 'outside namespace',
				certificate: elsewhere,
				what: expect.stringMatching(
					/may not give the name \/C=UK\/O=eScienceCA\/.*says .*(namespaces|signing_policy):\d+$/,
				),
			});
			const refused = all.filter(
				authority => rules.check([gridFolder], [elsewhere, authority]) !== undefined,
			);
			// All but those above it.
			expect(refused.length).toBeGreaterThan(all.length - 5);
		});
	},
);
