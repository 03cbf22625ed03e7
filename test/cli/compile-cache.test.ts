/** What V8 has compiled of the command line: kept where only its user may write, or nowhere. */
import {execFile} from 'node:child_process';
import {chmod, mkdir, mkdtemp, readdir, rm, stat} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {afterEach, beforeEach, expect, test} from 'vitest';

const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
let home: string;

beforeEach(async () => {
	home = await mkdtemp(join(tmpdir(), 'gatepass-home-'));
});

afterEach(async () => {
	await rm(home, {recursive: true, force: true});
});

async function runCommand(env: Record<string, string> = {}): Promise<string> {
	const {NODE_COMPILE_CACHE: _, ...inherited} = process.env;
	const settings = {env: {...inherited, HOME: home, ...env}};
	return (await promisify(execFile)(process.execPath, [main, '--version'], settings)).stdout;
}

/** The files that are kept. */
async function kept(folder = join(home, '.cache/gatepass/compiled')): Promise<string[]> {
	const files = await readdir(folder, {recursive: true, withFileTypes: true}).catch(() => []);
	return files.filter(file => file.isFile()).map(({name}) => name);
}

test('it is kept in a folder that nobody else may enter', async () => {
	expect(await runCommand()).toMatch(/^\d/);
	expect((await kept()).length).toBeGreaterThan(20);
	expect((await stat(join(home, '.cache/gatepass/compiled'))).mode & 0o777).toBe(0o700);
	const before = (await kept()).length;
	expect(await runCommand()).toMatch(/^\d/);
	expect(await kept()).toHaveLength(before);
});

test.each(['.', '.cache', '.cache/gatepass', '.cache/gatepass/compiled'])(
	'where others may write into ~/%s, nothing is kept, as they could put code there',
	async place => {
		await mkdir(join(home, '.cache/gatepass/compiled'), {recursive: true, mode: 0o755});
		await chmod(join(home, place), 0o777);
		expect(await runCommand()).toMatch(/^\d/);
		expect(await kept()).toEqual([]);
	},
);

test('where there is no home to write to, the command works all the same', async () => {
	expect(await runCommand({HOME: '/dev/null'})).toMatch(/^\d/);
});

test('a folder that the user has named is the one', async () => {
	const own = join(home, 'own');
	expect(await runCommand({NODE_COMPILE_CACHE: own})).toMatch(/^\d/);
	expect((await kept(own)).length).toBeGreaterThan(20);
	expect(await kept()).toEqual([]);
});

test('it can be switched off as for any program of Node', async () => {
	expect(await runCommand({NODE_DISABLE_COMPILE_CACHE: '1'})).toMatch(/^\d/);
	expect(await kept()).toEqual([]);
});
