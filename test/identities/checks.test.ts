/** What is wrong with an identity is told before any server sees it: each time with the file and the hint. */
import {
	chmodSync,
	chownSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	rmSync,
	symlinkSync,
	truncateSync,
	writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {checkKeyFile} from '../../src/identities/checks.ts';
import {type IdentityPlace, readIdentity} from '../../src/identities/read-identity.ts';
import {cpuOf} from '../cpu-time.ts';
import {describeWith} from '../servers/availability.ts';
import {createGridPki, type GridPki} from '../servers/grid-pki.ts';
import {opensslServer} from '../servers/openssl-server.ts';

const isRoot = process.geteuid?.() === 0;
const isWindows = process.platform === 'win32';

describeWith(opensslServer, 'an identity that cannot be used', () => {
	let pki: GridPki;
	let folder: string;
	let certificate: string;
	let key: string;
	let alice: {certificate: Buffer; key: Buffer};

	beforeAll(async () => {
		pki = await createGridPki();
		alice = {certificate: readFileSync(pki.users.alice.certificate), key: readFileSync(pki.users.alice.key)};
	});
	afterAll(() => pki.close());
	beforeEach(() => {
		folder = mkdtempSync(join(tmpdir(), 'gatepass-checks-'));
		certificate = join(folder, 'usercert.pem');
		key = join(folder, 'userkey.pem');
		writeFileSync(certificate, alice.certificate);
		writeFileSync(key, alice.key, {mode: 0o600});
	});
	afterEach(() => rmSync(folder, {recursive: true, force: true}));

	async function refusal(change: Partial<IdentityPlace> = {}): Promise<{code: string; message: string}> {
		const place: IdentityPlace = {kind: 'pair', certificate, key, namedBy: 'the test', ...change};
		const error: unknown = await readIdentity(place).then(
			() => undefined,
			error => error,
		);
		const {code = '', message = 'It was taken'} = (error ?? {}) as NodeJS.ErrnoException;
		return {code, message: message.replaceAll(`${folder}/`, '')};
	}
	const refused = (message: string | RegExp) => ({
		code: 'ERR_GATEPASS_CERTIFICATE',
		message: expect.stringMatching(
			typeof message === 'string'
				? new RegExp(`^${message.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`)
				: message,
		),
	});

	/** Have `grid` sign alice's request again. */
	async function sign(...parameters: string[]): Promise<Buffer> {
		await pki.openssl(
			...['ca', '-batch', '-notext', '-config', 'ca.cnf', '-in', 'alice.csr', '-extfile', 'alice.ext'],
			...['-keyfile', 'grid.key', '-cert', 'grid.pem', '-out', 'signed.pem', ...parameters],
		);
		return readFileSync(`${pki.folder}/signed.pem`);
	}

	test('nothing is wrong with what these tests begin with', async () => {
		expect((await refusal()).message).toBe('It was taken');
	});

	test('ended', async () => {
		writeFileSync(certificate, await sign('-startdate', '20200101000000Z', '-enddate', '20210301120000Z'));
		expect(await refusal()).toEqual(refused('The certificate usercert.pem expired on 2021-03-01. Renew it'));
	});

	test('yet to come', async () => {
		writeFileSync(certificate, await sign('-startdate', '20480101000000Z', '-enddate', '20490101000000Z'));
		expect(await refusal()).toEqual(
			refused(
				"The certificate usercert.pem begins on 2048-01-01. Check this machine's clock, or use an older one until then",
			),
		);
	});

	test('an expired CA in its chain', async () => {
		const ca = ['ca', '-batch', '-notext', '-config', 'ca.cnf', '-keyfile', 'root.key', '-cert', 'root.pem'];
		const dates = ['-startdate', '20200101000000Z', '-enddate', '20210301120000Z'];
		await pki.openssl(...ca, ...dates, '-in', 'grid.csr', '-extfile', 'grid.ext', '-out', 'old-grid.pem');
		writeFileSync(
			certificate,
			Buffer.concat([alice.certificate, readFileSync(`${pki.folder}/old-grid.pem`)]),
		);
		expect(await refusal()).toEqual(
			refused(
				"The certificate of CN=Gatepass Grid CA,DC=gatepass,DC=org, in the chain of usercert.pem expired on 2021-03-01. Put its CA's present certificate in its place, or take it out",
			),
		);
		// The present one beside it puts it right.
		writeFileSync(
			certificate,
			Buffer.concat([
				alice.certificate,
				readFileSync(`${pki.folder}/old-grid.pem`),
				readFileSync(`${pki.folder}/grid.pem`),
			]),
		);
		expect((await refusal()).message).toBe('It was taken');
	});

	test('self-signed', async () => {
		await pki.openssl(
			'req',
			'-x509',
			'-key',
			'alice.key',
			'-subj',
			'/CN=alice',
			'-days',
			'5',
			'-out',
			'self.pem',
			'-addext',
			'basicConstraints=critical,CA:FALSE',
		);
		writeFileSync(certificate, readFileSync(`${pki.folder}/self.pem`));
		expect(await refusal()).toEqual(
			refused(
				'The certificate usercert.pem is self-signed, so servers refuse it. Have one issued by a certificate authority that the server trusts',
			),
		);
	});

	test("a CA's own", async () => {
		expect(await refusal({certificate: `${pki.folder}/root.pem`, key: `${pki.folder}/root.key`})).toEqual(
			refused(/root\.pem is that of a certificate authority\. Name a certificate that this CA issued$/),
		);
	});

	test('key of another certificate', async () => {
		writeFileSync(key, readFileSync(pki.users.ecdsa.key));
		expect(await refusal()).toEqual(
			refused(
				'The key userkey.pem does not belong to the certificate usercert.pem. Name the pair that was issued together',
			),
		);
	});

	test('key of another certificate, in one file', async () => {
		writeFileSync(key, Buffer.concat([alice.certificate, readFileSync(pki.users.ecdsa.key)]));
		expect(await refusal({kind: 'proxy', certificate: key})).toEqual(
			refused(
				'The key in userkey.pem does not belong to any certificate in it. Put the pair into it that was issued together',
			),
		);
	});

	test('swapped', async () => {
		chmodSync(certificate, 0o600);
		expect(await refusal({certificate: key, key: certificate})).toEqual(
			refused(
				"userkey.pem holds no certificate. It holds a private key: are 'certificate' and 'key' exchanged?",
			),
		);
	});

	test('no robot, though one is required', async () => {
		expect(await refusal({requireRobot: true})).toEqual(
			refused(
				"The certificate usercert.pem is that of a person, but 'requireRobot' is set. Name a robot's, or take 'requireRobot' out",
			),
		);
	});

	test('a file that is missing', async () => {
		rmSync(key);
		expect(await refusal()).toEqual({
			code: 'ERR_GATEPASS_CREDENTIAL_UNAVAILABLE',
			message: 'There is no file userkey.pem. Put the certificate or key there, or name another place',
		});
	});

	test('a folder where a file should be', async () => {
		rmSync(certificate);
		mkdirSync(certificate);
		expect(await refusal()).toEqual(refused('usercert.pem is not a file but a folder. Name the file itself'));
	});

	test('3 GB, before anything of it is read', async () => {
		writeFileSync(key, '-----BEGIN RSA PRIVATE KEY-----\n');
		// Takes no room on the disk. Read in pieces, it would take seconds; at once, it could not be.
		truncateSync(key, 3_000_000_000);
		const spent = await cpuOf(async () =>
			expect(await refusal()).toEqual(
				refused('userkey.pem has 3000000000 bytes, too many for a certificate or key. Name another file'),
			),
		);
		expect(spent).toBeLessThan(500);
	});

	test.skipIf(isWindows)('symbolic links in a circle', async () => {
		rmSync(certificate);
		symlinkSync('other.pem', certificate);
		symlinkSync('usercert.pem', join(folder, 'other.pem'));
		expect(await refusal()).toEqual(
			refused('usercert.pem is a symbolic link that leads back to itself. Let it point to a file'),
		);
	});

	test.skipIf(isWindows)('a symbolic link to nothing', async () => {
		rmSync(certificate);
		symlinkSync('gone.pem', certificate);
		expect(await refusal()).toEqual({
			code: 'ERR_GATEPASS_CREDENTIAL_UNAVAILABLE',
			message:
				'usercert.pem is a symbolic link to a file that is not there. Put that there, or name another place',
		});
	});

	test.skipIf(isWindows)(
		'a symbolic link to the real file is the real file, and its rights are what counts',
		async () => {
			writeFileSync(join(folder, 'real.pem'), alice.key, {mode: 0o600});
			rmSync(key);
			symlinkSync('real.pem', key);
			expect((await refusal()).message).toBe('It was taken');
			chmodSync(join(folder, 'real.pem'), 0o640);
			expect(await refusal()).toEqual(refused(/^The key userkey\.pem may be read or changed by others/));
		},
	);

	test.skipIf(isWindows)('a named pipe, at which a reader would wait', async () => {
		const {execFileSync} = await import('node:child_process');
		rmSync(key);
		execFileSync('mkfifo', [key]);
		expect(await refusal()).toEqual(refused('userkey.pem is not a file. Name the file itself'));
	});

	test.skipIf(isWindows).each([0o644, 0o640, 0o660, 0o602, 0o601, 0o700, 0o777])(
		'a key with mode %o',
		async mode => {
			chmodSync(key, mode);
			const {message} = await refusal();
			const octal = mode.toString(8);
			expect(message).toMatch(
				new RegExp(
					`^The key userkey\\.pem may be .* \\(mode 0${octal}\\)\\. Run 'chmod 600 .*userkey\\.pem'$`,
				),
			);
		},
	);

	test.skipIf(isWindows).each([0o600, 0o400])('a key with mode %o is as it should be', async mode => {
		chmodSync(key, mode);
		expect((await refusal()).message).toBe('It was taken');
	});

	test.skipIf(isWindows)('a PKCS#12 file and a proxy are key files too', async () => {
		writeFileSync(key, Buffer.concat([alice.certificate, alice.key]), {mode: 0o644});
		chmodSync(key, 0o644);
		expect(await refusal({kind: 'proxy', certificate: key})).toEqual(
			refused(/may be read or changed by others \(mode 0644\)/),
		);
		const file = join(folder, 'my.p12');
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
			file,
		);
		chmodSync(file, 0o644);
		expect(await refusal({kind: 'pkcs12', certificate: file, key: file, passphrase: 'x'})).toEqual(
			refused(/^The key my\.p12 may be read or changed by others \(mode 0644\)/),
		);
	});

	test.runIf(isRoot)('owned by another user, also for root', async () => {
		chownSync(key, 65_534, 65_534);
		expect(await refusal()).toEqual(
			refused(
				"The key userkey.pem is owned by another user (65534; this one is 0). Make it your own with 'chown', or copy it to a file of your own",
			),
		);
	});
});

describe('the owner of a key', () => {
	test('is compared with who this process acts as', () => {
		expect(() => checkKeyFile('f', {mode: 0o100600, uid: 1000}, 1000)).not.toThrow();
		expect(() => checkKeyFile('f', {mode: 0o100600, uid: 1000}, 1001)).toThrow(
			"The key f is owned by another user (1000; this one is 1001). Make it your own with 'chown', or copy it to a file of your own",
		);
		expect(() => checkKeyFile('f', {mode: 0o100600, uid: 0}, 1000)).toThrow(/owned by another user/);
	});

	test.each([0o640, 0o440])("may be root, as an orchestrator's, with mode %o", mode => {
		expect(() => checkKeyFile('f', {mode: 0o100000 | mode, uid: 0}, 1000)).not.toThrow();
		// Not for root itself, whom the group has to be kept out for; nor of anybody else.
		expect(() => checkKeyFile('f', {mode: 0o100000 | mode, uid: 0}, 0)).toThrow(
			/may be read or changed by others/,
		);
		expect(() => checkKeyFile('f', {mode: 0o100000 | mode, uid: 1001}, 1000)).toThrow(
			/owned by another user/,
		);
	});

	test.each([0o600, 0o400, 0o644, 0o444, 0o660, 0o750, 0o641])('may not be root with mode %o', mode => {
		expect(() => checkKeyFile('f', {mode: 0o100000 | mode, uid: 0}, 1000)).toThrow(/owned by another user/);
	});

	test('does not count where there are no owners', () => {
		const none = undefined as unknown as number;
		const {geteuid} = process;
		process.geteuid = undefined as never;
		try {
			expect(() => checkKeyFile('f', {mode: 0o100666, uid: 0}, none)).not.toThrow();
		} finally {
			process.geteuid = geteuid as never;
		}
	});
});
