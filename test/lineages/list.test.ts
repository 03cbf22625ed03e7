/** Which identities are found, and what is told of them. */
import {mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test, vi} from 'vitest';
import {knownFolders} from '../../src/lineages/known-folders.ts';
import {listIdentity} from '../../src/lineages/list.ts';
import {RobotHome, subject} from './robot-home.ts';

const robot = RobotHome.forEachTest();
const hour = 3_600_000;

test('knows the folders that commands were told', async () => {
	expect(await knownFolders()).toEqual([]);
	await robot.request('cmsprod');
	expect(await knownFolders()).toEqual([robot.path]);
	expect(await listIdentity(robot.path)).toMatchObject({
		name: 'cmsprod',
		domains: [],
		due: false,
		pending: {subject: 'CN=Robot: cmsprod'},
	});
	rmSync(robot.path, {recursive: true});
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
	const issued = await robot.authority.issue('timed', {
		subject,
		notBefore: end - whole * hour,
		notAfter: end,
	});
	mkdirSync(robot.path);
	writeFileSync(join(robot.path, 'usercert.pem'), readFileSync(issued.certificate));
	expect(await listIdentity(robot.path)).toMatchObject({
		name: 'cmsprod',
		kind: 'robot',
		subject,
		due,
		versions: [],
	});
});

test('names the hosts of a host certificate, and tells of a damaged one', async () => {
	const host = await robot.authority.issue('host', {
		subject: 'CN=www.example.org',
		hosts: ['www.example.org', '10.0.0.1'],
	});
	mkdirSync(robot.path);
	writeFileSync(join(robot.path, 'usercert.pem'), readFileSync(host.certificate));
	expect(await listIdentity(robot.path)).toMatchObject({
		name: 'www.example.org',
		domains: ['www.example.org'],
		kind: 'host',
	});
	writeFileSync(join(robot.path, 'usercert.pem'), 'damaged');
	expect(await listIdentity(robot.path)).toMatchObject({
		due: true,
		problem: expect.stringContaining('holds no certificate'),
	});
	expect(await listIdentity(join(robot.home, 'nothing'))).toBeUndefined();
});

test('a folder counts once, whatever it is called', async () => {
	await robot.live();
	rmSync(join(robot.home, '.local'), {recursive: true});
	expect(await knownFolders()).toEqual([]);
	const text = await robot.authority.sign(await robot.request(), {subject});
	rmSync(join(robot.home, '.local'), {recursive: true});
	// Known again by the installation.
	await robot.install(text);
	expect(await knownFolders()).toEqual([robot.path]);
	symlinkSync(robot.path, join(robot.home, '.globus'));
	expect(await knownFolders()).toEqual([join(robot.home, '.globus')]);
	vi.stubEnv('CERN_CERTIFICATE_PATH', robot.path);
	expect(await knownFolders()).toEqual([robot.path]);
});
