/** The checks that guard the source, tried on what they are to find. */
import {execFile} from 'node:child_process';
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {promisify} from 'node:util';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {findViolations, importsIn} from '../../scripts/check-imports.ts';
import * as gatepass from '../../src/index.ts';
import * as testing from '../../src/testing/index.ts';
import {read, root} from './markdown.ts';

describe('import direction', () => {
	let project: string;
	beforeEach(async () => {
		project = await mkdtemp(join(tmpdir(), 'gatepass-imports-'));
	});
	afterEach(() => rm(project, {recursive: true, force: true}));

	const plant = async (file: string, line: string): Promise<void> => {
		await mkdir(join(project, dirname(file)), {recursive: true});
		await writeFile(join(project, file), `/** A planted file. */\n${line}\n`);
	};

	test('holds in the source', () => {
		expect(findViolations(root)).toEqual([]);
	});

	test.each([
		['src/tokens/token-cache.ts', "import {compose} from '../container.ts';", 'stands above it'],
		['src/errors.ts', "import type {Gatepass} from './gatepass.ts';", 'stands above it'],
		['src/strategy/services.ts', "export * from '../transports/got/extend.ts';", 'stands above it'],
		['src/config/load.ts', "const late = await import('../gatepass.ts');", 'stands above it'],
		[
			'strategies/none/index.ts',
			"import {compose} from '../../src/container.ts';",
			'A strategy may import only',
		],
		['strategies/none/index.ts', "import '../../src/tokens/token-cache.ts';", 'A strategy may import only'],
		['strategies/none/index.ts', "import {inject} from 'gatepass';", 'the built package'],
		['src/hop/request.ts', "import {x} from '../../test/x.ts';", 'no part of the source'],
	])('finds in %s: %s', async (file, line, rule) => {
		await plant(file, line);
		expect(findViolations(project)).toEqual([{file, line: 2, rule: expect.stringContaining(rule)}]);
	});

	test('finds a circle within one part', async () => {
		await plant('src/tokens/one.ts', "import {two} from './two.ts';");
		await plant('src/tokens/two.ts', "import type {one} from './one.ts';");
		const circle = 'src/tokens/one.ts → src/tokens/two.ts → src/tokens/one.ts';
		expect(findViolations(project)).toEqual([
			{file: 'src/tokens/two.ts', line: 2, rule: expect.stringContaining(circle)},
		]);
	});

	test('finds a file that has no place', async () => {
		await plant('src/stray.ts', '');
		expect(findViolations(project)).toMatchObject([
			{file: 'src/stray.ts', rule: expect.stringContaining('no place')},
		]);
	});

	test('lets imports through that point downwards', async () => {
		await plant('strategies/none/index.ts', "import {inject} from '../../src/strategy/index.ts';");
		await plant('src/cli/main.ts', "import {createGatepass} from '../gatepass.ts';");
		await plant('src/tokens/token-cache.ts', "import {z} from 'zod';");
		expect(findViolations(project)).toEqual([]);
	});

	test('reads every form of import, and no comment', () => {
		const text = [
			"import 'a';",
			'import {',
			'	one,',
			"} from 'b';",
			"export * from 'c';",
			"// import 'no';",
			" * import('no');",
			"const x = () => import('d');",
			"type Y = typeof import('e');",
		].join('\n');
		expect(importsIn(text)).toEqual([
			{line: 1, specifier: 'a'},
			{line: 4, specifier: 'b'},
			{line: 5, specifier: 'c'},
			{line: 8, specifier: 'd'},
			{line: 9, specifier: 'e'},
		]);
	});
});

describe('the listing of the API', () => {
	const listing = read('docs/reference/api.md');

	test.each([
		['gatepass', Object.keys(gatepass)],
		['gatepass/testing', Object.keys(testing)],
	])('has everything that %s exports', (entryPoint, names) => {
		const chapter = listing.split(/^## /m).find(text => text.startsWith(`${entryPoint}\n`)) ?? '';
		const listed = [...chapter.matchAll(/^### (\w+)$/gm)].map(([, name]) => name);
		expect(names.filter(name => !listed.includes(name))).toEqual([]);
	});
});

describe("the older form of a peer's certificate", () => {
	let project: string;
	beforeEach(async () => {
		project = await mkdtemp(join(tmpdir(), 'gatepass-lint-'));
		const plugin = join(root, 'scripts/lint/peer-certificate.grit');
		await writeFile(join(project, 'biome.json'), JSON.stringify({plugins: [plugin]}));
	});
	afterEach(() => rm(project, {recursive: true, force: true}));

	test('is what the project lints for', () => {
		expect(JSON.parse(read('biome.json')).plugins).toContain('./scripts/lint/peer-certificate.grit');
	});

	test.each([
		['socket.getPeerCertificate(true)', true],
		['socket.getPeerCertificate?.()', true],
		['(socket as TLSSocket).getPeerCertificate().subject', true],
		['response.socket.getPeerCertificate(false).raw', true],
		['certificate.toLegacyObject()', true],
		['socket.getPeerX509Certificate()', false],
		['certificatesOf(socket)', false],
	])('is found by the linter in %s: %s', async (expression, isFound) => {
		const file = join(project, 'planted.ts');
		await writeFile(file, `export const planted = ${expression};\n`);
		const biome = join(root, 'node_modules/.bin/biome');
		const said = await promisify(execFile)(biome, ['lint', `--config-path=${project}`, file]).then(
			() => '',
			({stdout, stderr}) => `${stdout}${stderr}`,
		);
		expect(said.includes('can end the process')).toBe(isFound);
	});
});
