/** Holds the pages of the diagnostics against the codes that there are: `docs/diagnostics/CODE.md`. */
import {globSync} from 'node:fs';
import {basename} from 'node:path';
import {describe, expect, test} from 'vitest';
import {diagnosticTitles} from '../../src/diagnostics/codes.ts';
import {anchorsIn, blocksIn, linksIn, read, root} from './markdown.ts';

const folder = 'docs/diagnostics';
const index = `${folder}/README.md`;
const codes = Object.keys(diagnosticTitles);
const pages = globSync(`${folder}/*.md`, {cwd: root}).filter(file => file !== index);

const headings = ['Symptom', 'Cause', 'What to do', 'Source'];

/** `gatepass doctor --explain` indents fenced lines by four; a terminal has 80 columns. */
const widest = 76;

test('each code has its page, and each page its code', () => {
	expect(pages.map(file => basename(file, '.md')).sort()).toEqual([...codes].sort());
});

test('each code is found by something', () => {
	const sources = globSync(['src/**/*.ts', 'strategies/**/*.ts'], {cwd: root})
		.filter(file => file !== 'src/diagnostics/codes.ts')
		.map(read)
		.join('\n');
	expect(codes.filter(code => !sources.includes(`'${code}'`))).toEqual([]);
});

describe('what is written in the source', () => {
	const verbs =
		'set|use|run|check|give|add|have|ask|see|put|take|write|correct|name|get|renew|look|make|wait|install|leave|remove|change|try|send|open|move|copy';
	/** An order, at the beginning of a sentence or behind a colon or a semicolon. */
	const advice = new RegExp(`(?:^|[.:;] )(?:${verbs}) (?!of\\b)|\\b(?:should|please)\\b`, 'i');
	const texts = (name: string): string[] =>
		globSync(['src/**/*.ts', 'strategies/**/*.ts'], {cwd: root}).flatMap(file =>
			[...read(file).matchAll(new RegExp(`\\b${name}:\\s*((['"\`])(?:\\\\.|(?!\\2)[^\\\\])*\\2)`, 'g'))].map(
				([, text = '']) => `${file}: ${text.slice(1, -1)}`,
			),
		);
	const told = (text: string): string => text.slice(text.indexOf(': ') + 2);

	test('a message advises nothing: what to do stands in the hint', () => {
		const messages = texts('what');
		expect(messages.length).toBeGreaterThan(400);
		// Of an option that is missing, its check says what is to be set.
		const known = /^strategies\/aws-sigv4\/options\.ts/;
		expect(messages.filter(text => advice.test(told(text)) && !known.test(text))).toEqual([]);
	});

	test('a hint is a sentence of its own, without its full stop', () => {
		// Of a text with another one inside, only the beginning is seen.
		const hints = texts('hint').filter(text => told(text) !== '' && !text.endsWith('? '));
		expect(hints.length).toBeGreaterThan(400);
		expect(hints.filter(text => !/^['"A-Z$].*[^.\s]$/s.test(told(text)))).toEqual([]);
	});
});

describe.each(codes)('the page of %s', code => {
	const file = `${folder}/${code}.md`;

	test('begins with the code and its title', () => {
		const title = diagnosticTitles[code as keyof typeof diagnosticTitles];
		expect(read(file).split('\n').slice(0, 4)).toEqual([`# ${code}`, '', `${title}.`, '']);
	});

	test('has its four parts, none of them empty', () => {
		const [, ...parts] = read(file).split(/^## /m);
		expect(parts.map(part => part.split('\n')[0])).toEqual(headings);
		for (const part of parts) expect(part.split('\n').slice(1).join('').trim()).not.toBe('');
	});

	test('can be taken in at a glance', () => {
		const lines = read(file).trimEnd().split('\n');
		expect(lines.length).toBeGreaterThanOrEqual(12);
		expect(lines.length).toBeLessThanOrEqual(35);
		const wide = blocksIn(file).flatMap(({text}) => text.split('\n').filter(line => line.length > widest));
		expect(wide).toEqual([]);
	});

	test('names no place on the machine of whoever wrote it', () => {
		expect(read(file)).not.toMatch(/\/(?:root|home\/\w+|work|tmp\/w-)\//);
	});

	test('leads to other pages, and not to itself', () => {
		expect(linksIn(file).map(({target}) => target)).not.toContain(`${code}.md`);
	});
});

describe('the index', () => {
	test('names each code with its title, in the order and under the headings of the registry', () => {
		const listed = read(index)
			.split('\n')
			.filter(line => /^(?:## |- )/.test(line));
		expect(listed).toEqual(registry());
	});

	test('has each heading once', () => {
		expect(read(index).match(/^## /gm)).toHaveLength(anchorsIn(index).size - 1);
	});
});

/** The lines of the index, made from the text of the registry: its comments are the headings. */
function registry(): string[] {
	const source = read('src/diagnostics/codes.ts');
	const body = source.slice(source.indexOf('diagnosticTitles = {'), source.indexOf('} as const'));
	return body.split('\n').flatMap(line => {
		const comment = /^\t\/\/ (.*)\.$/.exec(line)?.[1];
		if (comment !== undefined) return [`## ${comment}`];
		const code = /^\t'?([a-z\d-]+)'?: /.exec(line)?.[1];
		if (code === undefined) return [];
		const entry = `- [\`${code}\`](${code}.md): ${diagnosticTitles[code as keyof typeof diagnosticTitles]}`;
		// It belongs to no part.
		return code === 'failed' ? ['## Everything else', entry] : [entry];
	});
}
