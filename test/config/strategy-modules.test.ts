/** Strategies that the configuration names by path or package, and all the ways in which that can fail. */
import {execFileSync} from 'node:child_process';
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {describe, expect, test} from 'vitest';
import {defineStrategy, type StrategyClass} from '../../src/index.ts';
import {folderWith, load, problemsOf} from './loading.ts';

/** The text of a strategy class that needs no import: as one made by another copy of gatepass looks. */
function strategyText(name: string): string {
	return `Object.defineProperty(class { async *authenticate() { yield; } }, Symbol.for('gatepass.strategyDefinition'), {value: {name: ${JSON.stringify(name)}}})`;
}

/** A configuration that loads `module` and uses its strategy `mine`. */
function using(module: string, strategy = 'mine'): string {
	return JSON.stringify({strategies: [module], hostRules: [{match: 'a.example.org', strategy}]});
}

describe('a module is loaded', () => {
	const esm = `export class Mine {}\nexport const mine = ${strategyText('mine')};\nexport const other = 5;`;
	test.each<[string, string, Record<string, string>]>([
		['by a path', './mine.mjs', {'mine.mjs': esm}],
		['by a path upwards', '../mine.mjs', {'mine.mjs': esm, 'in/x': ''}],
		['by a path from the home folder', '~/mine.mjs', {'mine.mjs': esm}],
		[
			'in TypeScript',
			'./mine.ts',
			{'mine.ts': `const name: string = 'x';\n${esm}`, 'package.json': '{"type": "module"}'},
		],
		['as the default export', './mine.mjs', {'mine.mjs': `export default ${strategyText('mine')};`}],
		[
			'from CommonJS, as the whole module',
			'./mine.cjs',
			{'mine.cjs': `module.exports = ${strategyText('mine')};`},
		],
		[
			'from CommonJS, among others',
			'./mine.cjs',
			{'mine.cjs': `const all = {mine: ${strategyText('mine')}}; module.exports = all;`},
		],
		[
			'from CommonJS, as its default',
			'./mine.cjs',
			{'mine.cjs': `exports.__esModule = true; exports.default = ${strategyText('mine')};`},
		],
		[
			'from a package with main',
			'pkg',
			{
				'node_modules/pkg/package.json': '{"main": "m.cjs"}',
				'node_modules/pkg/m.cjs': `module.exports = ${strategyText('mine')};`,
			},
		],
		[
			'from a package with a scope',
			'@me/pkg',
			{
				'node_modules/@me/pkg/package.json': '{"main": "m.cjs"}',
				'node_modules/@me/pkg/m.cjs': `module.exports = ${strategyText('mine')};`,
			},
		],
		[
			'from a package for import only',
			'pkg',
			{
				'node_modules/pkg/package.json': '{"type": "module", "exports": {"import": "./m.js"}}',
				'node_modules/pkg/m.js': esm,
			},
		],
		[
			'from a package for import only, with conditions inside',
			'pkg',
			{
				'node_modules/pkg/package.json':
					'{"type": "module", "exports": {".": {"browser": "./no.js", "node": {"import": {"types": "./m.d.ts", "default": "./m.js"}}}}}',
				'node_modules/pkg/m.js': esm,
			},
		],
		[
			'from a part of such a package',
			'@me/pkg/part',
			{
				'node_modules/@me/pkg/package.json':
					'{"type": "module", "exports": {".": {"import": "./no.js"}, "./part": {"import": "./m.js"}}}',
				'node_modules/@me/pkg/m.js': esm,
			},
		],
		[
			'from a part of such a package by a pattern',
			'pkg/parts/m',
			{
				'node_modules/pkg/package.json':
					'{"type": "module", "exports": {"./parts/*": {"import": "./lib/*.js"}}}',
				'node_modules/pkg/lib/m.js': esm,
			},
		],
		[
			'from a package in a folder above',
			'pkg',
			{
				'node_modules/pkg/package.json': '{"type": "module", "exports": "./m.js"}',
				'node_modules/pkg/m.js': esm,
				'in/x': '',
			},
		],
	])('%s', async (_, module, files) => {
		const folder = 'in/x' in files ? 'in/' : '';
		const cwd = folderWith({...files, [`${folder}gatepass.config.json`]: using(module)});
		const {configuration, strategyOf} = await load({
			cwd,
			config: `${folder}gatepass.config.json`,
			env: {HOME: cwd},
		});
		expect(configuration.hostRules).toMatchObject([{strategy: 'mine', options: {}}]);
		expect(strategyOf('mine')).toBeTypeOf('function');
	});
});

test('what CommonJS exports is found by Node itself, which gives less of it by name than a bundler does', () => {
	const cwd = folderWith({
		'whole.cjs': `module.exports = ${strategyText('whole')};`,
		'among.cjs': `const all = {other: 5, among: ${strategyText('among')}}; module.exports = all;`,
		'as-default.cjs': `exports.__esModule = true; exports.default = ${strategyText('as-default')};`,
		'run.mjs': `
			import '${import.meta.resolve('reflect-metadata')}';
			const {StrategyRegistry} = await import('${new URL('../../src/config/strategy-registry.ts', import.meta.url)}');
			const problems = {add: (...problem) => console.log(problem)};
			const registry = new StrategyRegistry({}, ${JSON.stringify('FOLDER')}, {}, problems);
			for (const name of ['whole', 'among', 'as-default']) await registry.registerModule('./' + name + '.cjs', []);
			console.log(registry.names.join());`,
	});
	const file = join(cwd, 'run.mjs');
	writeFileSync(file, readFileSync(file, 'utf8').replace('FOLDER', cwd));
	expect(execFileSync(process.execPath, [file], {encoding: 'utf8'})).toBe('among,as-default,whole\n');
});

describe('a module that fails', () => {
	test.each<[string, string, Record<string, string>, RegExp, RegExp]>([
		[
			'a file that is missing',
			'./missing.js',
			{},
			/'\.\/missing\.js'.* does not exist/,
			/starting with \.\//,
		],
		[
			'a package that is missing',
			'no-such-package',
			{},
			/'no-such-package'.* does not exist/,
			/installed in/,
		],
		['a file without ./', 'mine.js', {'mine.js': ''}, /'mine\.js'.* does not exist/, /starting with \.\//],
		[
			'a part that is not exported',
			'pkg/inner',
			{'node_modules/pkg/package.json': '{"exports": {".": "./m.js"}}', 'node_modules/pkg/m.js': ''},
			/does not export 'pkg\/inner'/,
			/exports/,
		],
		[
			'a package that exports nothing to import',
			'pkg',
			{'node_modules/pkg/package.json': '{"exports": {"deno": "./m.js"}}'},
			/does not export 'pkg'/,
			/exports/,
		],
		[
			'a package with a broken manifest',
			'pkg',
			{'node_modules/pkg/package.json': '{'},
			/cannot be loaded/,
			/./,
		],
		[
			'a syntax error',
			'./m.mjs',
			{'m.mjs': 'export default {'},
			/has a syntax error|cannot be loaded/,
			/to see/,
		],
		[
			'one that throws',
			'./m.mjs',
			{'m.mjs': 'throw new RangeError("hunter2")'},
			/cannot be loaded: it throws RangeError/,
			/to see why/,
		],
		['one that throws nothing', './m.mjs', {'m.mjs': 'throw null'}, /cannot be loaded/, /to see why/],
		[
			'one that exports none',
			'./m.mjs',
			{'m.mjs': 'export default class {}'},
			/exports no strategy/,
			/@authStrategy/,
		],
		['one that exports nothing', './m.mjs', {'m.mjs': ''}, /exports no strategy/, /defineStrategy/],
		[
			'a name with capitals',
			'./m.mjs',
			{'m.mjs': `export default ${strategyText('My Strategy')}`},
			/has the name 'My Strategy'/,
			/lower-case/,
		],
		[
			'a name that is none',
			'./m.mjs',
			{'m.mjs': `export default ${strategyText('').replace('""', '5')}`},
			/has the name '5'/,
			/lower-case/,
		],
		[
			'a name that is built in',
			'./m.mjs',
			{'m.mjs': `export default ${strategyText('none')}`},
			/'none', which is taken/,
			/another name/,
		],
		[
			'a name twice',
			'./m.mjs',
			{'m.mjs': `export const a = ${strategyText('mine')}; export const b = ${strategyText('mine')}`},
			/'mine', which is taken/,
			/another name/,
		],
	])('%s', async (_, module, files, message, hint) => {
		const cwd = folderWith({...files, 'gatepass.config.json': JSON.stringify({strategies: [module]})});
		const problems = await problemsOf({cwd});
		expect(problems).toHaveLength(1);
		expect(problems[0]).toMatchObject({line: 1, path: 'strategies[0]'});
		expect(problems[0]?.message).toMatch(message);
		expect(problems[0]?.hint).toMatch(hint);
		expect(JSON.stringify(problems)).not.toContain('hunter2');
	});

	test('leaves the other modules and the rules to be checked too', async () => {
		const cwd = folderWith({
			'good.mjs': `export default ${strategyText('mine')};`,
			'gatepass.config.json': JSON.stringify({
				strategies: ['./missing.mjs', './good.mjs'],
				hostRules: [{match: 'a.example.org', strategy: 'mien'}],
			}),
		});
		const problems = await problemsOf({cwd});
		expect(problems.map(({path, hint}) => [path, hint])).toEqual([
			['strategies[0]', expect.stringContaining('Name a file')],
			['hostRules[0].strategy', 'Did you mean mine?'],
		]);
	});
});

describe('strategies that the caller hands over', () => {
	const plain = (name: string) =>
		defineStrategy({
			name,
			async *authenticate() {
				yield;
			},
		});
	const config = {hostRules: [{match: 'a.example.org', strategy: 'mine'}]};

	test('serve like those of modules', async () => {
		const mine = plain('mine');
		const {strategyOf} = await load({config, strategies: [mine]});
		expect(strategyOf('mine')).toBe(mine);
	});

	test.each<[string, unknown, RegExp]>([
		['a class without a name', class {}, /strategies\[0\] of createGatepass is no strategy/],
		['nothing', undefined, /is no strategy/],
		['an object', {name: 'mine'}, /is no strategy/],
		['a name that is built in', plain('kerberos-stub'), /which is taken/],
	])('%s is a mistake', async (_, strategy, message) => {
		const problems = await problemsOf({config: {}, strategies: [strategy as StrategyClass]});
		expect(problems).toMatchObject([{message: expect.stringMatching(message)}]);
	});
});
