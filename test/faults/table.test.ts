/** Holds the table of the faults against their tests, and the page that is published against the table. */
import {globSync, readFileSync} from 'node:fs';
import {basename} from 'node:path';
import {fileURLToPath} from 'node:url';
import {expect, test} from 'vitest';
import {diagnosticTitles} from '../../src/diagnostics/codes.ts';
import {pageOf} from './page.ts';
import {type Fault, faults} from './table.ts';

const folder = fileURLToPath(new URL('.', import.meta.url));
const entries: Readonly<Record<string, Fault>> = faults;

test('each fault that can be brought about has a test of its name, and each test a fault', () => {
	const tests = globSync('*.test.ts', {cwd: folder}).map(file => basename(file, '.test.ts'));
	const tested = Object.keys(entries).filter(name => !('untested' in (entries[name] as Fault)));
	expect(tests.filter(name => name !== 'table').sort()).toEqual(tested.sort());
});

test('each test is of the fault that its file is named after', () => {
	for (const file of globSync('*.test.ts', {cwd: folder})) {
		const name = basename(file, '.test.ts');
		if (name === 'table') continue;
		expect(readFileSync(`${folder}/${file}`, 'utf8')).toContain(`fault('${name}',`);
	}
});

test('each code is one that there is', () => {
	const codes = Object.values(entries).flatMap(one => ('code' in one ? [one.code] : []));
	for (const code of codes) expect(diagnosticTitles).toHaveProperty(code);
});

test('docs/faults.md is made from the table', async () => {
	await expect(pageOf(entries)).toMatchFileSnapshot('../../docs/faults.md');
});
