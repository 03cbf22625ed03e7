/** Every mistake is reported at once, with its line, in the words that a newcomer needs. */
import {describe, expect, test} from 'vitest';
import {ConfigurationError} from '../../src/errors.ts';
import {folderWith, load, problemsInYaml, problemsOf} from './loading.ts';

test('mistakes of all kinds in one file, in the order of their lines', async () => {
	const cwd = folderWith({
		'gatepass.config.yaml': `cache:
  url: mysql://alice:hunter2@db/tokens
tokenRequest:
  timeout: soon
  retrys: 3
strategies: [./missing.js]
trust:
  - match: https://*.lab.example.org?x
    ca:
      - ./gatepass.config.yaml
      - ./no-ca.pem
hostRules:
  - match: cmsweb.cern.ch
    strategy: grid-certifcate
  - match:
      - api.example.org
      - api.*.org
    methods: []
    strategy: sso-client-credentials
    options:
      clientID: abc
      audience: 12345
  - match: http://plain.example.org
    strategy: grid-certificate
  - strategy: none
    options:
      anything: 1
  - match: a.example.org
    stratgy: none
hostRule: []
`,
	});
	const file = `${cwd}/gatepass.config.yaml`;
	const problems = await problemsOf({cwd});
	expect(problems.map(({line, path, message, hint}) => `${line} ${path}: ${message}. ${hint}`)).toEqual([
		'2 cache.url: it names no store that gatepass knows. Write sqlite:FILE, memory:, redis://HOST, rediss://HOST or postgres://HOST/DATABASE',
		'4 tokenRequest.timeout: it is a string. Write a number',
		"5 tokenRequest.retrys: there is no setting 'retrys'. Did you mean retries?",
		`6 strategies[0]: the strategy module './missing.js' does not exist. Name a file (starting with ./) or a package that is installed in ${cwd} or above`,
		"8 trust[0].match: the pattern has a query. Take out the '?' and what follows it: a path matches whatever the query is",
		`11 trust[0].ca[1]: the CA file ${cwd}/no-ca.pem does not exist. Name a PEM file that this user may read, a hashed CA folder, a bundle, or one of the words grid and system`,
		"14 hostRules[0].strategy: there is no strategy 'grid-certifcate'. Did you mean grid-certificate?",
		"17 hostRules[1].match[1]: 'api.*.org' has a star inside a label or behind the first one. A star stands for whole labels at the front: *.example.org",
		'18 hostRules[1].methods: it is empty. Write at least one item, or take it out',
		"21 hostRules[1].options.clientID: there is no setting 'clientID'. Did you mean clientId?",
		'22 hostRules[1].options.audience: it is a number. Put it in quotes, so that it is a string',
		"23 hostRules[2].match: 'http://plain.example.org' would send a credential over plain http. Write https://, or add 'allowInsecure: true' to the rule if every machine on the way may read it",
		'25 hostRules[3].match: it is missing. Add match: a string or a list',
		"27 hostRules[3].options.anything: the strategy 'none' takes no options. Take it out",
		'28 hostRules[4].strategy: it is missing. Add strategy: a string',
		"29 hostRules[4].stratgy: there is no setting 'stratgy'. Did you mean strategy?",
		"30 hostRule: there is no setting 'hostRule'. Did you mean hostRules?",
	]);
	for (const problem of problems) expect(problem.file).toBe(file);

	const error: unknown = await load({cwd}).catch(error => error);
	expect(error).toBeInstanceOf(ConfigurationError);
	const lines = (error as ConfigurationError).message.split('\n');
	expect(lines[0]).toBe('The configuration has 17 mistakes:');
	expect(lines[1]).toContain(
		`  ${file}:2: cache.url: it names no store that gatepass knows. Write sqlite:FILE`,
	);
	expect(lines).toHaveLength(18);
	expect((error as ConfigurationError).message).not.toContain('hunter2');
});

const twoMistakes = {
	hostRules: [
		{match: 'a b', strategy: 'none'},
		{match: 'api.example.org', strategy: 'non'},
	],
};

describe('file and line in each format', () => {
	test('JSON', async () => {
		const cwd = folderWith({'gatepass.config.json': JSON.stringify(twoMistakes, null, '\t')});
		expect(await problemsOf({cwd})).toMatchObject([
			{file: `${cwd}/gatepass.config.json`, line: 4, path: 'hostRules[0].match'},
			{file: `${cwd}/gatepass.config.json`, line: 9, path: 'hostRules[1].strategy'},
		]);
	});

	test('package.json', async () => {
		const manifest = {name: 'x', version: '1.0.0', gatepass: twoMistakes};
		const cwd = folderWith({'package.json': JSON.stringify(manifest, null, 2)});
		expect(await problemsOf({cwd})).toMatchObject([
			{file: `${cwd}/package.json`, line: 7, path: 'hostRules[0].match'},
			{file: `${cwd}/package.json`, line: 12, path: 'hostRules[1].strategy'},
		]);
	});

	test.each(['.gatepassrc', 'gatepass.config.yml'])('%s', async name => {
		const cwd = folderWith({[name]: '# comment\nhostRules:\n- {match: a.b, strategy: non}\n'});
		expect(await problemsOf({cwd})).toMatchObject([
			{file: `${cwd}/${name}`, line: 3, path: 'hostRules[0].strategy'},
		]);
	});

	test.each(['js', 'mjs', 'ts'])('%s has a file but no line', async extension => {
		const annotation = extension === 'ts' ? ': object' : '';
		const cwd = folderWith({
			'package.json': '{"type": "module"}',
			[`gatepass.config.${extension}`]: `const made${annotation} = ${JSON.stringify(twoMistakes)};\nexport default made;\n`,
		});
		const problems = await problemsOf({cwd});
		expect(problems).toMatchObject([{path: 'hostRules[0].match'}, {path: 'hostRules[1].strategy'}]);
		for (const problem of problems) {
			expect(problem.file).toBe(`${cwd}/gatepass.config.${extension}`);
			expect(problem).not.toHaveProperty('line');
		}
	});

	test('CommonJS', async () => {
		const cwd = folderWith({
			'package.json': '{"type": "commonjs"}',
			'gatepass.config.js': `module.exports = ${JSON.stringify(twoMistakes)};\n`,
		});
		expect(await problemsOf({cwd})).toHaveLength(2);
	});

	test('an object has neither', async () => {
		const problems = await problemsOf({config: twoMistakes});
		expect(problems).toHaveLength(2);
		for (const problem of problems) {
			expect(problem).not.toHaveProperty('file');
			expect(problem).not.toHaveProperty('line');
		}
	});
});

describe('the words for a wrong value', () => {
	test.each<[string, string]>([
		['hostRules: 5', 'hostRules: it is a number. Write a list'],
		['hostRules: {match: x}', 'hostRules: it is a group of settings. Write a list'],
		['hostRules:', 'hostRules: it is empty. Write a list'],
		['hostRules: [x]', "hostRules[0]: it is a string. Write settings, each as 'name: value'"],
		['hostRules: [[]]', "hostRules[0]: it is a list. Write settings, each as 'name: value'"],
		['tokenRequest: {timeout: 0}', 'tokenRequest.timeout: it is too small. Write more than 0'],
		['tokenRequest: {timeout: 1.5}', 'tokenRequest.timeout: it is a fraction. Write a whole number'],
		['tokenRequest: {timeout: .inf}', 'tokenRequest.timeout: it is not a finite number. Write a number'],
		['tokenRequest: {retries: 11}', 'tokenRequest.retries: it is too large. Write at most 10'],
		['cache: {url: ""}', 'cache.url: it is empty. Write something, or take it out'],
		[
			'cache: {size: 1}',
			"cache.size: there is no setting 'size'. Take it out. Those possible here are url, encryptionKey, encryption",
		],
		['trust: [{match: [], ca: x}]', 'trust[0].match: it is empty. Write at least one item, or take it out'],
		[
			'trust: [{match: [a.b, 5], ca: []}]',
			'trust[0].match[1]: it is a number. Put it in quotes, so that it is a string',
		],
		['trust: [{match: a.b, ca: {}}]', 'trust[0].ca: it is a group of settings. Write a string or a list'],
		[rule('methods: [GE T]'), 'hostRules[0].methods[0]: it is no HTTP method. Write a word such as GET'],
		[rule('allowInsecure: yes'), 'hostRules[0].allowInsecure: it is a string. Write true or false'],
		[rule('options: []'), "hostRules[0].options: it is a list. Write settings, each as 'name: value'"],
		[rule('strategy: 5'), 'hostRules[0].strategy: it is a number. Put it in quotes, so that it is a string'],
		[
			stub('mechanism: spengo'),
			'hostRules[0].options.mechanism: the value is not one of those possible. Write spnego or krb5',
		],
		[stub('mechanism: 1'), 'hostRules[0].options.mechanism: it is a number. Write spnego or krb5'],
		[
			stub('delegate: sometimes'),
			'hostRules[0].options.delegate: the value is not one of those possible. Write true or false or policy',
		],
	])('%s', async (text, expected) => {
		const problems = await problemsInYaml(text);
		const sentences = problems.map(({path, message, hint}) => `${path}: ${message}. ${hint}`);
		expect(sentences).toContain(expected);
	});
});

function rule(setting: string): string {
	const strategy = setting.startsWith('strategy') ? '' : '  strategy: none\n';
	return `hostRules:\n- match: a.example.org\n${strategy}  ${setting}\n`;
}

function sso(option: string): string {
	return `hostRules:\n- match: a.example.org\n  strategy: sso-client-credentials\n  options:\n    ${option}\n`;
}

function stub(option: string): string {
	return `hostRules:\n- match: a.example.org\n  strategy: kerberos-stub\n  options:\n    ${option}\n`;
}

describe('plain http', () => {
	const rules = (match: string, more = '') =>
		`hostRules: [{match: '${match}', strategy: kerberos-stub${more}}]`;
	test.each([
		'http://localhost:8080',
		'http://*.localhost',
		'http://127.0.0.1',
		'http://127.9.9.9',
		'http://[::1]:80',
	])('%s is this machine', async match => {
		expect(await problemsInYaml(rules(match))).toEqual([]);
	});
	test.each([
		'http://example.org',
		'http://*',
		'http://*.example.org',
		'http://192.168.0.1',
		'http://localhost.example.org',
	])('%s needs leave', async match => {
		expect(await problemsInYaml(rules(match))).toMatchObject([{path: 'hostRules[0].match'}]);
		expect(await problemsInYaml(rules(match, ', allowInsecure: true'))).toEqual([]);
	});

	test('a rule without a credential needs none', async () => {
		expect(await problemsInYaml("hostRules: [{match: 'http://example.org', strategy: none}]")).toEqual([]);
	});

	test.each([
		['http://sso.example.org/token', 1],
		['http://127.0.0.1:8080/token', 0],
		['http://localhost/token', 0],
		['https://sso.example.org/token', 0],
		['ftp://sso.example.org/token', 1],
		['sso.example.org/token', 1],
		['https://alice:hunter2@sso.example.org/token', 1],
		['https://sso.example.org/token#x', 1],
	])('a token endpoint %s: %i mistakes', async (endpoint, count) => {
		const problems = await problemsInYaml(sso(`tokenEndpoint: '${endpoint}'`));
		expect(problems).toHaveLength(count);
		expect(JSON.stringify(problems)).not.toContain('hunter2');
	});

	test('leave holds for the token endpoint too', async () => {
		const text = `${sso("tokenEndpoint: 'http://sso.example.org/token'")}  allowInsecure: true\n`;
		expect(await problemsInYaml(text)).toEqual([]);
	});
});
