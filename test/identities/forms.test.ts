/** Identities in each form that the grid uses, read whole: key, certificate and chain. */
import {createPrivateKey, X509Certificate} from 'node:crypto';
import {chmodSync, copyFileSync, readFileSync, writeFileSync} from 'node:fs';
import {createSecureContext} from 'node:tls';
import {inspect} from 'node:util';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {type IdentityPlace, type LoadedIdentity, readIdentity} from '../../src/identities/read-identity.ts';
import type {CertificateFiles} from '../../src/testing/index.ts';
import {proxyInfoOf} from '../../src/x509/proxy.ts';
import {describeWith} from '../servers/availability.ts';
import {createGridPki, type GridPki} from '../servers/grid-pki.ts';
import {gridProxyTools, makeProxy, makeVomsProxy} from '../servers/grid-proxies.ts';
import {opensslServer} from '../servers/openssl-server.ts';

const base = 'DC=gatepass,DC=org';

describeWith(opensslServer, 'identities', () => {
	let pki: GridPki;
	beforeAll(async () => {
		pki = await createGridPki();
	});
	afterAll(() => pki.close());

	function read(place: Partial<IdentityPlace> & {certificate: string}): Promise<LoadedIdentity> {
		return readIdentity({kind: 'pair', key: place.certificate, namedBy: 'the test', ...place});
	}

	test.each(['alice', 'ecdsa', 'ed25519'] as const)(
		'%s: a pair, what it tells, and what is sent',
		async name => {
			const {certificate, key, subject} = pki.users[name];
			const identity = await read({certificate, key});
			const {validFromDate, validToDate, fingerprint256} = new X509Certificate(readFileSync(certificate));
			expect({...identity}).toEqual({
				subject,
				issuer: `CN=Gatepass Grid CA,${base}`,
				kind: 'person',
				thumbprint: fingerprint256.replaceAll(':', '').toLowerCase(),
				notBefore: validFromDate.getTime(),
				notAfter: validToDate.getTime(),
				files: {certificate, key},
			});
			const material = identity.material();
			expect(material.key).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
			expect(createPrivateKey(material.key).equals(createPrivateKey(readFileSync(key)))).toBe(true);
			expect(createSecureContext(material)).toBeDefined();
			const shown = inspect(identity, {depth: 10, showHidden: true}) + JSON.stringify(identity);
			expect(shown).not.toContain('PRIVATE');
			expect(shown).not.toContain(material.key.split('\n')[1]);
		},
	);

	test('a robot', async () => {
		const {certificate, key} = pki.users.robot;
		const identity = await read({certificate, key, requireRobot: true});
		expect(identity.kind).toBe('robot');
		expect(identity.subject).toBe(`CN=Robot: monit,OU=Robots,${base}`);
	});

	test.each([[], ['-legacy']])('a PKCS#12 file with its chain %j', async (...parameters) => {
		const file = `${pki.folder}/my.p12`;
		await pki.openssl(
			...['pkcs12', '-export', '-in', 'alice.pem', '-inkey', 'alice.key', '-CAfile', 'ca.pem', '-chain'],
			...[...parameters, '-passout', 'pass:secret', '-out', file],
		);
		chmodSync(file, 0o600);
		const identity = await read({kind: 'pkcs12', certificate: file, passphrase: 'secret'});
		expect(identity.chain.map(({subject}) => subject.split('\n').at(-1))).toEqual([
			'CN=alice',
			'CN=Gatepass Grid CA',
			'CN=Gatepass Root CA',
		]);
		expect(identity.files).toEqual({certificate: file, key: file});
		expect(createSecureContext(identity.material())).toBeDefined();
	});

	describeWith(gridProxyTools, 'proxies', () => {
		/** The last part of each name in the chain, and what is sent. */
		async function chainOf(file: string): Promise<string[]> {
			const identity = await read({kind: 'proxy', certificate: file});
			expect(identity.kind).toBe('proxy');
			const {cert, key} = identity.material();
			const sent = cert.split(/(?=-----BEGIN)/).map(text => new X509Certificate(text));
			expect(sent.map(one => one.fingerprint256)).toEqual(identity.chain.map(one => one.fingerprint256));
			expect(sent[0]?.checkPrivateKey(createPrivateKey(key))).toBe(true);
			// What it was made from ends later, and it cannot be used any longer than it lasts itself.
			expect(identity.notAfter).toBe(sent[0]?.validToDate.getTime());
			return identity.chain.map(({subject}) => (subject.split('\n').at(-1) as string).replace(/\d{3,}/, 'N'));
		}

		test('of grid-proxy-init', async () => {
			const file = await makeProxy(pki, 'proxy', pki.users.alice);
			expect(await chainOf(file)).toEqual(['CN=N', 'CN=alice']);
		});

		test('limited', async () => {
			const file = await makeProxy(pki, 'limited', pki.users.alice, {limited: true});
			expect(await chainOf(file)).toEqual(['CN=N', 'CN=alice']);
			const [leaf] = (await read({kind: 'proxy', certificate: file})).chain;
			expect(proxyInfoOf(leaf as X509Certificate)).toEqual({type: 'rfc3820', isLimited: true});
		});

		test('of a proxy of a proxy', async () => {
			const first = await makeProxy(pki, 'first', pki.users.alice);
			const second = await makeProxy(pki, 'second', {certificate: first, key: first}, {valid: '0:50'});
			const third = await makeProxy(pki, 'third', {certificate: second, key: second}, {valid: '0:40'});
			expect(await chainOf(third)).toEqual(['CN=N', 'CN=N', 'CN=N', 'CN=alice']);
		});

		test('of voms-proxy-fake, with the attributes of a virtual organisation', async () => {
			const file = await makeVomsProxy(pki, 'voms', pki.users.alice);
			expect(await chainOf(file)).toEqual(['CN=N', 'CN=alice']);
		});

		test('named by X509_USER_CERT and X509_USER_KEY, as a pair', async () => {
			const file = await makeProxy(pki, 'as-pair', pki.users.alice);
			expect((await read({kind: 'pair', certificate: file, key: file})).kind).toBe('proxy');
		});

		test('with its parts in any order', async () => {
			const file = await makeProxy(pki, 'shuffled', pki.users.alice);
			const parts = readFileSync(file, 'utf8').split(/(?=-----BEGIN)/);
			expect(parts).toHaveLength(3);
			writeFileSync(file, parts.reverse().join(''));
			expect(await chainOf(file)).toEqual(['CN=N', 'CN=alice']);
		});

		test("that of a robot's certificate is a robot's", async () => {
			const file = await makeProxy(pki, 'robot-proxy', pki.users.robot);
			expect((await read({kind: 'proxy', certificate: file, requireRobot: true})).kind).toBe('proxy');
			const ofAlice = await makeProxy(pki, 'alice-proxy', pki.users.alice);
			await expect(read({kind: 'proxy', certificate: ofAlice, requireRobot: true})).rejects.toThrow(
				`The certificate ${ofAlice} is that of a person, but 'requireRobot' is set`,
			);
		});

		test('made by openssl from an ECDSA certificate', async () => {
			expect(await chainOf(await opensslProxy('openssl-proxy', pki.users.ecdsa))).toEqual([
				'CN=N',
				'CN=ecdsa',
			]);
		});

		test('without the certificate that it was made from', async () => {
			const file = await makeProxy(pki, 'alone', pki.users.alice);
			const parts = readFileSync(file, 'utf8').split(/(?=-----BEGIN)/);
			writeFileSync(file, parts.slice(0, 2).join(''));
			await expect(read({kind: 'proxy', certificate: file})).rejects.toThrow(
				`The proxy ${file} lacks the certificate that it was made from. Make it again with 'voms-proxy-init' or 'grid-proxy-init'`,
			);
		});

		test('that outlives what it was made from', async () => {
			const file = await opensslProxy('long', pki.users.alice, {days: '20'});
			await expect(read({kind: 'proxy', certificate: file})).rejects.toThrow(
				/The proxy .*long\.pem lasts until \d{4}-\d\d-\d\d, but what it was made from expires on \d{4}-\d\d-\d\d\. Make a shorter one, or renew the certificate first/,
			);
		});

		test('made from one that allows no more', async () => {
			const last = await opensslProxy('last', pki.users.alice, {pathLength: 0, days: '2'});
			expect(await chainOf(last)).toEqual(['CN=N', 'CN=alice']);
			const beyond = await opensslProxy('beyond', {certificate: last, key: last}, {chain: last});
			await expect(read({kind: 'proxy', certificate: beyond})).rejects.toThrow(
				`The proxy ${beyond} was made from a proxy that allows 0 more. Make it from the certificate itself`,
			);
		});

		test('of the old kind, told by its name', async () => {
			const file = await opensslProxy('legacy', pki.users.alice, {name: 'proxy', extension: false});
			expect(await chainOf(file)).toEqual(['CN=proxy', 'CN=alice']);
			const [leaf] = (await read({kind: 'proxy', certificate: file})).chain;
			expect(proxyInfoOf(leaf as X509Certificate)).toEqual({type: 'legacy', isLimited: false});
		});
	});

	interface OpensslProxy {
		readonly days?: string;
		readonly pathLength?: number;
		readonly name?: string;
		readonly extension?: boolean;
		/** A proxy file from which the chain is taken. */
		readonly chain?: string;
	}

	/** A proxy as `openssl` makes it: certificate, key, chain. */
	async function opensslProxy(
		file: string,
		from: CertificateFiles,
		{days = '1', pathLength, name = '12345678', extension = true, chain}: OpensslProxy = {},
	): Promise<string> {
		const {subject} = new X509Certificate(readFileSync(from.certificate));
		const own = [
			'-keyout',
			`${file}.key`,
			'-out',
			`${file}.csr`,
			'-subj',
			`/${subject.replaceAll('\n', '/')}/CN=${name}`,
		];
		await pki.openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', ...own);
		const length = pathLength === undefined ? '' : `,pathlen:${pathLength}`;
		const info = extension ? `proxyCertInfo=critical,language:id-ppl-inheritAll${length}\n` : '';
		writeFileSync(`${pki.folder}/${file}.ext`, `keyUsage=critical,digitalSignature\n${info}`);
		await pki.openssl(
			...['x509', '-req', '-in', `${file}.csr`, '-CA', from.certificate, '-CAkey', from.key, '-days', days],
			...['-extfile', `${file}.ext`, '-set_serial', '12345678', '-out', `${file}.crt`],
		);
		const path = `${pki.folder}/${file}.pem`;
		const parts = [`${pki.folder}/${file}.crt`, `${pki.folder}/${file}.key`, chain ?? from.certificate];
		writeFileSync(path, parts.map(part => readFileSync(part, 'utf8')).join(''), {mode: 0o600});
		return path;
	}

	test('one key, two certificates: the one that is valid, and the latest', async () => {
		const ca = ['ca', '-batch', '-notext', '-config', 'ca.cnf', '-keyfile', 'grid.key', '-cert', 'grid.pem'];
		const own = ['-in', 'alice.csr', '-extfile', 'alice.ext'];
		await pki.openssl(
			...ca,
			...own,
			'-startdate',
			'20200101000000Z',
			'-enddate',
			'20210101000000Z',
			'-out',
			'old.pem',
		);
		await pki.openssl(...ca, ...own, '-days', '20', '-out', 'new.pem');
		const file = `${pki.folder}/all.pem`;
		const texts = ['old', 'alice', 'new'].map(name => readFileSync(`${pki.folder}/${name}.pem`, 'utf8'));
		writeFileSync(file, texts.join(''));
		const identity = await read({certificate: file, key: pki.users.alice.key});
		expect(identity.chain[0]?.toString().trim()).toBe(texts[2]?.trim());
		expect(identity.chain).toHaveLength(1);
	});

	test('a chain is judged where somebody can, and each verdict has its words', async () => {
		const {certificate, key} = pki.users.alice;
		const place: IdentityPlace = {kind: 'pair', certificate, key, namedBy: 'the test'};
		const judged: string[][] = [];
		for (const outcome of ['complete', 'unknown'] as const) {
			await readIdentity(place, async chain => {
				judged.push(chain.map(({subject}) => subject));
				return {outcome};
			});
		}
		expect(judged).toEqual(Array(2).fill([new X509Certificate(readFileSync(certificate)).subject]));
		await expect(
			readIdentity(place, () => ({outcome: 'incomplete', detail: 'CN=X is missing'})),
		).rejects.toThrow(
			`The chain of ${certificate} is not complete: CN=X is missing. Append the certificates of its CA to it`,
		);
		await expect(readIdentity(place, () => ({outcome: 'refused', detail: 'it was revoked'}))).rejects.toThrow(
			`The certificate ${certificate} is refused: it was revoked. Have a new one issued`,
		);
	});

	test('a copy elsewhere is the same identity by its thumbprint', async () => {
		const copies = {certificate: `${pki.folder}/copy.pem`, key: `${pki.folder}/copy.key`};
		copyFileSync(pki.users.alice.certificate, copies.certificate);
		copyFileSync(pki.users.alice.key, copies.key);
		expect((await read(copies)).thumbprint).toBe((await read(pki.users.alice)).thumbprint);
	});
});
