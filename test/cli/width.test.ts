/** Nothing that a person reads is wider than a terminal of 80 columns; in a pipe each thing stays on its line. */
import {stripVTControlCharacters} from 'node:util';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {describeWith, findProgram} from '../servers/availability.ts';
import {createWorkspace, type Workspace} from './command-line.ts';

const columns = 80;

let workspace: Workspace;
beforeAll(async () => {
	const match = 'https://a-rather-long-name.of-a-service.example.org/with/a/path';
	workspace = await createWorkspace({
		cache: {url: 'memory:'},
		hostRules: [
			{match, strategy: 'static-token', options: {token: 'canary'}},
			{match: 'https://cmsweb.cern.ch', strategy: 'grid-certificate'},
			{match: 'https://*.example.org', strategy: 'none'},
		],
	});
});
afterAll(async () => workspace?.close());

function tooWide(text: string, width = columns): string[] {
	return stripVTControlCharacters(text)
		.split(/\r?\n/)
		.filter(line => [...line].length > width);
}

/** Every command, found by walking through the helps. */
async function allCommands(parent: readonly string[] = []): Promise<(readonly string[])[]> {
	const {stdout} = await workspace.run([...parent, '--help']);
	const names = [...(stdout.split('\nCommands:\n')[1] ?? '').matchAll(/^ {2}(\w[\w-]*) /gm)].map(
		([, name]) => name,
	);
	const inner: (readonly string[])[] = [];
	for (const name of names) {
		if (name !== 'help' && name !== 'gatepass' && name !== undefined) {
			inner.push(...(await allCommands([...parent, name])));
		}
	}
	return [parent, ...inner];
}

test('help, of every command', async () => {
	const commands = await allCommands();
	expect(commands.map(command => command.join(' '))).toEqual(
		expect.arrayContaining(['', 'request', 'cert obtain', 'cert account rollover', 'bundle build']),
	);
	for (const command of commands) {
		const {stdout} = await workspace.run([...command, '--help']);
		expect(tooWide(stdout), command.join(' ')).toEqual([]);
	}
});

const script = {
	name: 'script, which runs a program on a terminal',
	install: 'apt-get install -y bsdutils',
	whyUnavailable: () => (findProgram('script') === undefined ? 'it is not installed' : undefined),
};

describeWith(script, 'on a terminal', () => {
	test.each([
		[['explain', 'https://a-rather-long-name.of-a-service.example.org/with/a/path/x']],
		[['status']],
		[['doctor']],
		[['doctor', 'http://127.0.0.1:1/a/rather/long/path/that/goes/on/and/on/and/on/to/the/end']],
		[['forget']],
		[['bundle', 'list']],
		[['init']],
		[['request', 'http://127.0.0.1:1/']],
		[['request', '-k', 'https://api.example.org/']],
		[['token', 'https://nothing.example.com/a/rather/long/path/that/has/no/rule/at/all']],
		[['-c', 'a-file-that-is-not-there-and-has-a-long-name.yaml', 'status']],
	])('%j', async args => {
		// Without the sign of life, which comes and goes on a line of its own.
		const {stdout} = await workspace.runOnTerminal(args, {columns, env: {CI: 'true'}});
		expect(stdout).not.toBe('');
		expect(tooWide(stdout)).toEqual([]);
	});
});

describeWith(script, 'on a narrow terminal', () => {
	const narrow = async (args: readonly string[]): Promise<string> => {
		const {stdout} = await workspace.runOnTerminal(args, {columns: 40, env: {CI: 'true'}});
		return stripVTControlCharacters(stdout).replaceAll('\r', '');
	};

	test.each([
		[['status']],
		[['bundle', 'list']],
		[['request', '-v', 'http://127.0.0.1:1/']],
		[['cert', 'list']],
	])('%j', async args => {
		const text = await narrow(args);
		expect(text).not.toBe('');
		// A name that is longer than a line stays whole.
		expect(tooWide(text, 40).filter(line => /[^✔✖ ] +\S/.test(line))).toEqual([]);
	});

	test('what an option means stands below it', async () => {
		const [usage = '', examples] = (await narrow(['serve', '--help'])).split('\nExamples:');
		expect(examples).toContain('gatepass serve');
		expect(tooWide(usage, 40)).toEqual([]);
		expect(usage).toMatch(/^ {2}--listen <where>\n {6}HOST:PORT or unix:PATH, instead of\n {6}what/m);
	});

	test('a list with numbers goes on below its words', async () => {
		const text = await narrow(['init', '-c', 'other/gatepass.config.yaml']);
		expect(text).toMatch(/^ {2}1\. Change the rules in\n {5}other\/gatepass\.config\.yaml to/m);
	});

	test('a cell that is too wide goes on below itself, or further in', async () => {
		expect(await narrow(['bundle', 'list'])).toMatch(/^cern {2}2 .*\n {2}\S/m);
		const {stdout} = await workspace.runOnTerminal(['bundle', 'list'], {columns, env: {CI: 'true'}});
		const lines = stripVTControlCharacters(stdout).split(/\r?\n/);
		const [first = ''] = lines.filter(line => line.startsWith('cern '));
		const column = first.indexOf('https://*.cern.ch');
		expect(lines[lines.indexOf(first) + 1]).toBe(`${' '.repeat(column)}https://cern.ch:*`);
	});
});

test('in a pipe nothing is broken into lines', async () => {
	const {stdout} = await workspace.run(['explain', 'https://cmsweb.cern.ch/']);
	expect(stdout).toMatch(/✖ https:\/\/a-rather.*static-token.*the host is/);
});
