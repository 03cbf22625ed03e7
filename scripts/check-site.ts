/**
 * Holds the built site together: every page of the documentation is there and can be found by the search, every link
 * and anchor leads somewhere, and nothing is loaded from another server.
 */
import {existsSync, globSync, readFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {pageOf} from '../site/pages.ts';

/** What is wrong with the site in `folder`, built for `base`. */
export function findFaults(root: string, folder: string, base = '/'): string[] {
	const files = globSync('**/*.html', {cwd: folder}).sort();
	const pages = new Map(files.map(file => [file, readFileSync(join(folder, file), 'utf8')]));
	const anchors = new Map([...pages].map(([file, html]) => [file, anchorsIn(html)]));
	return [
		...missingPages(root, pages),
		...[...pages].flatMap(([file, html]) => [
			...deadLinks(file, html, folder, base, anchors),
			...loadedFromElsewhere(html).map(url => `${file}: loads ${url}, from another server`),
		]),
		...unsearchable(folder, files),
	];
}

/** The Markdown files that are to be pages. */
function missingPages(root: string, pages: ReadonlyMap<string, string>): string[] {
	return globSync(['docs/**/*.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'], {cwd: root})
		.map(file => pageOf(file.replaceAll('\\', '/')).replace(/\.md$/, '.html'))
		.filter(file => !pages.has(file))
		.map(file => `${file}: is not there`);
}

function deadLinks(
	file: string,
	html: string,
	folder: string,
	base: string,
	anchors: ReadonlyMap<string, ReadonlySet<string>>,
): string[] {
	const targets = [...html.matchAll(/\s(?:href|src)="([^"]+)"/g)].map(([, target = '']) => target);
	return [...new Set(targets)]
		.filter(target => !/^(?:[a-z]+:|\/\/)/.test(target))
		.filter(target => {
			const [path = '', anchor = ''] = decodeURIComponent(target).split('#');
			const linked = path === '' ? file : fileOf(path, file, base);
			if (linked === undefined || !existsSync(join(folder, linked))) return true;
			return anchor !== '' && linked.endsWith('.html') && !anchors.get(linked)?.has(anchor);
		})
		.map(target => `${file}: leads to ${target}, which is not there`);
}

/** The file of a link's path; none where it leads out of the site. */
function fileOf(path: string, from: string, base: string): string | undefined {
	if (path.startsWith('/') && !path.startsWith(base)) return undefined;
	const file = path.startsWith('/') ? path.slice(base.length) : join(dirname(from), path);
	if (file === '' || file.endsWith('/')) return `${file}index.html`;
	return /\.\w+$/.test(file) ? file : `${file}.html`;
}

function anchorsIn(html: string): Set<string> {
	return new Set([...html.matchAll(/\sid="([^"]+)"/g)].map(([, id = '']) => id));
}

/** Scripts, styles, pictures and fonts with an address of their own. */
function loadedFromElsewhere(html: string): string[] {
	const elements = html.matchAll(
		/<(?:script|link|img|iframe|source)\b[^>]*?\s(?:src|href)="((?:https?:)?\/\/[^"]+)"/g,
	);
	return [...elements].map(([, url = '']) => url);
}

/** The index of the search names each page by its address. */
function unsearchable(folder: string, files: readonly string[]): string[] {
	const [index] = globSync('assets/chunks/@localSearchIndexroot.*.js', {cwd: folder});
	if (index === undefined) return ['the search has no index'];
	const text = readFileSync(join(folder, index), 'utf8');
	return files
		.filter(file => !['404.html', 'index.html'].includes(file))
		.map(file => `/${file.replace(/(?:index)?\.html$/, '')}`)
		.filter(address => !text.includes(`${address}.html#`) && !text.includes(`${address}#`))
		.map(address => `${address}: is not in the index of the search`);
}

if (import.meta.main) {
	const root = join(import.meta.dirname, '..');
	const faults = findFaults(root, join(root, 'dist-site'), process.env.SITE_BASE);
	for (const fault of faults) console.error(fault);
	if (faults.length > 0) process.exitCode = 1;
}
