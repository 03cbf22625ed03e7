/** A key that root has mounted for another user, as Kubernetes does with an fsGroup: read by that very user. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {
	chmodSync,
	chownSync,
	copyFileSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	rmSync,
	symlinkSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {text} from 'node:stream/consumers';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {createTestAuthority} from '../../src/testing/index.ts';

const main = join(import.meta.dirname, '../../dist/src/cli/main.js');
const service = {uid: 4242, gid: 4243};

describe.skipIf(process.geteuid?.() !== 0)('a mounted secret', () => {
	let folder: string;

	beforeEach(async () => {
		folder = mkdtempSync(join(tmpdir(), 'gatepass-mounted-'));
		chmodSync(folder, 0o755);
		// As Kubernetes lays it out: links to links, so that all files change at once.
		const data = join(folder, 'secret/..data-1');
		mkdirSync(data, {recursive: true});
		const authority = await createTestAuthority();
		const {certificate, key} = await authority.issue('alice', {subject: 'CN=alice'});
		copyFileSync(certificate, join(data, 'usercert.pem'));
		copyFileSync(key, join(data, 'userkey.pem'));
		await authority.close();
		symlinkSync('..data-1', join(folder, 'secret/..data'));
		for (const name of readdirSync(data)) {
			symlinkSync(join('..data', name), join(folder, 'secret', name));
			chownSync(join(data, name), 0, service.gid);
		}
		mkdirSync(join(folder, 'home'));
		chownSync(join(folder, 'home'), service.uid, service.gid);
	});
	afterEach(() => rmSync(folder, {recursive: true, force: true}));

	/** What `cert inspect` of the service's user says. */
	async function problems(mode: number): Promise<string[]> {
		for (const name of ['usercert.pem', 'userkey.pem']) chmodSync(join(folder, 'secret/..data', name), mode);
		const child = spawn(process.execPath, [main, 'cert', 'inspect', '--json', join(folder, 'secret')], {
			...service,
			cwd: join(folder, 'home'),
			env: {HOME: join(folder, 'home'), PATH: process.env.PATH ?? ''},
			stdio: ['ignore', 'pipe', 'pipe'],
		});
		const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
		if (child.exitCode === null) await once(child, 'close');
		expect(stderr).toBe('');
		return JSON.parse(stdout).problems;
	}

	test.each([0o440, 0o640])('with mode %o is taken', async mode => {
		expect(await problems(mode)).toEqual([]);
	});

	test.each([0o444, 0o644, 0o660])('with mode %o is not', async mode => {
		expect(await problems(mode)).toEqual([
			expect.stringMatching(/is owned by another user \(0; this one is 4242\)/),
		]);
	});
});
