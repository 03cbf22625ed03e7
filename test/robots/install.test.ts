/** What is let in as the answer to a request, in any form, and what is not. */
import {execFileSync} from 'node:child_process';
import {X509Certificate} from 'node:crypto';
import {existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi} from 'vitest';
import {CertificateError} from '../../src/errors.ts';
import type {KeyType} from '../../src/robots/certificate-request.ts';
import {goBack, type Installation, install} from '../../src/robots/install.ts';
import {knownFolders} from '../../src/robots/known-folders.ts';
import {listIdentity} from '../../src/robots/list.ts';
import {requestCertificate} from '../../src/robots/request.ts';
import {createTestAuthority, type SigningSettings, type TestAuthority} from '../../src/testing/index.ts';
import {findProgram} from '../servers/availability.ts';

const ecdsa: KeyType = {type: 'ecdsa', curve: 'secp256r1'};
const subject = 'CN=Robot: cmsprod,OU=Users,DC=example';
const hour = 3_600_000;

let authority: TestAuthority;
let other: TestAuthority;
let home: string;
let path: string;

beforeAll(async () => {
	[authority, other] = await Promise.all([createTestAuthority(), createTestAuthority()]);
});
afterAll(() => Promise.all([authority?.close(), other?.close()]));
beforeEach(() => {
	home = mkdtempSync(join(tmpdir(), 'gatepass-robots-'));
	path = join(home, 'identity');
	vi.stubEnv('HOME', home);
	vi.stubEnv('XDG_STATE_HOME', '');
	vi.stubEnv('CERN_CERTIFICATE_PATH', '');
});
afterEach(() => {
	vi.unstubAllEnvs();
	rmSync(home, {recursive: true});
});

async function request(serviceAccount?: string, keyType = ecdsa): Promise<string> {
	const settings = {path, serviceAccount, keyType, authority: {kind: 'by-hand'} as const};
	return (await requestCertificate(settings)).text;
}

async function installText(text: string | Buffer, allowNewSubject = false): Promise<Installation> {
	return install({path, bytes: Buffer.from(text), source: 'issued.pem', allowNewSubject});
}

/** From the request to the use. */
async function live(settings: SigningSettings = {}): Promise<Installation> {
	return installText(await authority.sign(await request('cmsprod'), {subject, ...settings}));
}

async function refusal(work: Promise<unknown>): Promise<string> {
	const error = await work.then(
		() => undefined,
		(failure: unknown) => failure,
	);
	expect(error).toBeInstanceOf(CertificateError);
	return (error as Error).message;
}

const inUse = (): X509Certificate => new X509Certificate(readFileSync(join(path, 'usercert.pem')));
const ca = (): string => readFileSync(authority.ca, 'utf8');

describe('a request', () => {
	test.each([
		[{type: 'rsa', size: 2048}, 'rsa', 2048],
		[{type: 'ecdsa', curve: 'secp384r1'}, 'ec', 'secp384r1'],
	] as const)('with %j is signed with the key that stays', async (keyType, type, detail) => {
		const text = await request('cmsprod', keyType);
		const certificate = new X509Certificate(await authority.sign(text));
		expect(certificate.subject).toBe('CN=Robot: cmsprod');
		expect(certificate.publicKey.asymmetricKeyType).toBe(type);
		const {modulusLength, namedCurve} = certificate.publicKey.asymmetricKeyDetails ?? {};
		expect(modulusLength ?? namedCurve).toBe(detail);
		const file = join(path, '.gatepass/pending/userkey.pem');
		expect(statSync(file).mode & 0o777).toBe(0o600);
		expect(statSync(join(path, '.gatepass/pending')).mode & 0o777).toBe(0o700);
		await installText(await authority.sign(text, {}));
	});

	test('asked for again, it is the same one; another account needs another folder', async () => {
		const first = await request('cmsprod');
		expect(await request('cmsprod')).toBe(first);
		expect(await request()).toBe(first);
		await expect(request('atlasprod')).rejects.toThrow(
			/A request for cmsprod is pending in .*--to for atlasprod/,
		);
	});

	test.each(['', 'a/b', 'a=b', ' a', 'a ', 'a,b', 'a\nb', 'ü', '-a', 'x'.repeat(58)])(
		'%j is no service account',
		async name => {
			await expect(request(name)).rejects.toThrow('is no such name');
			expect(existsSync(path)).toBe(false);
		},
	);

	test('asks for the very subject of the certificate in use, and keeps that in use', async () => {
		const {certificate} = await live();
		const text = await request();
		const asked = new X509Certificate(await authority.sign(text));
		expect(asked.subject).toBe('DC=example\nOU=Users\nCN=Robot: cmsprod');
		expect(asked.publicKey.equals(certificate.publicKey)).toBe(false);
		expect(inUse().fingerprint256).toBe(certificate.fingerprint256);
	});

	test('is not made in the folder of another robot, or of a person', async () => {
		await live();
		await expect(request('atlasprod')).rejects.toThrow(
			`holds the robot ${subject}, whose successor keeps that subject. Name another folder with --to for atlasprod`,
		);
		const person = await authority.issue('person', {subject: 'CN=alice'});
		path = join(home, 'person');
		execFileSync('mkdir', [path]);
		writeFileSync(join(path, 'usercert.pem'), readFileSync(person.certificate));
		await expect(request('cmsprod')).rejects.toThrow(
			/holds a certificate that is no robot's: CN=alice\. Name a folder of its own/,
		);
	});
});

describe('an issued certificate', () => {
	test('is let in as PEM with its chain; the root is not sent on', async () => {
		const issued = await authority.sign(await request('cmsprod'), {subject});
		const {warnings} = await installText(`Subject: whatever\r\n${ca()}${issued.replaceAll('\n', '\r\n')}`);
		expect(warnings).toEqual([]);
		expect(readFileSync(join(path, 'usercert.pem'), 'utf8')).toBe(new X509Certificate(issued).toString());
		expect(inUse().checkPrivateKey(await keyInUse())).toBe(true);
		expect(statSync(join(path, 'userkey.pem')).mode & 0o777).toBe(0o600);
		expect(statSync(join(path, 'usercert.pem')).mode & 0o777).toBe(0o644);
		expect(existsSync(join(path, '.gatepass/pending'))).toBe(false);
	});

	test('is let in as DER', async () => {
		const {raw} = new X509Certificate(await authority.sign(await request('cmsprod'), {subject}));
		expect((await installText(raw)).certificate.raw).toEqual(raw);
	});

	test.skipIf(findProgram('openssl') === undefined).each([
		['PEM', 'PKCS7'],
		['PEM as Microsoft labels it', 'CERTIFICATE'],
		['DER', undefined],
	])('is let in as PKCS#7 in %s', async (_, label) => {
		const issued = await authority.sign(await request('cmsprod'), {subject});
		const file = join(home, 'issued.pem');
		writeFileSync(file, issued);
		const parameters = ['crl2pkcs7', '-nocrl', '-certfile', authority.ca, '-certfile', file];
		const form = ['-outform', label === undefined ? 'DER' : 'PEM'];
		const bytes = execFileSync('openssl', [...parameters, ...form]);
		await installText(label === undefined ? bytes : bytes.toString().replaceAll('PKCS7', label));
		expect(inUse().fingerprint256).toBe(new X509Certificate(issued).fingerprint256);
	});

	test.each<[string, SigningSettings, RegExp]>([
		['for nobody known', {subject: 'CN=cmsprod'}, /is for no robot: CN=cmsprod has no 'CN=Robot:'/],
		['for a person', {subject: 'CN=bob', policies: ['1.2.840.113612.5.2.3.3.3']}, /is for a person/],
		['ended', {subject, notAfter: Date.now() - 1000}, /ended on .* UTC\. Ask for a new one/],
		['yet to come', {subject, notBefore: Date.now() + hour}, /begins on .* UTC\. Check this machine's clock/],
	])('%s is refused', async (_, settings, message) => {
		const text = await authority.sign(await request('cmsprod'), settings);
		expect(await refusal(installText(text))).toMatch(message);
		expect(existsSync(join(path, 'usercert.pem'))).toBe(false);
		expect(existsSync(join(path, '.gatepass/pending/userkey.pem'))).toBe(true);
	});

	test('with a policy of robots is a robot’s, whatever its name', async () => {
		await live({subject: 'CN=cmsprod', policies: ['1.2.840.113612.5.2.3.3.1']});
		expect(inUse().subject).toBe('CN=cmsprod');
	});

	test.each([
		['serverAuth', ['-CA', 'ca.pem', '-CAkey', 'ca.key'], /is not meant for clients.*clientAuth/],
		['clientAuth', ['-signkey', 'identity/.gatepass/pending/userkey.pem'], /is self-signed/],
	])('for %s, by %j, is refused', async (usage, issuer, message) => {
		const openssl = (...parameters: string[]) =>
			execFileSync('openssl', parameters, {cwd: home, stdio: 'pipe'});
		const ca = ['-newkey', 'rsa:2048', '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=CA'];
		openssl('req', '-x509', ...ca);
		writeFileSync(join(home, 'ext'), `extendedKeyUsage=${usage}\nbasicConstraints=CA:FALSE\n`);
		await request('cmsprod');
		const csr = 'identity/.gatepass/pending/usercert_request.pem';
		const text = openssl(
			'x509',
			'-req',
			'-in',
			csr,
			...issuer,
			'-extfile',
			'ext',
			'-days',
			'1',
			'-set_serial',
			'7',
		);
		expect(await refusal(installText(text))).toMatch(message);
	});

	test('of another key is refused, and says for which request one is wanted', async () => {
		const text = await authority.sign(await request('cmsprod'), {subject});
		const [first] = [path];
		path = join(home, 'second');
		await request('cmsprod');
		expect(await refusal(installText(text))).toBe(
			`The certificate in issued.pem (${subject}) does not belong to the request that is pending in ${path}. ` +
				`Download the one that was issued for ${path}/.gatepass/pending/usercert_request.pem`,
		);
		path = join(home, 'third');
		expect(await refusal(installText(text))).toContain(`No request is pending in ${path}`);
		path = first;
		await installText(text);
	});

	test('with a CA that did not sign it is refused', async () => {
		const text = await authority.sign(await request('cmsprod'), {subject});
		const wrong = readFileSync(other.ca, 'utf8');
		expect(await refusal(installText(text + wrong))).toContain('that is not the one that signed');
	});

	test.each(['', 'hello', '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'])(
		'%j is refused',
		async text => {
			await request('cmsprod');
			expect(await refusal(installText(text))).toContain('issued.pem');
		},
	);

	test('cut off in PKCS#7 is refused', async () => {
		await request('cmsprod');
		const bytes = execFileSync('openssl', [
			'crl2pkcs7',
			'-nocrl',
			'-certfile',
			authority.ca,
			'-outform',
			'DER',
		]);
		expect(await refusal(installText(bytes.subarray(0, 200)))).toContain('is damaged or cut off');
	});
});

describe('a successor', () => {
	test('keeps the subject, unless that is allowed to change', async () => {
		const {certificate} = await live();
		const text = await authority.sign(await request(), {subject: 'CN=Robot: cmsprod,OU=Robots,DC=example'});
		expect(await refusal(installText(text))).toMatch(
			/has the subject CN=Robot: cmsprod,OU=Robots,DC=example, but the one in use has .*--allow-new-subject/,
		);
		expect(inUse().fingerprint256).toBe(certificate.fingerprint256);
		const {warnings, replaced} = await installText(text, true);
		expect(warnings).toEqual([
			`The subject has changed from ${subject} to CN=Robot: cmsprod,OU=Robots,DC=example: servers have to know it`,
		]);
		expect(replaced?.certificate.fingerprint256).toBe(certificate.fingerprint256);
	});

	test('goes back, and on again with the file or with what is kept', async () => {
		const first = (await live()).certificate.serialNumber;
		const text = await authority.sign(await request(), {subject});
		await installText(text);
		const second = new X509Certificate(text).serialNumber;
		expect((await goBack(path)).certificate.serialNumber).toBe(first);
		expect(inUse().serialNumber).toBe(first);
		await expect(goBack(path)).rejects.toThrow('There is no certificate before the present one');
		await installText(text);
		expect(inUse().serialNumber).toBe(second);
		expect((await listIdentity(path))?.versions.map(({current}) => current)).toEqual([false, true]);
		// From one that was gone back to, a successor leads back there.
		await goBack(path);
		await live();
		expect((await goBack(path)).certificate.serialNumber).toBe(first);
	});

	test('does not go back to one that has ended', async () => {
		vi.useFakeTimers({toFake: ['Date'], now: Date.now()});
		try {
			await live({notAfter: Date.now() + hour});
			await live();
			vi.setSystemTime(Date.now() + 2 * hour);
			expect(await refusal(goBack(path))).toMatch(/ended on .*'gatepass cert request'/);
		} finally {
			vi.useRealTimers();
		}
	});

	test('is put beside files that came by other means, which are kept', async () => {
		const robot = await authority.issue('adopted', {subject});
		execFileSync('mkdir', [path]);
		// As some people do it.
		symlinkSync(robot.certificate, join(path, 'usercert.pem'));
		writeFileSync(join(path, 'userkey.pem'), readFileSync(robot.key), {mode: 0o600});
		const before = inUse().serialNumber;
		await live();
		expect(inUse().serialNumber).not.toBe(before);
		expect((await goBack(path)).certificate.serialNumber).toBe(before);
		expect(inUse().checkPrivateKey(await keyInUse())).toBe(true);
	});
});

describe('the list', () => {
	test('knows the folders that commands were told', async () => {
		expect(await knownFolders()).toEqual([]);
		await request('cmsprod');
		expect(await knownFolders()).toEqual([path]);
		expect(await listIdentity(path)).toMatchObject({
			name: 'cmsprod',
			domains: [],
			due: false,
			pending: {subject: 'CN=Robot: cmsprod'},
		});
		rmSync(path, {recursive: true});
		expect(await knownFolders()).toEqual([]);
	});

	test.each([
		[31 * 24, 400 * 24, false],
		[29 * 24, 400 * 24, true],
		[5, 12, false],
		[3, 12, true],
		[-1, 12, true],
	])('a certificate with %i of %i hours left is due: %s', async (left, whole, due) => {
		const end = Date.now() + left * hour;
		const robot = await authority.issue('timed', {subject, notBefore: end - whole * hour, notAfter: end});
		execFileSync('mkdir', [path]);
		writeFileSync(join(path, 'usercert.pem'), readFileSync(robot.certificate));
		expect(await listIdentity(path)).toMatchObject({
			name: 'cmsprod',
			kind: 'robot',
			subject,
			due,
			versions: [],
		});
	});

	test('names the hosts of a host certificate, and tells of a damaged one', async () => {
		const host = await authority.issue('host', {
			subject: 'CN=www.example.org',
			hosts: ['www.example.org', '10.0.0.1'],
		});
		execFileSync('mkdir', [path]);
		writeFileSync(join(path, 'usercert.pem'), readFileSync(host.certificate));
		expect(await listIdentity(path)).toMatchObject({
			name: 'www.example.org',
			domains: ['www.example.org'],
			kind: 'host',
		});
		writeFileSync(join(path, 'usercert.pem'), 'damaged');
		expect(await listIdentity(path)).toMatchObject({
			due: true,
			problem: expect.stringContaining('holds no certificate'),
		});
		expect(await listIdentity(join(home, 'nothing'))).toBeUndefined();
	});
});

async function keyInUse() {
	const {createPrivateKey} = await import('node:crypto');
	return createPrivateKey(readFileSync(join(path, 'userkey.pem')));
}
