/** `${NAME}`, `${NAME:-default}`, `${file:PATH}` and `$${`, and everything that can be wrong with them. */
import {execFileSync} from 'node:child_process';
import {join} from 'node:path';
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {interpolate} from '../../src/config/interpolate.ts';
import {Problems} from '../../src/config/problems.ts';
import {sourceFromValue} from '../../src/config/source.ts';
import type {ConfigurationError, Problem} from '../../src/errors.ts';
import type {Environment} from '../../src/strategy/services.ts';
import {folderWith, problemsInYaml} from './loading.ts';

function replace(value: unknown, environment: Environment = {}, folder = '/nonexistent') {
	const problems = new Problems(sourceFromValue(value));
	const {value: replaced, secrets} = interpolate(value, {environment, folder, problems});
	let found: readonly Problem[] = [];
	try {
		problems.throwIfAny();
	} catch (error) {
		found = (error as ConfigurationError).problems;
	}
	return {value: replaced, secrets: [...secrets], problems: found};
}

const environment = {A: 'one', B: 'two', EMPTY: '', ODD: '${A} $& $1', UNDEFINED: undefined};

test.each([
	['${A}', 'one'],
	['x${A}y${B}z', 'xoneytwoz'],
	['${A}${A}', 'oneone'],
	['${A:-default}', 'one'],
	['${MISSING:-default}', 'default'],
	['${MISSING:-}', ''],
	['${EMPTY:-default}', 'default'],
	['${UNDEFINED:-default}', 'default'],
	['${EMPTY}', ''],
	['${MISSING:-https://a:-b}', 'https://a:-b'],
	['${ODD}', '${A} $& $1'],
	['$${A}', '${A}'],
	['$$${A}', '$${A}'],
	['$${A} ${A}', '${A} one'],
	['${A}$${A}', 'one${A}'],
	['$A {A} $ {A} }', '$A {A} $ {A} }'],
	['', ''],
])('%s becomes %s', (text, expected) => {
	expect(replace(text, environment)).toMatchObject({value: expected, problems: []});
});

test('in every string, at any depth, but not in keys; other values stay what they are', () => {
	const value = {a: ['${A}', {b: '${B}', c: 5, d: null, e: true}], '${A}': 1};
	expect(replace(value, environment)).toMatchObject({
		value: {a: ['one', {b: 'two', c: 5, d: null, e: true}], '${A}': 1},
		problems: [],
	});
	const date = new Date();
	const make = () => 'token';
	expect(replace({date, make}).value).toEqual({date, make});
});

describe('a file', () => {
	test('is read without the line break at its end, from the folder of the configuration or the home folder', () => {
		const folder = folderWith({a: 'secret\n', b: 'secret\r\n', c: 'two\nlines\n\n', d: '${A}'});
		const value = [
			'${file:a}',
			'${file:./b}',
			'${file:c}',
			'${file:d}',
			`\${file:${folder}/a}`,
			'${file:~/a}',
		];
		expect(replace(value, {HOME: folder}, folder)).toMatchObject({
			value: ['secret', 'secret', 'two\nlines\n', '${A}', 'secret', 'secret'],
			problems: [],
		});
	});

	test.each([
		['missing', 'does not exist'],
		['.', 'is not a file'],
		['', 'is not a file'],
		['large', 'has 65537 bytes, too many for a secret'],
		['a/b', 'cannot be read (ENOTDIR)'],
		['/dev/zero', 'is not a file'],
		['pipe', 'is not a file'],
	])('%j %s', (name, message) => {
		const folder = folderWith({a: '', large: 'x'.repeat(65_537)});
		execFileSync('mkfifo', [join(folder, 'pipe')]);
		const {problems} = replace({key: `\${file:${name}}`}, {}, folder);
		expect(problems).toMatchObject([{path: 'key', message: expect.stringContaining(message)}]);
		expect(problems[0]?.hint).not.toBe('');
	});
});

test.each([
	['${MISSING}', 'the variable MISSING is not set', /Set it .*\$\{MISSING:-default\}/],
	['${UNDEFINED}', 'the variable UNDEFINED is not set', /Set it/],
	['${constructor}', 'the variable constructor is not set', /Set it/],
	['${__proto__}', 'the variable __proto__ is not set', /Set it/],
	['${}', "'${}' names no variable", /Write \$\{NAME\}/],
	['${A B}', "'${A B}' names no variable", /Write \$\{NAME\}/],
	['${1A}', "'${1A}' names no variable", /Write \$\{NAME\}/],
	['${MISSING:-${A}}', 'the default of MISSING has a reference inside', /plain text/],
	['${A-default}', "'${A-default}' names no variable", /\$\{NAME:-default\}/],
	['${A', "'${' is not closed", /Add the '\}'/],
	['${A} ${', "'${' is not closed", /Add the '\}'/],
])('%s is a mistake', (text, message, hint) => {
	const {problems} = replace({key: text}, environment);
	expect(problems).toMatchObject([{path: 'key', message}]);
	expect(problems[0]?.hint).toMatch(hint);
});

test('what cannot be filled in is one mistake, not a row of them', async () => {
	const text = `hostRules:
- match: '\${HOST}'
  strategy: '\${STRATEGY}'
- match: a.example.org
  strategy: sso-client-credentials
  options:
    clientSecret: '\${SECRET}'
    tokenEndpoint: 'https://\${SERVER}/token'
`;
	const problems = await problemsInYaml(text);
	expect(problems.map(({line, message}) => `${line} ${message}`)).toEqual([
		'2 the variable HOST is not set',
		'3 the variable STRATEGY is not set',
		'7 the variable SECRET is not set',
		'8 the variable SERVER is not set',
	]);
});

test('a configuration that contains itself, or is nested without end, is a mistake', () => {
	const itself: Record<string, unknown> = {};
	itself.hostRules = [itself];
	expect(replace(itself).problems[0]?.message).toMatch(/contains itself/);
	let deep: unknown = 'x';
	for (let level = 0; level < 50_000; level++) deep = [deep];
	expect(replace({deep}).problems[0]?.message).toMatch(/nested more than/);
});

test('any text: every reference is replaced or reported, and nothing else changes', () => {
	const piece = fc.constantFrom('${A}', '$${', '${', '}', '$', '{', 'x', ':-', '${MISSING}', '${B:-y}', ' ');
	fc.assert(
		fc.property(fc.array(piece, {maxLength: 10}), pieces => {
			const text = pieces.join('');
			const {value, problems} = replace(text, environment);
			if (problems.length > 0) return;
			const expected = text.replaceAll(
				/\$\$\{|\$\{(\w+)(?::-([^}]*))?\}/g,
				(_, name?: string, fallback = '') => {
					if (name === undefined) return '${';
					return {A: 'one', B: 'two'}[name] ?? fallback;
				},
			);
			expect(value).toBe(expected);
		}),
		{numRuns: 2000},
	);
});
