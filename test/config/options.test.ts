/** The options of a strategy, checked with its own schema: any that follows Standard Schema. */
import type {StandardSchemaV1} from '@standard-schema/spec';
import {describe, expect, test} from 'vitest';
import {z} from 'zod';
import type {ConfigurationInput} from '../../src/config/schema.ts';
import {defineStrategy, type StrategyDefinition} from '../../src/index.ts';
import {folderWith, load, problemsOf} from './loading.ts';

type Validate = StandardSchemaV1['~standard']['validate'];

function schemaOf(validate: Validate): StandardSchemaV1 {
	return {'~standard': {version: 1, vendor: 'by-hand', validate}};
}

function strategyWith(definition: Partial<StrategyDefinition>) {
	return defineStrategy({
		name: 'mine',
		...definition,
		async *authenticate() {
			yield;
		},
	});
}

function problemsWith(definition: Partial<StrategyDefinition>, options: Record<string, unknown> = {}) {
	const config: ConfigurationInput = {hostRules: [{match: 'a.example.org', strategy: 'mine', options}]};
	return problemsOf({config, strategies: [strategyWith(definition)]});
}

describe('a schema by hand', () => {
	test.each<[string, Validate]>([
		['at once', value => ({value: {made: value}})],
		['later', async value => ({value: {made: value}})],
	])('that answers %s makes the options', async (_, validate) => {
		const {configuration} = await load({
			config: {hostRules: [{match: 'a.example.org', strategy: 'mine', options: {key: 'k'}}]},
			strategies: [strategyWith({options: schemaOf(validate)})],
		});
		expect(configuration.hostRules[0]?.options).toEqual({made: {key: 'k'}});
	});

	test('tells where its issues are', async () => {
		const issues = [{message: 'Too short.', path: ['list', {key: 0}, 'name']}, {message: 'no good'}];
		const problems = await problemsWith({options: schemaOf(async () => ({issues}))}, {list: [{name: 'x'}]});
		expect(problems).toMatchObject([
			{
				path: 'hostRules[0].options.list[0].name',
				message: 'Too short',
				hint: 'Change it to what is expected',
			},
			{path: 'hostRules[0].options', message: 'no good', hint: 'Change it to what is expected'},
		]);
	});

	test.each<[string, Partial<StrategyDefinition>, RegExp]>([
		[
			'throws',
			{
				options: schemaOf(() => {
					throw new RangeError('hunter2');
				}),
			},
			/schema of the strategy 'mine' threw an error \(RangeError\)/,
		],
		[
			'rejects',
			{
				options: schemaOf(async () => {
					throw new RangeError('hunter2');
				}),
			},
			/threw an error \(RangeError\)/,
		],
		[
			'throws nothing',
			{
				options: schemaOf(() => {
					throw undefined;
				}),
			},
			/threw an error/,
		],
		['answers nothing', {options: schemaOf(() => undefined as never)}, /threw an error \(TypeError\)/],
		['has issues without a list', {options: schemaOf(() => ({issues: 5}) as never)}, /threw an error/],
		['is no schema', {options: {} as never}, /threw an error/],
		[
			'has endpoints that throw',
			{
				endpoints: () => {
					throw new RangeError('hunter2');
				},
			},
			/'endpoints' of the strategy 'mine' threw/,
		],
		[
			'has nested that throws',
			{
				nested: () => {
					throw new RangeError('hunter2');
				},
			},
			/'nested' of the strategy 'mine' threw/,
		],
	])('that %s is a mistake of the strategy', async (_, definition, message) => {
		const problems = await problemsWith(definition, definition.options ? {key: 'hunter2'} : {});
		expect(problems).toMatchObject([{path: 'hostRules[0].options', message: expect.stringMatching(message)}]);
		expect(JSON.stringify(problems)).not.toContain('hunter2');
	});
});

describe('no value shows in a message', () => {
	const repeats = schemaOf(value => {
		const {key} = value as {key: string};
		return {
			issues: [
				{message: `Invalid key "${key}" (${key.toLowerCase()})`, path: ['key']},
				{message: `bad: ${key}`},
			],
		};
	});

	test('neither one that is written down', async () => {
		const problems = await problemsWith({options: repeats}, {key: 'hunter2'});
		expect(problems.map(({message}) => message)).toEqual(['Invalid key "…" (…)', 'bad: …']);
	});

	test.each(['${KEY}', '${file:key}', 'x-${KEY}'])('nor one from outside: %s', async key => {
		const cwd = folderWith({key: 'Hunter2-Secret\n'});
		const problems = await problemsOf({
			cwd,
			config: {hostRules: [{match: 'a.example.org', strategy: 'mine', options: {key}}]},
			env: {KEY: 'Hunter2-Secret'},
			strategies: [strategyWith({options: repeats})],
		});
		expect(problems).toHaveLength(2);
		expect(JSON.stringify(problems)).not.toMatch(/hunter2/i);
	});

	test('wherever it was put', async () => {
		const secret = '${SECRET}';
		const config = {
			strategies: [secret],
			cache: {url: secret},
			tokenRequest: {timeout: secret},
			trust: [{match: `${secret} x`, ca: secret}],
			hostRules: [
				{match: `x/../${secret}`, strategy: secret, methods: [secret]},
				{
					match: `http://${secret}.example.org`,
					strategy: 'kerberos-stub',
					options: {mechanism: secret, delegate: secret},
				},
				{match: `api.example.org:${secret}`, strategy: 'static-token', options: {header: secret}},
				{
					match: `*${secret}`,
					strategy: 'sso-client-credentials',
					options: {tokenEndpoint: secret, server: secret, realm: `${secret}/`},
				},
				{
					match: 'b.example.org',
					strategy: 'sso-client-credentials',
					options: {tokenEndpoint: `http://${secret}/x`},
				},
			],
		};
		for (const value of ['hunter2', 'Hunter2 "$& ü', 'https://hunter2@hunter2.example.org/?hunter2']) {
			const problems = await problemsOf({config: config as never, env: {SECRET: value}});
			expect(problems.length).toBeGreaterThan(8);
			expect(JSON.stringify(problems)).not.toMatch(/hunter2/i);
		}
	});

	test('also the host of a URL that a variable holds whole', async () => {
		const rule = (tokenEndpoint: string, index: number) => ({
			match: `${index}.example.org`,
			strategy: 'sso-client-credentials',
			options: {tokenEndpoint},
		});
		const config = {hostRules: ['${URL}', '${URL}&x=y', '${WITH_PATH}'].map(rule)};
		const env = {
			URL: 'http://hunter2-login.example.org/?tenant=hunter2',
			WITH_PATH: 'http://login-hunter2.example.org/a/b',
		};
		const problems = await problemsOf({config: config as never, env});
		expect(problems).toHaveLength(3);
		for (const {message} of problems) expect(message).toBe('secrets would go to http://… over plain http');
	});
});

test('a schema of zod makes good sentences', async () => {
	const options = z.strictObject({
		header: z.string(),
		length: z.int().min(3),
		deep: z.object({on: z.boolean()}),
	});
	const problems = await problemsWith({options}, {haeder: 'x', length: 1, deep: {on: 'yes'}});
	expect(problems.map(({path, message, hint}) => `${path}: ${message}. ${hint}`)).toEqual([
		'hostRules[0].options.header: it is missing. Add header: a string',
		'hostRules[0].options.length: it is too small. Write at least 3',
		'hostRules[0].options.deep.on: it is a string. Write true or false',
		"hostRules[0].options.haeder: there is no setting 'haeder'. Did you mean header?",
	]);
});

describe('strategies inside of options', () => {
	test('are checked as deep as they stand', async () => {
		const inner = {of: [{strategy: 'none', options: {x: 1}}, {strategy: 'non'}, {strategie: 'none'}]};
		const config = {
			hostRules: [
				{
					match: 'a.example.org',
					strategy: 'chain',
					options: {of: [{strategy: 'chain', options: inner}, {strategy: 'static-token'}]},
				},
			],
		};
		const problems = await problemsOf({config});
		const places = problems.map(({path}) => path);
		expect(places).toEqual([
			'hostRules[0].options.of[0].options.of[2].strategy',
			'hostRules[0].options.of[0].options.of[2].strategie',
			'hostRules[0].options.of[1].options',
		]);
	});

	test('that come with endpoints need leave for plain http as well', async () => {
		const of = [
			{strategy: 'sso-client-credentials', options: {tokenEndpoint: 'http://sso.example.org/token'}},
		];
		const config = {hostRules: [{match: 'a.example.org', strategy: 'chain', options: {of}}]};
		expect(await problemsOf({config})).toMatchObject([{path: 'hostRules[0].options.of[0].options'}]);
	});
});

test('a rule whose options are no group of settings has this one mistake', async () => {
	const config = {hostRules: [{match: 'a.example.org', strategy: 'static-token', options: 5}]};
	expect(await problemsOf({config: config as never})).toHaveLength(1);
});
