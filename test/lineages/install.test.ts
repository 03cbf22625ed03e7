/** What is let in as the answer to a request, in any form, and what is not. */
import {execFileSync} from 'node:child_process';
import {X509Certificate} from 'node:crypto';
import {
	existsSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	statSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, test, vi} from 'vitest';
import {goBack} from '../../src/lineages/install.ts';
import {listIdentity} from '../../src/lineages/list.ts';
import {revoke} from '../../src/lineages/revoke.ts';
import {createTestAuthority, type SigningSettings, type TestAuthority} from '../../src/testing/index.ts';
import {findProgram} from '../servers/availability.ts';
import {RobotHome, refusal, subject} from './robot-home.ts';

const hour = 3_600_000;

const robot = RobotHome.forEachTest();

let other: TestAuthority;
beforeAll(async () => {
	other = await createTestAuthority();
});
afterAll(() => other?.close());

describe('an issued certificate', () => {
	test('is let in as PEM with its chain; the root is not sent on', async () => {
		const issued = await robot.authority.sign(await robot.request('cmsprod'), {subject});
		const {warnings} = await robot.install(
			`Subject: whatever\r\n${readFileSync(robot.authority.ca, 'utf8')}${issued.replaceAll('\n', '\r\n')}`,
		);
		expect(warnings).toEqual([]);
		expect(readFileSync(join(robot.path, 'usercert.pem'), 'utf8')).toBe(
			new X509Certificate(issued).toString(),
		);
		expect(robot.inUse().checkPrivateKey(robot.keyInUse())).toBe(true);
		expect(statSync(join(robot.path, 'userkey.pem')).mode & 0o777).toBe(0o600);
		expect(statSync(join(robot.path, 'usercert.pem')).mode & 0o777).toBe(0o644);
		expect(existsSync(join(robot.path, '.gatepass/pending'))).toBe(false);
	});

	test('is let in as DER', async () => {
		const {raw} = new X509Certificate(await robot.authority.sign(await robot.request('cmsprod'), {subject}));
		expect((await robot.install(raw)).certificate.raw).toEqual(raw);
	});

	test.skipIf(findProgram('openssl') === undefined).each([
		['PEM', 'PKCS7'],
		['PEM as Microsoft labels it', 'CERTIFICATE'],
		['DER', undefined],
	])('is let in as PKCS#7 in %s', async (_, label) => {
		const issued = await robot.authority.sign(await robot.request('cmsprod'), {subject});
		const file = join(robot.home, 'issued.pem');
		writeFileSync(file, issued);
		const parameters = ['crl2pkcs7', '-nocrl', '-certfile', robot.authority.ca, '-certfile', file];
		const form = ['-outform', label === undefined ? 'DER' : 'PEM'];
		const bytes = execFileSync('openssl', [...parameters, ...form]);
		await robot.install(label === undefined ? bytes : bytes.toString().replaceAll('PKCS7', label));
		expect(robot.inUse().fingerprint256).toBe(new X509Certificate(issued).fingerprint256);
	});

	test.each<[string, SigningSettings, RegExp]>([
		['for nobody known', {subject: 'CN=cmsprod'}, /is for no robot: CN=cmsprod has no 'CN=Robot:'/],
		['for a person', {subject: 'CN=bob', policies: ['1.2.840.113612.5.2.3.3.3']}, /is for a person/],
		['ended', {subject, notAfter: Date.now() - 1000}, /expired on .* UTC\. Ask for a new one/],
		['yet to come', {subject, notBefore: Date.now() + hour}, /begins on .* UTC\. Check this machine's clock/],
	])('%s is refused', async (_, settings, message) => {
		const text = await robot.authority.sign(await robot.request('cmsprod'), settings);
		expect(await refusal(robot.install(text))).toMatch(message);
		expect(existsSync(join(robot.path, 'usercert.pem'))).toBe(false);
		expect(existsSync(join(robot.path, '.gatepass/pending/userkey.pem'))).toBe(true);
	});

	test('with a policy of robots is a robot’s, whatever its name', async () => {
		await robot.live({subject: 'CN=cmsprod', policies: ['1.2.840.113612.5.2.3.3.1']});
		expect(robot.inUse().subject).toBe('CN=cmsprod');
	});

	test.each([
		['serverAuth', ['-CA', 'ca.pem', '-CAkey', 'ca.key'], /is not meant for clients.*clientAuth/],
		['clientAuth', ['-signkey', 'identity/.gatepass/pending/userkey.pem'], /is self-signed/],
	])('for %s, by %j, is refused', async (usage, issuer, message) => {
		const openssl = (...parameters: string[]) =>
			execFileSync('openssl', parameters, {cwd: robot.home, stdio: 'pipe'});
		const ca = ['-newkey', 'rsa:2048', '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=CA'];
		openssl('req', '-x509', ...ca);
		writeFileSync(join(robot.home, 'ext'), `extendedKeyUsage=${usage}\nbasicConstraints=CA:FALSE\n`);
		await robot.request('cmsprod');
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
		expect(await refusal(robot.install(text))).toMatch(message);
	});

	test('of another key is refused, and says for which request one is wanted', async () => {
		const text = await robot.authority.sign(await robot.request('cmsprod'), {subject});
		const [first] = [robot.path];
		robot.path = join(robot.home, 'second');
		await robot.request('cmsprod');
		expect(await refusal(robot.install(text))).toBe(
			`The certificate in issued.pem (${subject}) does not belong to the request that is pending in ${robot.path}. ` +
				`Download the one that was issued for ${robot.path}/.gatepass/pending/usercert_request.pem`,
		);
		robot.path = join(robot.home, 'third');
		expect(await refusal(robot.install(text))).toContain(`No request is pending in ${robot.path}`);
		robot.path = first;
		await robot.install(text);
	});

	test('with a CA that did not sign it is refused', async () => {
		const text = await robot.authority.sign(await robot.request('cmsprod'), {subject});
		const wrong = readFileSync(other.ca, 'utf8');
		expect(await refusal(robot.install(text + wrong))).toContain('that is not the one that signed');
	});

	test.each(['', 'hello', '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'])(
		'%j is refused',
		async text => {
			await robot.request('cmsprod');
			expect(await refusal(robot.install(text))).toContain('issued.pem');
		},
	);

	test('cut off in PKCS#7 is refused', async () => {
		await robot.request('cmsprod');
		const bytes = execFileSync('openssl', [
			'crl2pkcs7',
			'-nocrl',
			'-certfile',
			robot.authority.ca,
			'-outform',
			'DER',
		]);
		expect(await refusal(robot.install(bytes.subarray(0, 200)))).toContain('is damaged or cut off');
	});
});

describe('a successor', () => {
	test('keeps the subject, unless that is allowed to change', async () => {
		const {certificate} = await robot.live();
		const text = await robot.authority.sign(await robot.request(), {
			subject: 'CN=Robot: cmsprod,OU=Robots,DC=example',
		});
		expect(await refusal(robot.install(text))).toMatch(
			/has the subject CN=Robot: cmsprod,OU=Robots,DC=example, but the one in use has .*--allow-new-subject/,
		);
		expect(robot.inUse().fingerprint256).toBe(certificate.fingerprint256);
		const {warnings, replaced} = await robot.install(text, true);
		expect(warnings).toEqual([
			`The subject has changed from ${subject} to CN=Robot: cmsprod,OU=Robots,DC=example: servers have to know it`,
		]);
		expect(replaced?.certificate.fingerprint256).toBe(certificate.fingerprint256);
	});

	test('goes back, and on again with the file or with what is kept', async () => {
		const first = (await robot.live()).certificate.serialNumber;
		const text = await robot.authority.sign(await robot.request(), {subject});
		await robot.install(text);
		const second = new X509Certificate(text).serialNumber;
		expect((await goBack(robot.path)).certificate.serialNumber).toBe(first);
		expect(robot.inUse().serialNumber).toBe(first);
		await expect(goBack(robot.path)).rejects.toThrow('There is no certificate before the present one');
		await robot.install(text);
		expect(robot.inUse().serialNumber).toBe(second);
		expect((await listIdentity(robot.path))?.versions.map(({current}) => current)).toEqual([false, true]);
		// From one that was gone back to, a successor leads back there.
		await goBack(robot.path);
		await robot.live();
		expect((await goBack(robot.path)).certificate.serialNumber).toBe(first);
	});

	test('keeps five versions, and those in use and to go back to', async () => {
		const kept = async () => (await listIdentity(robot.path))?.versions.map(({name}) => name) ?? [];
		await robot.live();
		const [first] = await kept();
		for (let more = 0; more < 5; more++) await robot.live();
		const last = robot.inUse().serialNumber;
		const names = await kept();
		expect(names).toHaveLength(5);
		expect(names).not.toContain(first);
		expect(robot.inUse().checkPrivateKey(robot.keyInUse())).toBe(true);
		expect(readdirSync(join(robot.path, '.gatepass/versions')).sort()).toEqual(names.toSorted());
		expect((await goBack(robot.path)).certificate.serialNumber).not.toBe(last);
	});

	test('keeps the one to go back to, however old', async () => {
		const issued = await robot.authority.issue('adopted', {subject});
		mkdirSync(robot.path);
		writeFileSync(join(robot.path, 'usercert.pem'), readFileSync(issued.certificate));
		writeFileSync(join(robot.path, 'userkey.pem'), readFileSync(issued.key), {mode: 0o600});
		const oldest = robot.inUse().serialNumber;
		const texts: string[] = [];
		for (let more = 0; more < 4; more++) {
			texts.push(await robot.authority.sign(await robot.request(), {subject}));
			await robot.install(texts.at(-1) as string);
		}
		for (let back = 0; back < 4; back++) await goBack(robot.path);
		expect(robot.inUse().serialNumber).toBe(oldest);
		await robot.live();
		expect((await listIdentity(robot.path))?.versions).toHaveLength(6);
		expect((await goBack(robot.path)).certificate.serialNumber).toBe(oldest);
	});

	test('does not go back to one that has expired', async () => {
		vi.useFakeTimers({toFake: ['Date'], now: Date.now()});
		try {
			await robot.live({notAfter: Date.now() + hour});
			await robot.live();
			vi.setSystemTime(Date.now() + 2 * hour);
			expect(await refusal(goBack(robot.path))).toMatch(/expired on .*'gatepass cert request'/);
		} finally {
			vi.useRealTimers();
		}
	});

	test('is put beside files that came by other means, which are kept', async () => {
		const issued = await robot.authority.issue('adopted', {subject});
		mkdirSync(robot.path);
		// As some people do it.
		symlinkSync(issued.certificate, join(robot.path, 'usercert.pem'));
		writeFileSync(join(robot.path, 'userkey.pem'), readFileSync(issued.key), {mode: 0o600});
		const before = robot.inUse().serialNumber;
		await robot.live();
		expect(robot.inUse().serialNumber).not.toBe(before);
		expect((await goBack(robot.path)).certificate.serialNumber).toBe(before);
		expect(robot.inUse().checkPrivateKey(robot.keyInUse())).toBe(true);
	});

	test('does not go back, nor on, to one that is revoked', async () => {
		const first = await robot.authority.sign(await robot.request('cmsprod'), {subject});
		await robot.install(first);
		// An authority that agrees to all.
		await revoke(robot.path, 'superseded', {kind: 'command', command: ['true']});
		expect(await listIdentity(robot.path)).toMatchObject({revoked: true});
		await robot.live();
		expect(await refusal(goBack(robot.path))).toMatch(/is revoked\. Ask for a new one/);
		expect(await refusal(robot.install(first))).toMatch(/was revoked on \d{4}-/);
	});

	test('does not go back to a pair that does not fit', async () => {
		await robot.live();
		const [version] = (await listIdentity(robot.path))?.versions ?? [];
		await robot.live();
		const key = join(robot.path, '.gatepass/versions', version?.name ?? '', 'userkey.pem');
		writeFileSync(key, readFileSync(join(robot.path, 'userkey.pem')));
		expect(await refusal(goBack(robot.path))).toContain('its certificate and key do not belong together');
	});

	test('is compared with the robot’s certificate, not with that of a CA which stands before it', async () => {
		const issued = await robot.authority.issue('adopted', {subject});
		mkdirSync(robot.path);
		const chain = [robot.authority.ca, issued.certificate].map(file => readFileSync(file, 'utf8'));
		writeFileSync(join(robot.path, 'usercert.pem'), chain.join(''));
		writeFileSync(join(robot.path, 'userkey.pem'), readFileSync(issued.key));
		expect((await robot.live()).warnings).toEqual([]);
	});

	test('with a chain that has expired is refused', async () => {
		const end = Date.now() + 48 * hour;
		const text = await robot.authority.sign(await robot.request('cmsprod'), {subject, notAfter: end});
		vi.useFakeTimers({toFake: ['Date'], now: end - hour});
		try {
			const ca = readFileSync(robot.authority.ca, 'utf8');
			expect(await refusal(robot.install(text + ca))).toMatch(
				/^The certificate of CN=gatepass test CA in issued.pem expired/,
			);
		} finally {
			vi.useRealTimers();
		}
	});
});
