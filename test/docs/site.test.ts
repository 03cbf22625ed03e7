/** The check of the built site, tried on sites that are not whole. The build itself is a step of `npm run verify`. */
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {findFaults} from '../../scripts/check-site.ts';
import {headingSlug} from '../../site/links.ts';
import {pageOf} from '../../site/pages.ts';
import {sidebar} from '../../site/sidebar.ts';
import {anchorsIn, markdownFiles, read, root} from './markdown.ts';

let project: string;
beforeEach(async () => {
	project = await mkdtemp(join(tmpdir(), 'gatepass-site-'));
	await plant('docs/index.md', '# Start');
	await plant('docs/trust.md', '# Trust');
	await plant('site/index.html', '<h1 id="start">Start</h1><a href="/trust.html#trust">Trust</a>');
	await plant('site/trust.html', '<h1 id="trust">Trust</h1><a href="#trust">#</a><a href="./">Start</a>');
	await plant('site/assets/chunks/@localSearchIndexroot.abc.js', '{"0":"/trust.html#trust"}');
});
afterEach(() => rm(project, {recursive: true, force: true}));

async function plant(file: string, text: string): Promise<void> {
	await mkdir(join(project, dirname(file)), {recursive: true});
	await writeFile(join(project, file), text);
}

const faults = (): string[] => findFaults(project, join(project, 'site'));

test('a site that is whole has no faults', () => {
	expect(faults()).toEqual([]);
});

test.each([
	['a page that is not there', '<a href="/nowhere.html">x</a>', 'index.html: leads to /nowhere.html'],
	['an anchor that is not there', '<a href="/trust.html#not">x</a>', 'index.html: leads to /trust.html#not'],
	['a picture that is not there', '<img alt="" src="/assets/x.svg">', 'index.html: leads to /assets/x.svg'],
	[
		'a script of another server',
		'<script src="https://cdn.example.org/x.js"></script>',
		'index.html: loads https',
	],
])('%s is found', async (_, html, fault) => {
	await plant('site/index.html', html);
	expect(faults()).toEqual([expect.stringContaining(fault)]);
});

test('a page that was not built is found, and one that the search does not know', async () => {
	await plant('docs/errors.md', '# Errors');
	await plant('site/cli.html', '');
	expect(faults()).toEqual(['errors.html: is not there', '/cli: is not in the index of the search']);
});

test('every page is in a list at the side', () => {
	const listed = new Set(JSON.stringify(sidebar(root)).match(/(?<="link":")[^"]+/g));
	const pages = markdownFiles
		.filter(file => !['README.md', 'docs/index.md'].includes(file))
		.map(file => `/${pageOf(file).replace(/(?:index)?\.md$/, '')}`);
	expect(pages.filter(page => !listed.has(page))).toEqual([]);
});

test('pages stand where their folder is', () => {
	expect(['docs/trust.md', 'docs/diagnostics/README.md', 'SECURITY.md', 'README.md'].map(pageOf)).toEqual([
		'trust.md',
		'diagnostics/index.md',
		'security.md',
		'index.md',
	]);
});

test.each(markdownFiles)('the anchors of %s are those of the repository', file => {
	const headings = [
		...read(file)
			.replaceAll(/^```[\s\S]*?^```$/gm, '')
			.matchAll(/^#+ (.*)$/gm),
	];
	const slugs = new Set(headings.map(([, heading = '']) => headingSlug(heading)));
	expect([...slugs].filter(slug => !anchorsIn(file).has(slug))).toEqual([]);
});
