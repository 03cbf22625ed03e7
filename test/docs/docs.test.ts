/** Holds the documentation against the code: examples, links, names of errors, settings and options. */
import {existsSync, globSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {describe, expect, test} from 'vitest';
import {embed} from '../../scripts/embed-examples.ts';
import * as gatepass from '../../src/index.ts';
import {anchorsIn, blocksIn, linksIn, markdownFiles, read, root, tableUnder} from './markdown.ts';

const generated = 'docs/reference/api.md';
const guides = markdownFiles.filter(file => file !== generated);

describe('examples', () => {
	test.each(guides)('%s shows the examples as they are', file => {
		expect(embed(read(file))).toBe(read(file));
	});

	test.each(guides)('%s shows no code that is not tested', file => {
		const untested = blocksIn(file).filter(
			({language, marker}) => ['ts', 'js', 'yaml'].includes(language) && marker?.kind !== 'example',
		);
		expect(untested.map(({place}) => place)).toEqual([]);
	});

	test('every example is shown, or used by one that is', () => {
		const shown = new Set(guides.flatMap(file => blocksIn(file)).map(({marker}) => marker?.file));
		const files = globSync('docs/examples/**/*.{ts,js,yaml,json}', {cwd: root});
		const texts = files.map(read);
		const unused = files.filter(
			file => !shown.has(file) && !texts.some(text => text.includes(file.replace('docs/examples/', ''))),
		);
		expect(unused).toEqual([]);
	});
});

test('a certificate or a token expires; it is a request that ends', () => {
	const sources = globSync(['src/**/*.ts', 'strategies/**/*.ts'], {cwd: root});
	const other = /\b(?:certificate|proxy|token|ticket|it|\}) (?:ends|ended) (?:on|at|in less|within|before)\b/;
	const found = [...guides, ...sources].filter(file => other.test(read(file)));
	expect(found).toEqual([]);
});

test.each(markdownFiles)('the links of %s lead somewhere', file => {
	const dead = linksIn(file).filter(({target}) => {
		const [path = '', anchor] = target.split('#');
		const linked = path === '' ? file : join(dirname(file), path);
		if (!existsSync(join(root, linked))) return true;
		return anchor !== undefined && !anchorsIn(linked).has(anchor);
	});
	expect(dead.map(({place, target}) => `${place}: ${target}`)).toEqual([]);
});

describe('errors', () => {
	/** Not gatepass's own. */
	const others = ['AggregateError', 'HTTPError', 'RequestError', 'TimeoutError', 'TypeError'];

	test.each(guides)('%s names only errors that there are', file => {
		const named = [...read(file).matchAll(/\b[A-Z]\w*Error\b/g)].map(([name]) => name);
		expect(named.filter(name => !(name in gatepass.errorCodes) && !others.includes(name))).toEqual([]);
	});

	test('each has a chapter with its code', () => {
		const chapters = [...read('docs/errors.md').matchAll(/^## (\w+Error)\n\n`(\w+)`\./gm)];
		expect(Object.fromEntries(chapters.map(([, name, code]) => [name, code]))).toEqual(gatepass.errorCodes);
	});
});

interface JsonSchema {
	readonly type?: string;
	readonly const?: string;
	readonly description?: string;
	readonly default?: unknown;
	readonly properties?: Readonly<Record<string, JsonSchema>>;
	readonly required?: readonly string[];
	readonly items?: JsonSchema;
	readonly anyOf?: readonly JsonSchema[];
	readonly definitions?: {readonly optionsByStrategy: {readonly allOf: readonly Condition[]}};
}

interface Condition {
	readonly if: JsonSchema;
	readonly then: JsonSchema;
}

describe('configuration.md', () => {
	const schema: JsonSchema = JSON.parse(read('schema.json'));
	const file = 'docs/configuration.md';
	const inCode = (cell = ''): string => /^`(.+)`$/.exec(cell)?.[1] ?? cell;

	test('has every setting, and no other', () => {
		const rows = tableUnder(file, 'Settings');
		expect(rows.map(([name]) => inCode(name)).sort()).toEqual(settingsOf(schema).sort());
	});

	const strategies = schema.definitions?.optionsByStrategy.allOf ?? [];
	const byName = strategies.map(({if: {properties}, then}) => {
		const options = then.properties?.options;
		return [properties?.strategy?.const ?? '', options ?? {}] as const;
	});

	/** The options that the chapter of a strategy lists, and those of the chapter that it refers to. */
	const listedUnder = (name: string): string[][] => {
		const chapter =
			read(file)
				.split(/^### /m)
				.find(text => text.startsWith(`${name}\n`)) ?? '';
		const others = [...chapter.matchAll(/The options of \[`([\w-]+)`\]/g)];
		return [...tableUnder(file, name), ...others.flatMap(([, other = '']) => listedUnder(other))];
	};

	test.each(byName)('has every option of %s, and no other', (name, options) => {
		const rows = listedUnder(name);
		expect(rows.map(([option]) => inCode(option)).sort()).toEqual(
			Object.keys(options.properties ?? {}).sort(),
		);
	});

	test.each(byName)('has the right defaults of %s', (name, options) => {
		for (const [option, , written] of listedUnder(name)) {
			const {default: value} = options.properties?.[inCode(option)] ?? {};
			if (value !== undefined) expect([option, inCode(written)]).toEqual([option, String(value)]);
		}
	});

	test('every strategy is in the README', () => {
		const rows = tableUnder('README.md', 'Built-in strategies').map(([name]) => inCode(name));
		expect(rows.sort()).toEqual(byName.map(([name]) => name).sort());
	});
});

/** `cache.url`, `trust[].ca`: the settings of a schema by their paths, without a strategy's options. */
function settingsOf({properties = {}}: JsonSchema, path = ''): string[] {
	return Object.entries(properties).flatMap(([name, schema]) => {
		if (schema.properties !== undefined && !schema.required) return settingsOf(schema, `${path}${name}.`);
		if (schema.items?.properties !== undefined) return settingsOf(schema.items, `${path}${name}[].`);
		return [`${path}${name}`];
	});
}
