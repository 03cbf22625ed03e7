/** What a request is made of, and which one is pending. */
import {createPublicKey, X509Certificate} from 'node:crypto';
import {
	chownSync,
	cpSync,
	existsSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	statSync,
	writeFileSync,
} from 'node:fs';
import {join} from 'node:path';
import {describe, expect, test} from 'vitest';
import {isLeftBehind, temporaryBeside} from '../../src/files/durable.ts';
import {RobotHome, subject} from './robot-home.ts';

const robot = RobotHome.forEachTest();

describe('a request', () => {
	test.each([
		[{type: 'rsa', size: 2048}, 'rsa', 2048],
		[{type: 'ecdsa', curve: 'secp384r1'}, 'ec', 'secp384r1'],
	] as const)('with %j is signed with the key that stays', async (keyType, type, detail) => {
		const text = await robot.request('cmsprod', keyType);
		const certificate = new X509Certificate(await robot.authority.sign(text));
		expect(certificate.subject).toBe('CN=Robot: cmsprod');
		expect(certificate.publicKey.asymmetricKeyType).toBe(type);
		const {modulusLength, namedCurve} = certificate.publicKey.asymmetricKeyDetails ?? {};
		expect(modulusLength ?? namedCurve).toBe(detail);
		const file = join(robot.path, '.gatepass/pending/userkey.pem');
		expect(statSync(file).mode & 0o777).toBe(0o600);
		expect(statSync(join(robot.path, '.gatepass/pending')).mode & 0o777).toBe(0o700);
		await robot.install(await robot.authority.sign(text, {}));
	});

	test('asked for again, it is the same one; another account needs another folder', async () => {
		const first = await robot.request('cmsprod');
		expect(await robot.request('cmsprod')).toBe(first);
		expect(await robot.request()).toBe(first);
		await expect(robot.request('atlasprod')).rejects.toThrow(
			/A request for cmsprod is pending in .*--to for atlasprod/,
		);
	});

	test.each(['', 'a/b', 'a=b', ' a', 'a ', 'a,b', 'a\nb', 'ü', '-a', 'x'.repeat(58)])(
		'%j is no service account',
		async name => {
			await expect(robot.request(name)).rejects.toThrow('is no such name');
			expect(existsSync(robot.path)).toBe(false);
		},
	);

	test('asks for the very subject of the certificate in use, and keeps that in use', async () => {
		const {certificate} = await robot.live();
		const text = await robot.request();
		const asked = new X509Certificate(await robot.authority.sign(text));
		expect(asked.subject).toBe('DC=example\nOU=Users\nCN=Robot: cmsprod');
		expect(asked.publicKey.equals(certificate.publicKey)).toBe(false);
		expect(robot.inUse().fingerprint256).toBe(certificate.fingerprint256);
	});

	test('is not made in the folder of another robot, or of a person', async () => {
		await robot.live();
		await expect(robot.request('atlasprod')).rejects.toThrow(
			`holds the robot ${subject}, whose successor keeps that subject. Name another folder with --to for atlasprod`,
		);
		const person = await robot.authority.issue('person', {subject: 'CN=alice'});
		robot.path = join(robot.home, 'person');
		mkdirSync(robot.path);
		writeFileSync(join(robot.path, 'usercert.pem'), readFileSync(person.certificate));
		await expect(robot.request('cmsprod')).rejects.toThrow(
			/holds a certificate that is no robot's: CN=alice\. Name a folder of its own/,
		);
	});

	test('writes the name as the grid wants it', async () => {
		const bytes = Buffer.from((await robot.request('cmsprod')).replace(/-----[^-]+-----|\n/g, ''), 'base64');
		// PrintableString.
		expect(bytes.includes(Buffer.concat([Buffer.from([0x13, 14]), Buffer.from('Robot: cmsprod')]))).toBe(
			true,
		);
		const other = Buffer.from(
			(await robot.ask({serviceAccount: 'cms_prod', startAnew: true})).text.replace(
				/-----[^-]+-----|\n/g,
				'',
			),
			'base64',
		);
		// UTF8String: the other has no underscore.
		expect(other.includes(Buffer.concat([Buffer.from([0x0c, 15]), Buffer.from('Robot: cms_prod')]))).toBe(
			true,
		);
	});

	test('is dropped for another one when that is wanted', async () => {
		const first = await robot.request('cmsprod');
		const {text, wasPending, pending} = await robot.ask({serviceAccount: 'atlasprod', startAnew: true});
		expect(text).not.toBe(first);
		expect(wasPending).toBe(false);
		expect(pending.serviceAccount).toBe('atlasprod');
		expect(await robot.request()).toBe(text);
	});

	test('that was answered is none any more, also where the command that installed it was killed', async () => {
		await robot.request('cmsprod');
		const pending = join(robot.path, '.gatepass/pending');
		cpSync(pending, join(robot.home, 'kept'), {recursive: true});
		await robot.live();
		cpSync(join(robot.home, 'kept'), pending, {recursive: true});
		const {wasPending, text} = await robot.ask();
		expect(wasPending).toBe(false);
		const asked = new X509Certificate(await robot.authority.sign(text));
		expect(asked.publicKey.equals(robot.inUse().publicKey)).toBe(false);
		expect(createPublicKey(readFileSync(join(pending, 'userkey.pem'))).equals(asked.publicKey)).toBe(true);
	});

	test.skipIf(process.geteuid?.() !== 0)('is not made by root in a folder of somebody else', async () => {
		mkdirSync(robot.path);
		chownSync(robot.path, 4242, 4242);
		await expect(robot.request('cmsprod')).rejects.toThrow(
			`${robot.path} is owned by another user (4242; this one is 0), who could not read the key`,
		);
		expect(readdirSync(robot.path)).toEqual([]);
	});

	test('whose notes are damaged is told, with the way out', async () => {
		await robot.request('cmsprod');
		writeFileSync(join(robot.path, '.gatepass/pending/request.json'), '{');
		await expect(robot.request('cmsprod')).rejects.toThrow(/request\.json is damaged.*--new/);
		expect((await robot.ask({serviceAccount: 'cmsprod', startAnew: true})).wasPending).toBe(false);
	});
});

test('what a process left behind is told from what one is writing', () => {
	const [, mine = ''] = /([^/]+)$/.exec(temporaryBeside('/tmp/x')) ?? [];
	expect(isLeftBehind(mine)).toBe(false);
	expect(isLeftBehind(mine.replace(/\d+/, String(process.ppid)))).toBe(false);
	// More than Linux gives.
	expect(isLeftBehind(mine.replace(/\d+/, '4999999'))).toBe(true);
	for (const name of ['usercert.pem', '.new-', '.new-x-12345678-a', '2026-11-22T10-15-00Z-3f9c2a61']) {
		expect(isLeftBehind(name)).toBe(false);
	}
});
