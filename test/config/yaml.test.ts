/** What YAML has besides plain settings, and texts that are none. */
import {describe, expect, test} from 'vitest';
import {folderWith, load, problemsInYaml} from './loading.ts';

const many = (count: number, line: (index: number) => string): string =>
	Array.from({length: count}, (_, index) => `${line(index)}\n`).join('');

describe('what YAML offers', () => {
	test('anchors, aliases and merge keys', async () => {
		const cwd = folderWith({
			'gatepass.config.yaml': `hostRules:
- &first {match: a.example.org, strategy: static-token, options: &o {token: x}}
- {match: b.example.org, strategy: static-token, options: *o}
- <<: *first
  match: c.example.org
`,
		});
		const {configuration} = await load({cwd});
		expect(configuration.hostRules.map(({patterns, options}) => [patterns[0]?.host, options])).toEqual([
			['a.example.org', {token: 'x'}],
			['b.example.org', {token: 'x'}],
			['c.example.org', {token: 'x'}],
		]);
	});

	test('as many aliases as a large site has rules', async () => {
		const rules = Array.from(
			{length: 2000},
			(_, index) => `- {match: h${index}.example.org, strategy: static-token, options: *o}`,
		);
		const text = `hostRules:
- {match: h.example.org, strategy: static-token, options: &o {username: x, password: y}}
${rules.join('\n')}
`;
		const {configuration} = await load({cwd: folderWith({'gatepass.config.yaml': text})});
		expect(configuration.hostRules).toHaveLength(2001);
		expect(configuration.hostRules.at(-1)?.options).toEqual({username: 'x', password: 'y'});
	});

	test('an anchor that is set again, and one inside of another', async () => {
		const text = `hostRules:
- {match: a.example.org, strategy: static-token, options: &o {token: &x one}}
- {match: b.example.org, strategy: static-token, options: *o}
- {match: c.example.org, strategy: static-token, options: &o {username: two, password: *x}}
- {match: d.example.org, strategy: static-token, options: *o}
`;
		const {configuration} = await load({cwd: folderWith({'gatepass.config.yaml': text})});
		expect(configuration.hostRules.map(({options}) => options)).toEqual([
			{token: 'one'},
			{token: 'one'},
			{username: 'two', password: 'one'},
			{username: 'two', password: 'one'},
		]);
	});

	test('as many mistakes as there are aliases, each with its line', async () => {
		const rules = Array.from(
			{length: 2000},
			(_, index) => `- {match: h${index}.example.org, strategy: kerberos-stub, options: *o}`,
		);
		const text = `hostRules:
- {match: h.example.org, strategy: kerberos-stub, options: &o {servise: x}}
${rules.join('\n')}
`;
		const started = process.cpuUsage().user;
		const problems = await problemsInYaml(text);
		expect(problems).toHaveLength(2001);
		expect(new Set(problems.map(({line}) => line))).toEqual(new Set([2]));
		// Looking through the whole document for each took ten seconds and more.
		expect(process.cpuUsage().user - started).toBeLessThan(5_000_000);
	});

	test('a mistake behind an alias or a merge key has the line where it is written', async () => {
		const text = `hostRules:
- &first
  match: a.example.org
  strategy: kerberos-stub
  options: &o
    servise: HTTP
- match: b.example.org
  strategy: kerberos-stub
  options: *o
- <<: *first
  match: c.example.org
`;
		const problems = await problemsInYaml(text);
		expect(problems.map(({line, path}) => `${line} ${path}`)).toEqual([
			'6 hostRules[0].options.servise',
			'6 hostRules[1].options.servise',
			'6 hostRules[2].options.servise',
		]);
	});

	test('keys that are no texts, and one that is special to JavaScript', async () => {
		const {configuration} = await load({
			cwd: folderWith({
				'gatepass.config.yaml': `hostRules:
- match: a.example.org
  strategy: sso-client-credentials
  options:
    {clientId: a, clientSecret: b, tokenEndpoint: https://a.example.org, parameters: {1: one, true: yes, ~: ""}}
`,
			}),
		});
		expect(configuration.hostRules[0]?.options).toMatchObject({
			parameters: {1: 'one', true: 'yes', '': ''},
		});
		const problems = await problemsInYaml('__proto__: {strict: true}\nconstructor: 1\n? [a, b]\n: 1\n');
		expect(problems.map(({path}) => path)).toEqual(['__proto__', 'constructor', '["[\\"a\\",\\"b\\"]"]']);
	});

	test.each<[string, (count: number) => string]>([
		['keys', count => `x: {${many(count, index => `k${index}: 1,`)}}`],
		['keys of the configuration itself', count => many(count, index => `k${index}: 1`)],
		['keys in JSON', count => JSON.stringify(Object.fromEntries(many(count, String).split('\n').entries()))],
		['a key again and again', count => many(count, () => 'k: 1')],
		['a tag again and again', count => many(count, () => '- !x y')],
		['aliases', count => `a: &a 1\nb:\n${many(count, () => '- *a')}`],
		['merge keys', count => `a: &a {x: 1}\nb:\n${many(count, () => '  <<: *a')}`],
		[
			'a large group that is merged',
			count => `a: &a {${many(count, index => `k${index}: 1,`)}}\nb: {<<: *a}`,
		],
		['an alias that leads nowhere, behind many', count => `a: &a 1\nb:\n${many(count, () => '- *a')}- *b`],
		['a bracket without its end', count => `a: {${many(count, index => `k${index}: 1,`)}`],
		[
			'rules',
			count => `hostRules:\n${many(count, index => `- {match: h${index}.example.org, strategy: none}`)}`,
		],
		[
			'mistakes',
			count => `hostRules:\n${many(count, index => `- {match: h${index}.example.org, strategy: nona}`)}`,
		],
		[
			'variables that are not set',
			count =>
				`hostRules:\n${many(count, i => `- {match: h${i}.example.org, strategy: static-token, options: {token: '\${X${i}}'}}`)}`,
		],
	])('takes a time that grows with its length and no faster: %s', async (_, textOf) => {
		const cost = async (count: number): Promise<number> => {
			const text = textOf(count);
			const started = process.cpuUsage();
			await problemsInYaml(text);
			const {user, system} = process.cpuUsage(started);
			return user + system;
		};
		await cost(1000);
		const [few, more] = [await cost(1000), await cost(8000)];
		// Eight times as much; what compares each with each takes 64 times as long.
		expect(more / few).toBeLessThan(20);
	});

	test('a byte order mark, Windows line ends, and no line end at the end', async () => {
		const problems = await problemsInYaml(
			'\uFEFF# comment\r\nhostRules:\r\n- match: a.example.org\r\n  strategy: non',
		);
		expect(problems).toMatchObject([{line: 4, path: 'hostRules[0].strategy'}]);
	});

	test('JSON with a byte order mark, or with comments', async () => {
		for (const text of ['\uFEFF{"hostRules": []}', '{\n# none yet\n"hostRules": [],}']) {
			await expect(load({cwd: folderWith({'gatepass.config.json': text})})).resolves.toBeDefined();
		}
	});
});

describe('a text that is none', () => {
	test.each<[string, string, number | undefined, RegExp, RegExp]>([
		['a key twice', 'hostRules: []\nhostRules: []\n', 2, /a second time/, /Take one/],
		['a tab', 'hostRules:\n\t- match: x\n', 2, /a tab/, /spaces/],
		['an open bracket', 'hostRules: [\n', 1, /bracket begins here/, /']'/],
		['an open bracket among others', '- a: [{b: c}\n  d: e\n- {x: y}\n', 1, /bracket begins here/, /']'/],
		['an open brace', 'a:\n  - b: c\n    d: {e: f\n  - g: h\n', 3, /bracket begins here/, /'}'/],
		['an open quote', 'a: b\nhostRules: "x\n\nc: d\n', 2, /quote begins here/, /second/],
		['an open single quote', "a:\n  - b: 'c\n  - d: e\n", 2, /quote begins here/, /second/],
		[
			'a line that is indented too deep',
			'a:\n- match: x\n   strategy: none\n',
			3,
			/indented more/,
			/same column/,
		],
		['two colons', 'hostRules: a: b\n', 1, /a second 'name:'/, /quotes/],
		[
			'a variable without quotes',
			'hostRules: [{match: ${X}, strategy: none}]\n',
			1,
			/./,
			/put quotes around/,
		],
		['two documents', 'hostRules: []\n---\nhostRules: []\n', 2, /second document/, /one document/],
		['wrong indentation', 'hostRules:\n  - match: x\n strategy: y\n', 3, /indentation|cannot be read/, /./],
		['an unknown alias', 'a: b\nhostRules: *none\n', 2, /no anchor/, /anchor first/],
		['a merge of a scalar', 'hostRules:\n- <<: 1\n', undefined, /merges something/, /anchor/],
		['an unknown alias inside of a known one', 'a: &a [*none]\nb: *a\n', 1, /no anchor/, /anchor first/],
		['an alias for what it is in', 'hostRules: &a\n- *a\n', undefined, /contains itself|aliases/, /./],
		['brackets without end', '['.repeat(20_000), 1, /nested deeper/, /flat/],
		['a tag for a variable', 'cache:\n  encryptionKey: !ENV KEY\n', 2, /a tag \('!'\)/, /\$\{NAME\}/],
		['a tag for a secret', 'cache:\n  encryptionKey: !secret key\n', 2, /a tag/, /\$\{file:PATH\}/],
		['a tag of a group', 'hostRules: !include {file: rules.yaml}\n', 1, /a tag/, /./],
		['a tag of a list', 'hostRules: !reference [a, b]\n', 1, /a tag/, /./],
		['a tag of another program', 'hostRules: !!python/name:os.system ""\n', 1, /a tag/, /./],
		['a NUL', 'hostRules: \0\n', undefined, /./, /./],
	])('%s', async (_, text, line, message, hint) => {
		const problems = await problemsInYaml(text);
		expect(problems.length).toBeGreaterThan(0);
		if (line !== undefined) expect(problems[0]?.line).toBe(line);
		expect(problems[0]?.message).toMatch(message);
		expect(problems[0]?.hint).toMatch(hint);
	});

	test('each tag is told, with its place and without what stands there', async () => {
		const problems = await problemsInYaml(`cache:
  encryptionKey: !hunter2
hostRules:
- match: a.example.org
  strategy: static-token
  options: {token: !vault hunter2, header: "!quoted"}
`);
		expect(problems.map(({line, message}) => [line, message])).toEqual([
			[2, "a tag ('!') stands here that has no meaning in a configuration"],
			[6, "a tag ('!') stands here that has no meaning in a configuration"],
		]);
		expect(JSON.stringify(problems)).not.toContain('hunter2');
	});

	test.each([
		['some hundred brackets', `${'['.repeat(300)}${']'.repeat(300)}`],
		['brackets', '['.repeat(50_000)],
		['brackets before a variable', `${'['.repeat(50_000)}"\${X}`],
		['closed brackets', `${'['.repeat(20_000)}${']'.repeat(20_000)}`],
		['braces', '{a: '.repeat(10_000)],
		['items', `${'- '.repeat(20_000)}x`],
		['keys', `${'? '.repeat(20_000)}x`],
		['indentation', Array.from({length: 1000}, (_, level) => `${' '.repeat(level)}a:`).join('\n')],
	])('a text that is nested without end is refused before it is worked out: %s', async (_, text) => {
		const started = process.cpuUsage().user;
		const problems = await problemsInYaml(text);
		expect(problems).toMatchObject([{message: 'the text is nested deeper than anybody writes'}]);
		// The keys took minutes, and many brackets seconds.
		expect(process.cpuUsage().user - started).toBeLessThan(1_000_000);
	});

	test('a text that is nested as deep as a configuration may be is read', async () => {
		const text = `hostRules: []\nx: ${'['.repeat(99)}${']'.repeat(99)}\n`;
		expect((await problemsInYaml(text)).map(({path}) => path)).toEqual(['x']);
	});

	test('aliases that unfold without end', async () => {
		const levels = Array.from({length: 12}, (_, level) => {
			const inner = level === 0 ? 'x' : `*l${level - 1}`;
			return `l${level}: &l${level} [${Array(10).fill(inner).join(', ')}]`;
		});
		const started = process.cpuUsage().user;
		const problems = await problemsInYaml(levels.join('\n'));
		expect(problems).toMatchObject([{message: 'its aliases unfold without end'}]);
		// 10^12 values would take days.
		expect(process.cpuUsage().user - started).toBeLessThan(10_000_000);
	});

	test('a secret in a broken text stays out of the message', async () => {
		const problems = await problemsInYaml('clientSecret: "hunter2\nhunter2: hunter2: hunter2\n');
		expect(problems).not.toEqual([]);
		expect(JSON.stringify(problems)).not.toContain('hunter2');
	});
});
