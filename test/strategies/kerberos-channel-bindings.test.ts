/** Channel bindings (RFC 5929) against an acceptor that enforces them. */
import {execFileSync} from 'node:child_process';
import {createHash, X509Certificate} from 'node:crypto';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {request} from 'undici';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {createGatepass, KerberosExchangeError} from '../../src/index.ts';
import {tlsServerEndPoint} from '../../strategies/kerberos/channel-bindings.ts';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith, findProgram} from '../servers/availability.ts';
import {type CbtAcceptor, cbtAcceptor, startCbtAcceptor} from '../servers/cbt-acceptor.ts';
import {mitKdc} from '../servers/kdc.ts';
import {failureOf, libraries, useRealm} from './kerberos-setup.ts';

/** Kinds of keys and signatures, and the hash function that RFC 5929 makes of each. */
const kinds = [
	{name: 'RSA with SHA-256', key: ['rsa:2048'], digest: 'sha256', hash: 'sha256'},
	{name: 'RSA with SHA-384', key: ['rsa:2048'], digest: 'sha384', hash: 'sha384'},
	{
		name: 'RSA-PSS with SHA-512',
		key: ['rsa:2048', '-sigopt', 'rsa_padding_mode:pss'],
		digest: 'sha512',
		hash: 'sha512',
	},
	{
		name: 'ECDSA with SHA-256',
		key: ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
		digest: 'sha256',
		hash: 'sha256',
	},
	{
		name: 'ECDSA with SHA-384',
		key: ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384'],
		digest: 'sha384',
		hash: 'sha384',
	},
	{
		name: 'ECDSA with SHA-512',
		key: ['ec', '-pkeyopt', 'ec_paramgen_curve:P-521'],
		digest: 'sha512',
		hash: 'sha512',
	},
] as const;

describeWith([mitKdc, apacheNegotiate, cbtAcceptor], 'channel bindings', () => {
	const realm = useRealm();
	let folder: string;
	const open: {close(): Promise<void>}[] = [];
	beforeAll(() => {
		folder = mkdtempSync(join(tmpdir(), 'gatepass-bindings-'));
	});
	afterAll(async () => {
		await Promise.all(open.map(one => one.close()));
		rmSync(folder, {recursive: true, force: true});
	});

	function makeCertificate(
		name: string,
		key: readonly string[],
		digest: string,
	): {certificate: string; key: string} {
		const files = {certificate: join(folder, `${name}.pem`), key: join(folder, `${name}.key`)};
		execFileSync(
			findProgram('openssl') as string,
			[
				...['req', '-x509', '-newkey', ...key, `-${digest}`, '-nodes', '-days', '2'],
				...['-keyout', files.key, '-out', files.certificate, '-subj', '/CN=localhost'],
				...['-addext', 'subjectAltName=DNS:localhost'],
			],
			{stdio: 'ignore'},
		);
		return files;
	}

	async function clientOf(
		acceptors: readonly CbtAcceptor[],
		ca: string | string[],
		options: Record<string, unknown>,
	) {
		const gatepass = await createGatepass({
			config: {
				cache: {url: 'memory:'},
				trust: [{match: 'localhost:*', ca, only: true}],
				hostRules: acceptors.map(({url}) => ({
					match: url,
					strategy: 'kerberos',
					options: {
						keytab: realm.kdc.keytabs.robot,
						principal: `robot@${realm.kdc.realm}`,
						...options,
					},
				})),
			},
		});
		open.push(gatepass);
		return gatepass;
	}

	describe.each(libraries)('over %s', library => {
		test.for(kinds)('$name', async ({name, key, digest, hash}, context) => {
			const files = makeCertificate(`${library}-${name.replaceAll(' ', '-')}`, key, digest);
			const acceptor = await startCbtAcceptor(realm.kdc, files, hash);
			open.push(acceptor);
			for (const preemptive of [false, true]) {
				const gatepass = await clientOf([acceptor], files.certificate, {
					library,
					preemptive,
					channelBindings: 'required',
				});
				const url = `${acceptor.url}/strict`;
				const {dispatcher} = gatepass;
				for (const send of [
					async () => (await gatepass.got(url)).body,
					async () => (await gatepass.fetch(url)).text(),
					async () => (await request(url, {dispatcher})).body.text(),
				]) {
					// Twice: over a new connection, and over one of the pool.
					for (let time = 0; time < 2; time++) {
						context.expect(await send()).toBe(`robot@${realm.kdc.realm} bound=True`);
					}
				}
			}
		});

		test('without bindings a server that demands them refuses', async () => {
			const files = makeCertificate(`${library}-none`, kinds[3].key, 'sha256');
			const acceptor = await startCbtAcceptor(realm.kdc, files, 'sha256');
			open.push(acceptor);
			const gatepass = await clientOf([acceptor], files.certificate, {
				library,
				channelBindings: false,
				// It says why to whoever has proven nothing yet.
				sanitizeErrorResponse: false,
			});
			const response = await gatepass.got(`${acceptor.url}/strict`, {throwHttpErrors: false});
			expect([response.statusCode, response.body]).toEqual([401, 'channel bindings are required']);
			expect((await gatepass.got(acceptor.url)).body).toContain('bound=False');
		});

		test('bindings of another certificate are refused', async () => {
			const files = makeCertificate(`${library}-wrong`, kinds[3].key, 'sha256');
			// It holds its own certificate for one with SHA-512: as a machine in the middle, whose certificate differs.
			const acceptor = await startCbtAcceptor(realm.kdc, files, 'sha512');
			open.push(acceptor);
			const gatepass = await clientOf([acceptor], files.certificate, {library});
			const response = await gatepass.got(acceptor.url, {throwHttpErrors: false});
			expect(response.statusCode).toBe(401);
		});
	});

	test('every connection has its own, where a balancer has two certificates', async () => {
		const [one, other] = [
			makeCertificate('one', kinds[3].key, 'sha256'),
			makeCertificate('other', kinds[4].key, 'sha384'),
		];
		const acceptors = await Promise.all([
			startCbtAcceptor(realm.kdc, one, 'sha256'),
			startCbtAcceptor(realm.kdc, other, 'sha384'),
		]);
		open.push(...acceptors);
		const gatepass = await clientOf(acceptors, [one.certificate, other.certificate], {
			channelBindings: 'required',
		});
		const answers = await Promise.all(
			Array.from({length: 80}, async (_, index) => {
				const url = `${acceptors[index % 2]?.url}/strict`;
				return index < 40 ? (await gatepass.got(url)).body : (await gatepass.fetch(url)).text();
			}),
		);
		expect(new Set(answers)).toEqual(new Set([`robot@${realm.kdc.realm} bound=True`]));
	});

	test("'required' is refused where there is nothing to bind to", async () => {
		const gatepass = await realm.gatepassWith({
			credentialCache: await realm.kdc.ticket(),
			channelBindings: 'required',
		});
		const overHttp = await failureOf(gatepass.got(realm.url('http', '/negotiate')));
		expect(overHttp).toBeInstanceOf(KerberosExchangeError);
		expect(overHttp.message).toContain('is plain http');
		const alone = await failureOf(
			gatepass.authorize(realm.url('https', '/negotiate')).then(({headers}) => {
				if (headers.authorization === undefined) throw new KerberosExchangeError('no header');
			}),
		);
		expect(alone).toBeInstanceOf(KerberosExchangeError);
	});

	test.for([
		['md5', 'sha256'],
		['sha1', 'sha256'],
		['sha224', 'sha224'],
		['sha256', 'sha256'],
		['sha384', 'sha384'],
		['sha512', 'sha512'],
	] as const)('RSA with %s is hashed with %s', ([digest, hash], context) => {
		const files = makeCertificate(`hash-${digest}`, ['rsa:2048'], digest);
		const {raw} = new X509Certificate(readFileSync(files.certificate));
		const expected = Buffer.concat([
			Buffer.from('tls-server-end-point:'),
			createHash(hash).update(raw).digest(),
		]);
		context.expect(Buffer.from(tlsServerEndPoint(raw) ?? []).toString('hex')).toBe(expected.toString('hex'));
	});

	test('Ed25519 has no bindings (RFC 5929 defines none)', () => {
		const files = makeCertificate('ed25519', ['ed25519'], 'sha256');
		expect(tlsServerEndPoint(new X509Certificate(readFileSync(files.certificate)).raw)).toBeUndefined();
	});
});
