/** Where the configuration is found, and the environment beside it. */
import {execFileSync} from 'node:child_process';
import {mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {ConfigurationError} from '../../src/errors.ts';
import {folderWith, load, problemsOf} from './loading.ts';

const rule = (host: string) => `hostRules: [{match: ${host}, strategy: none}]\n`;

test('the nearest one upwards from the working directory', async () => {
	const folder = folderWith({
		'gatepass.config.yaml': rule('outer.example.org'),
		'inner/.gatepassrc': rule('inner.example.org'),
		'inner/deep/package.json': '{"name": "no-gatepass-here"}',
		'other/deep/x': '',
	});
	const {configuration} = await load({cwd: join(folder, 'inner/deep')});
	expect(configuration.file).toBe(join(folder, 'inner/.gatepassrc'));
	expect(configuration.folder).toBe(join(folder, 'inner'));
	expect(configuration.hostRules).toMatchObject([
		{patterns: [{host: 'inner.example.org'}], source: `${folder}/inner/.gatepassrc:1`},
	]);
	const other = await load({cwd: join(folder, 'other/deep')});
	expect(other.configuration.file).toBe(join(folder, 'gatepass.config.yaml'));
});

test('a package.json that belongs to somebody else does not stand in the way, broken or not', async () => {
	const folder = folderWith({
		'gatepass.config.json': '{"hostRules": []}',
		'broken/package.json': '{"name": ',
		'null/package.json': 'null',
		'without/package.json': '{"gatepass": null}',
	});
	for (const name of ['broken', 'null', 'without']) {
		const {configuration} = await load({cwd: join(folder, name)});
		expect(configuration.file).toBe(join(folder, 'gatepass.config.json'));
	}
});

test('a file that is named, relative to the working directory', async () => {
	const folder = folderWith({'elsewhere/my.yaml': rule('a.example.org')});
	const {configuration} = await load({cwd: folder, config: 'elsewhere/my.yaml'});
	expect(configuration.file).toBe(join(folder, 'elsewhere/my.yaml'));
	expect(configuration.folder).toBe(join(folder, 'elsewhere'));
});

test('none at all: says where it looked and how to begin', async () => {
	const [problem] = await problemsOf({cwd: '/nonexistent/deep'});
	expect(problem?.message).toBe('No configuration found in /nonexistent/deep or above it');
	expect(problem?.hint).toMatch(/^Run 'gatepass init' to write a gatepass\.config\.yaml/);
	const {message} = await load({cwd: '/nonexistent/deep'}).catch(error => error);
	expect(message).toMatch(/^No configuration found in \/nonexistent\/deep or above it\. Run 'gatepass init'/);
});

test.each<[string, RegExp, RegExp]>([
	['missing.yaml', /does not exist/, /Name one that does/],
	['folder', /is a folder/, /Name the file itself/],
	['folder/x.yaml/y', /does not exist|ENOTDIR/, /./],
	['throws.js', /cannot be loaded: it throws RangeError/, /to see why/],
	['syntax.js', /cannot be loaded|has a syntax error/, /to see/],
	['throws-nothing.js', /cannot be loaded/, /to see why/],
	['nul\0.yaml', /cannot be loaded: it throws ERR_INVALID_ARG_VALUE/, /./],
	['empty.yaml', /is empty/, /hostRules/],
	['blank.yaml', /is empty/, /hostRules/],
	['comments.yaml', /is empty/, /hostRules/],
	['nothing.js', /is empty/, /hostRules/],
	['scalar.yaml', /it is a string/, /name: value/],
	['list.yaml', /it is a list/, /name: value/],
	['function.js', /it is a function/, /name: value/],
])('%j', async (file, message, hint) => {
	const cwd = folderWith({
		'folder/inside': '',
		'package.json': '{"type": "module"}',
		'throws.js': 'throw new RangeError("hunter2");',
		'throws-nothing.js': 'throw undefined;',
		'syntax.js': 'export default {',
		'nothing.js': 'export const x = 1;',
		'function.js': 'export default () => ({});',
		'empty.yaml': '',
		'blank.yaml': ' \n\n',
		'comments.yaml': '# hostRules:\n',
		'scalar.yaml': 'hostRules',
		'list.yaml': '- hostRules',
	});
	const problems = await problemsOf({cwd, config: file});
	expect(problems).toHaveLength(1);
	expect(problems[0]?.file).toBe(join(cwd, file));
	expect(problems[0]?.message).toMatch(message);
	expect(problems[0]?.hint).toMatch(hint);
	expect(JSON.stringify(problems)).not.toContain('hunter2');
});

test('an empty file that is found is a mistake too, not passed over', async () => {
	const cwd = folderWith({'gatepass.config.yaml': '\n'});
	expect(await problemsOf({cwd})).toMatchObject([
		{file: join(cwd, 'gatepass.config.yaml'), message: 'it is empty'},
	]);
});

test('a folder that has the name of a configuration', async () => {
	const cwd = folderWith({});
	mkdirSync(join(cwd, '.gatepassrc'));
	expect(await problemsOf({cwd})).toMatchObject([{message: 'it is a folder'}]);
});

test.each(['.gatepassrc', 'gatepass.config.yaml', 'gatepass.config.js', 'package.json'])(
	'a pipe or a file without end in the place of %s is told, not waited for',
	async name => {
		const cwd = folderWith({[`large/${name}`]: ''});
		execFileSync('mkfifo', [join(cwd, name)]);
		expect(await problemsOf({cwd})).toMatchObject([
			{file: join(cwd, name), message: 'it is not a file but a named pipe', hint: expect.stringMatching(/./)},
		]);
		truncateSync(join(cwd, 'large', name), 1024 ** 3);
		expect(await problemsOf({cwd: join(cwd, 'large')})).toMatchObject([
			{
				file: join(cwd, 'large', name),
				message: expect.stringMatching(/^it has 1073741824 bytes, and at most/),
			},
		]);
	},
);

test('a .env that is a pipe is told, not waited for', async () => {
	const cwd = folderWith({'gatepass.config.yaml': rule('a.example.org')});
	execFileSync('mkfifo', [join(cwd, '.env')]);
	expect(await problemsOf({cwd})).toMatchObject([
		{message: `${join(cwd, '.env')} is not a file but a named pipe`},
	]);
});

test('what a JavaScript file threw is the cause', async () => {
	const cwd = folderWith({'gatepass.config.mjs': 'throw new RangeError("why")'});
	const error = await load({cwd}).catch(error => error);
	expect(error).toBeInstanceOf(ConfigurationError);
	expect(error.cause).toBeInstanceOf(RangeError);
});

test('a .env beside it adds to the environment, overrides nothing and prints nothing', async () => {
	const cwd = folderWith({
		'gatepass.config.yaml': "hostRules: [{match: '${A}.${B}.${C}.example.org', strategy: none}]",
		'.env': 'A=file\nB=file\nC="with # hash"\nC=file\nUNUSED=x\n',
	});
	const printed: unknown[] = [];
	const {log} = console;
	console.log = (...values: unknown[]) => printed.push(values);
	const before = {...process.env};
	try {
		const {configuration} = await load({cwd, env: {A: 'outer', C: undefined}});
		expect(configuration.hostRules[0]?.patterns[0]?.host).toBe('outer.file.file.example.org');
		expect(configuration.environment).toEqual({A: 'outer', B: 'file', C: 'file', UNUSED: 'x'});
	} finally {
		console.log = log;
	}
	expect(printed).toEqual([]);
	expect(process.env).toEqual(before);
});

test.each([
	['SECRET=abc#def', true],
	['SECRET=#abc', true],
	['export SECRET = abc#def', true],
	['SECRET=abc#def # a comment', true],
	['SECRET=abc\nSECRET=abc#def', true],
	['SECRET="abc#def"', false],
	["SECRET='abc#def'", false],
	['SECRET=abc # a comment', false],
	['SECRET=abc#def\nSECRET=abc', false],
	['OTHER=abc#def\nSECRET=x', false],
	['# SECRET=abc#def\nSECRET=x', false],
])('a .env that says %j: is a value cut in silence? %s', async (text, isCut) => {
	const strategy = "{match: a.example.org, strategy: static-token, options: {token: '${SECRET}'}}";
	const cwd = folderWith({'gatepass.config.yaml': `hostRules:\n- ${strategy}\n`, '.env': text});
	if (!isCut) return void (await load({cwd}));
	expect(await problemsOf({cwd})).toMatchObject([
		{
			line: 2,
			path: 'hostRules[0].options.token',
			message: "the value of SECRET in the .env is cut at its '#', where a comment begins",
		},
	]);
	// What the environment says is not cut.
	await load({cwd, env: {SECRET: 'whole'}});
});

test('the client secret that no option names is looked at, too', async () => {
	const cwd = folderWith({
		'gatepass.config.yaml': rule('a.example.org'),
		'.env': 'SSO_CLIENT_SECRET=abc#def',
	});
	const [problem] = await problemsOf({cwd});
	expect(problem?.message).toBe(
		`the value of SSO_CLIENT_SECRET in ${cwd}/.env is cut at its '#', where a comment begins`,
	);
});

test('a .env that is a named pipe, or too large, is a mistake at once', async () => {
	const cwd = folderWith({'gatepass.config.yaml': rule('a.example.org')});
	execFileSync('mkfifo', [join(cwd, '.env')]);
	const [problem] = await problemsOf({cwd});
	expect(problem?.message).toBe(`${cwd}/.env is not a file but a named pipe`);
	rmSync(join(cwd, '.env'));
	symlinkSync('/dev/zero', join(cwd, '.env'));
	expect((await problemsOf({cwd}))[0]?.message).toBe(`${cwd}/.env is not a file but a device`);
	rmSync(join(cwd, '.env'));
	writeFileSync(join(cwd, '.env'), '');
	truncateSync(join(cwd, '.env'), 1024 ** 3);
	expect((await problemsOf({cwd}))[0]?.message).toMatch(
		/\.env has 1073741824 bytes, and at most 1048576 are read/,
	);
});

test.each([
	['\n', 200_000],
	['\r', 200_000],
	[' \n', 100_000],
])('a .env of empty lines without end, of %j, is a mistake at once', async (line, count) => {
	const cwd = folderWith({
		'gatepass.config.yaml': rule('a.example.org'),
		'.env': `A=b\n${line.repeat(count)}`,
	});
	const started = process.cpuUsage().user;
	expect((await problemsOf({cwd}))[0]?.message).toMatch(/has more than 100 empty lines in a row/);
	// It took minutes.
	expect(process.cpuUsage().user - started).toBeLessThan(2_000_000);
});

test('a strategy module that is a named pipe or a device is a mistake at once', async () => {
	const cwd = folderWith({'gatepass.config.yaml': 'strategies: [./pipe.js, /dev/zero]\n'});
	execFileSync('mkfifo', [join(cwd, 'pipe.js')]);
	expect((await problemsOf({cwd})).map(({message}) => message)).toEqual([
		"the strategy module './pipe.js' is not a file",
		"the strategy module '/dev/zero' is not a file",
	]);
});

test('a .env that is a folder is none of ours', async () => {
	const cwd = folderWith({'gatepass.config.yaml': rule('a.example.org'), '.env/bin/python': ''});
	expect(await problemsOf({cwd})).toEqual([]);
});

test('relative paths start at the folder of the file, or at the working directory', async () => {
	const cwd = folderWith({'sub/gatepass.config.yaml': 'cache: {url: "sqlite:./tokens.sqlite"}', 'sub/x': ''});
	const fromFile = await load({cwd, config: 'sub/gatepass.config.yaml'});
	expect(fromFile.configuration.cache.url).toBe(`sqlite:${cwd}/sub/tokens.sqlite`);
	const fromObject = await load({cwd, config: {cache: {url: 'sqlite:t.sqlite'}}});
	expect(fromObject.configuration.cache.url).toBe(`sqlite:${cwd}/t.sqlite`);
	const fromHome = await load({cwd, config: {cache: {url: 'sqlite:~/t.sqlite'}}, env: {HOME: '/home/alice'}});
	expect(fromHome.configuration.cache.url).toBe('sqlite:/home/alice/t.sqlite');
	const byDefault = await load({cwd, config: {}, env: {HOME: '/home/alice'}});
	expect(byDefault.configuration.cache.url).toBe('sqlite:/home/alice/.cache/gatepass/tokens.sqlite');
});
