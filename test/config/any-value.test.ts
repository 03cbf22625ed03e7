/** Whatever is given as a configuration either loads or is a `ConfigurationError`; nothing else, and no hanging. */
import fc from 'fast-check';
import {expect, test} from 'vitest';
import type {ConfigurationInput} from '../../src/config/schema.ts';
import {ConfigurationError} from '../../src/errors.ts';
import {folderWith, load} from './loading.ts';

async function loadsOrSaysWhy(config: unknown): Promise<void> {
	try {
		await load({config: config as ConfigurationInput, cwd: '/nonexistent'});
	} catch (error) {
		expect(error).toBeInstanceOf(ConfigurationError);
		const {problems} = error as ConfigurationError;
		expect(problems.length).toBeGreaterThan(0);
		for (const {path, message, hint} of problems) {
			expect(path).not.toBe('');
			expect(message).not.toMatch(/undefined|\[object|Invalid input|expected/);
			expect(message).not.toBe('');
			expect(hint).not.toMatch(/undefined|\[object|^$/);
		}
	}
}

test('any JSON value', async () => {
	await fc.assert(fc.asyncProperty(fc.jsonValue(), loadsOrSaysWhy), {numRuns: 300});
});

test('any value of JavaScript', async () => {
	const anything = fc.anything({
		withBigInt: true,
		withDate: true,
		withMap: true,
		withNullPrototype: true,
		withSet: true,
	});
	await fc.assert(fc.asyncProperty(anything, loadsOrSaysWhy), {numRuns: 500});
});

/** A value of about the right shape, so that the checks behind the schema are reached. */
const scalar = fc.oneof(
	fc.constantFrom(
		'none',
		'kerberos-stub',
		'sso-client-credentials',
		'grid-certificate',
		'static-token',
		'chain',
	),
	fc.constantFrom(
		'a.example.org',
		'http://*',
		'*.b',
		'${X}',
		'${',
		'',
		'./x',
		'GET',
		'memory:',
		'https://h/token',
	),
	fc.constantFrom(null, true, false, 0, -1, 1.5, 10_000, {}, []),
	fc.jsonValue({maxDepth: 1}),
);
const listOf = (item: fc.Arbitrary<unknown>) => fc.oneof(scalar, fc.array(item, {maxLength: 3}));
const some = (shape: Record<string, fc.Arbitrary<unknown>>) =>
	fc.oneof({weight: 5, arbitrary: fc.record(shape, {requiredKeys: []})}, {weight: 1, arbitrary: scalar});
const nested = some({strategy: scalar, options: scalar});
const options = some({
	of: listOf(nested),
	subjectToken: some({file: scalar, rule: nested}),
	tokenEndpoint: scalar,
	server: scalar,
	clientId: scalar,
	clientSecret: scalar,
	delegate: scalar,
	timeout: scalar,
	certificate: scalar,
	key: scalar,
	token: scalar,
	__proto__: scalar,
	constructor: scalar,
});
const configuration = some({
	strategies: listOf(scalar),
	cache: some({url: scalar}),
	tokenRequest: some({timeout: scalar, retries: scalar}),
	trust: listOf(some({match: listOf(scalar), ca: listOf(scalar), only: scalar})),
	hostRules: listOf(
		some({match: listOf(scalar), methods: listOf(scalar), strategy: scalar, options, allowInsecure: scalar}),
	),
	unknown: scalar,
});

test('values of about the right shape', async () => {
	await fc.assert(fc.asyncProperty(configuration, loadsOrSaysWhy), {numRuns: 700});
});

test('any text in a file', async () => {
	const line = fc.constantFrom(
		'hostRules:',
		'- match: x',
		'  strategy: none',
		'&a',
		'*a',
		'<<: *a',
		'{',
		'}',
		'[',
		'"',
		'\t',
		'---',
		'? x',
		': y',
		'!!set',
		'|',
		'#',
		'%YAML 9',
	);
	const text = fc.oneof(
		fc.array(line, {maxLength: 6}).map(lines => lines.join('\n')),
		fc.string({unit: 'binary'}),
	);
	const {writeFile} = await import('node:fs/promises');
	const cwd = folderWith({});
	await fc.assert(
		fc.asyncProperty(text, async content => {
			await writeFile(`${cwd}/gatepass.config.yaml`, content);
			const error: unknown = await load({cwd}).catch(error => error);
			if (error instanceof Error) expect(error).toBeInstanceOf(ConfigurationError);
		}),
		{numRuns: 500},
	);
});
