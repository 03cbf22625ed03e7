/** What was found, and not named, is loaded only where nobody but this user and root can have written it. */
import {chmodSync, chownSync, existsSync} from 'node:fs';
import {join} from 'node:path';
import {describe, expect, test} from 'vitest';
import {folderWith, load, problemsOf} from './loading.ts';

const isRoot = process.geteuid?.() === 0;
const stranger = 65_534;
const rules = 'hostRules: [{match: a.example.org, strategy: none}]\n';
const program = (marker: string) =>
	`import {writeFileSync} from 'node:fs'; writeFileSync(${JSON.stringify(marker)}, ''); export default {hostRules: []};`;

/** A folder for the configuration, below one that is this user's alone, and a marker that its program would leave. */
function place(files: Record<string, string>): {cwd: string; marker: string} {
	const folder = folderWith(
		Object.fromEntries(Object.entries(files).map(([name, text]) => [`in/${name}`, text])),
	);
	chmodSync(join(folder, 'in'), 0o755);
	return {cwd: join(folder, 'in'), marker: join(folder, 'marker')};
}

describe.skipIf(process.geteuid === undefined)('a folder that others may write to', () => {
	test.each([
		['gatepass.config.yaml', rules, 0o777],
		['.gatepassrc', rules, 0o1777],
		['package.json', '{"gatepass": {"hostRules": []}}', 0o757],
	])('%s is told, and loaded when it is named', async (name, text, mode) => {
		const {cwd} = place({[name]: text});
		chmodSync(cwd, mode);
		expect(await problemsOf({cwd})).toEqual([
			expect.objectContaining({
				file: join(cwd, name),
				message: `it lies in a folder that others may write to (mode ${mode.toString(8).padStart(4, '0')}), so it is not loaded unless it is named`,
				hint: expect.stringContaining('-c'),
			}),
		]);
		if (name !== 'package.json') await load({cwd, config: name});
	});

	test('a program is not run before that is known', async () => {
		const {cwd, marker} = place({'gatepass.config.mjs': ''});
		const {writeFileSync} = await import('node:fs');
		writeFileSync(join(cwd, 'gatepass.config.mjs'), program(marker));
		chmodSync(cwd, 0o777);
		expect(await problemsOf({cwd})).toMatchObject([{message: expect.stringContaining('not loaded')}]);
		expect(existsSync(marker)).toBe(false);
	});

	test("a package.json that is none of gatepass's does not stand in the way, wherever it lies", async () => {
		const {cwd} = place({'gatepass.config.yaml': rules, 'open/package.json': '{"name": "x"}'});
		chmodSync(join(cwd, 'open'), 0o777);
		const {configuration} = await load({cwd: join(cwd, 'open')});
		expect(configuration.file).toBe(join(cwd, 'gatepass.config.yaml'));
	});

	test("what only this user's own group may write to is the user's", async () => {
		const {cwd} = place({'gatepass.config.yaml': rules});
		chmodSync(cwd, 0o775);
		chmodSync(join(cwd, 'gatepass.config.yaml'), 0o664);
		expect(await problemsOf({cwd})).toEqual([]);
	});

	test('a file that anybody may write to, and a strategy or a .env beside it', async () => {
		const {cwd} = place({'gatepass.config.yaml': rules});
		chmodSync(join(cwd, 'gatepass.config.yaml'), 0o666);
		expect(await problemsOf({cwd})).toMatchObject([
			{message: expect.stringMatching(/^it may be written to by others/)},
		]);
		const beside = place({
			'gatepass.config.yaml': `strategies: [./own/mine.mjs]\n${rules}`,
			'own/mine.mjs': 'throw new Error("it was run")',
			'.env': 'A=b\n',
		});
		chmodSync(join(beside.cwd, 'own'), 0o777);
		chmodSync(join(beside.cwd, '.env'), 0o622);
		const messages = (await problemsOf({cwd: beside.cwd})).map(({message}) => message);
		expect(messages).toEqual([
			expect.stringMatching(/\.env may be written to by others .*so it is not read/),
			expect.stringMatching(
				/'\.\/own\/mine\.mjs' lies in a folder that others may write to .*so it is not loaded/,
			),
		]);
	});
});

describe.skipIf(!isRoot)('what belongs to another user', () => {
	test.each(['the file', 'the folder'])('%s', async which => {
		const {cwd} = place({'gatepass.config.yaml': rules});
		chownSync(which === 'the file' ? join(cwd, 'gatepass.config.yaml') : cwd, stranger, 0);
		const [problem] = await problemsOf({cwd});
		expect(problem?.message).toContain(
			`belongs to another user (number ${stranger}), so it is not loaded unless it is named`,
		);
		const {configuration} = await load({cwd, config: 'gatepass.config.yaml'});
		expect(configuration.hostRules).toHaveLength(1);
	});

	test('a .env and a strategy module beside it', async () => {
		const {cwd} = place({
			'gatepass.config.yaml': `strategies: [./own/mine.mjs]\n${rules}`,
			'own/mine.mjs': 'throw new Error("it was run")',
			'.env': 'A=b\n',
		});
		chownSync(join(cwd, 'own/mine.mjs'), stranger, 0);
		chownSync(join(cwd, '.env'), stranger, 0);
		expect((await problemsOf({cwd})).map(({message}) => message)).toEqual([
			expect.stringMatching(/\.env belongs to another user \(number 65534\).*so it is not read/),
			expect.stringMatching(/'\.\/own\/mine\.mjs' belongs to another user .*so it is not loaded/),
		]);
	});

	test.each(['the file', 'the folder'])(
		"what another group than the user's own may write to: %s",
		async which => {
			const {cwd} = place({'gatepass.config.yaml': rules});
			const shared = which === 'the file' ? join(cwd, 'gatepass.config.yaml') : cwd;
			chownSync(shared, 0, stranger);
			chmodSync(shared, which === 'the file' ? 0o664 : 0o775);
			expect(await problemsOf({cwd})).toMatchObject([
				{message: expect.stringMatching(/(?:may be written to by others|that others may write to) \(mode 0/)},
			]);
			// What it may read only is the user's.
			chmodSync(shared, which === 'the file' ? 0o644 : 0o755);
			expect(await problemsOf({cwd})).toEqual([]);
		},
	);
});
