import {stripVTControlCharacters} from 'node:util';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {diagnosticPage, nearestCodes} from '../../src/cli/diagnostic-page.ts';
import {textOf} from '../../src/cli/markdown-text.ts';
import {diagnosticTitles} from '../../src/diagnostics/codes.ts';
import {findProgram} from '../servers/availability.ts';
import {createWorkspace, type Workspace} from './command-line.ts';

const commands = [
	...['request', 'explain', 'token', 'status', 'forget', 'doctor', 'init', 'cert', 'bundle'],
] as readonly string[];

let workspace: Workspace;

beforeAll(async () => {
	// Without a configuration: what a code means can be asked anywhere.
	workspace = await createWorkspace();
});
afterAll(async () => {
	await workspace?.close();
});

describe('gatepass doctor --explain', () => {
	test('prints the page, plain and without the marks of Markdown', async () => {
		const {code, stdout, stderr} = await workspace.run(['doctor', '--explain', 'server-untrusted']);
		expect(stderr).toBe('');
		expect(code).toBe(0);
		const lines = stdout.split('\n');
		expect(lines.slice(0, 4)).toEqual([
			'server-untrusted',
			'',
			`${diagnosticTitles['server-untrusted']}.`,
			'',
		]);
		expect(lines).toEqual(expect.arrayContaining(['Symptom', 'Cause', 'What to do', 'Source']));
		expect(stdout).not.toMatch(/^#|```|\]\(|`/m);
		expect(stdout).toBe(stripVTControlCharacters(stdout));
		// What can be pasted stands in lines of its own.
		expect(lines).toContain('    gatepass cert inspect https://api.example.org/');
		expect(stdout).toContain('Trust (docs/trust.md)');
		expect(stdout).toContain('\nRelated: server-chain-incomplete, ');
	});

	test.skipIf(findProgram('script') === undefined)('fits a terminal of 80 columns', async () => {
		for (const code of ['client-certificate-refused', 'kerberos-token-refused', 'package-missing']) {
			const {stdout} = await workspace.runOnTerminal(['doctor', '--explain', code], {columns: 80});
			const lines = stripVTControlCharacters(stdout).split(/\r?\n/);
			expect(lines[0]).toBe(code);
			expect(lines.filter(line => line.length > 80)).toEqual([]);
			expect(lines.length).toBeGreaterThan(20);
			// Coloured, so not in quotes as well.
			expect(stdout).not.toBe(stripVTControlCharacters(stdout));
		}
	});

	test('gives code, title and page with --json', async () => {
		const {stdout} = await workspace.run(['doctor', '--explain', 'not-a-robot', '--json']);
		expect(JSON.parse(stdout)).toEqual(diagnosticPage('not-a-robot'));
		expect(Object.keys(JSON.parse(stdout))).toEqual(['code', 'title', 'page']);
		expect(JSON.parse(stdout).page).toMatch(/^# not-a-robot\n/);
	});

	test('names the nearest codes where there is no such one', async () => {
		const {code, stdout, stderr} = await workspace.run(['doctor', '--explain', 'server-untrustd']);
		expect(code).toBe(2);
		expect(stdout).toBe('');
		expect(stderr).toMatch(
			/^error: There is no diagnostic 'server-untrustd'. Did you mean server-untrusted, /,
		);
		const json = await workspace.run(['doctor', '--explain', 'nonsense', '--json']);
		expect(json.code).toBe(2);
		expect(JSON.parse(json.stderr).error.code).toBe('ERR_GATEPASS_USAGE');
		expect(JSON.parse(json.stderr).error.message).toContain('Give a code');
	});
});

test('what somebody may have meant is found by letters and by words', () => {
	expect(nearestCodes('kerberos-ticket-mising')[0]).toBe('kerberos-ticket-missing');
	expect(nearestCodes('Clock Skew')[0]).toBe('kerberos-clock-skew');
	expect(nearestCodes('the token has expired')).toContain('token-expired');
	expect(nearestCodes('xyzzy')).toEqual([]);
	// An object has more than its own.
	expect(() => diagnosticPage('toString')).toThrow("There is no diagnostic 'toString'");
});

test('codes of other packages and of classes of errors are told as such', () => {
	expect(() => diagnosticPage('acme/quota')).toThrow('The package acme explains it');
	expect(() => diagnosticPage('ERR_GATEPASS_CERTIFICATE')).toThrow("the codes in its 'diagnostics'");
});

test('every page turns into text without a mark left', () => {
	for (const code of Object.keys(diagnosticTitles)) {
		const text = textOf(diagnosticPage(code).page, 'docs/diagnostics');
		// Commands and configuration lines are as they are.
		const prose = text.split('\n').filter(line => !line.startsWith('    '));
		expect(prose.filter(line => /^#|```|\]\(|\*\*/.test(line))).toEqual([]);
	}
});

test('marks are taken out of prose, and left in code', () => {
	const markdown = '# Title\n\nA *word*, **two** and `*.example.org` of [here](../trust.md#x).\n';
	expect(stripVTControlCharacters(textOf(markdown, 'docs/diagnostics'))).toBe(
		"Title\n\nA word, two and '*.example.org' of here (docs/trust.md).",
	);
	expect(textOf('> It says `x` and *y*\n', 'docs')).toBe('  It says `x` and *y*');
	expect(textOf('```sh\na\n\n# b\n```\n', 'docs')).toBe('    a\n\n    # b');
});

describe('the commands that the pages show', () => {
	/** `['cert', 'renew']` and `['--force-renewal', '--cert-name']` of each, without its arguments. */
	const shown = Object.keys(diagnosticTitles).flatMap(code => {
		const text = diagnosticPage(code)
			.page.replaceAll('\\\n', ' ')
			// What a shell puts in.
			.replaceAll(/\$\([^)]*\)/g, '');
		return [...text.matchAll(/(?<![\w./@-])gatepass ((?:[a-z]+ ?)+)([^\n`|&;]*)/g)]
			.filter(([, words = '']) => commands.includes(words.split(' ')[0] ?? ''))
			.map(([whole, words = '', rest = '']) => ({
				place: `${code}: ${whole}`,
				words: words.trim().split(' '),
				options: rest.match(/(?<=^| )--?[a-zA-Z][\w-]*/g) ?? [],
			}));
	});

	test('exist, with their options', async () => {
		expect(shown.length).toBeGreaterThan(200);
		const helps = new Map<string, string>();
		const wrong: string[] = [];
		for (const {place, words, options} of shown) {
			const depth = words[0] === 'cert' || words[0] === 'bundle' ? (words[1] === 'account' ? 3 : 2) : 1;
			const path = words.slice(0, depth);
			const name = path.join(' ');
			const help =
				helps.get(name) ??
				(await workspace.run([...path, '--help'])).stdout.replaceAll(/\n {2,}(?=\S)/g, '\n');
			helps.set(name, help);
			const known = new Set([...help.matchAll(/(?<![\w-])--?[a-zA-Z][\w-]*/g)].map(([option]) => option));
			if (!help.startsWith(`Usage: gatepass ${name}`)) wrong.push(`${place}: no such command`);
			for (const option of options) if (!known.has(option)) wrong.push(`${place}: no ${option}`);
		}
		expect(wrong).toEqual([]);
	});
});
