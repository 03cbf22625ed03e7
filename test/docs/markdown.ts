/** Takes Markdown apart: the parts that tests hold against the code. */
import {globSync, readFileSync} from 'node:fs';
import {join} from 'node:path';

export const root = join(import.meta.dirname, '../..');

/** Every Markdown file that people read; the listing of the API is generated, and checked where it is made. */
export const markdownFiles: readonly string[] = globSync(['*.md', 'docs/**/*.md'], {cwd: root}).sort();

export interface Block {
	/** Where it begins: `README.md:12`. */
	readonly place: string;
	readonly language: string;
	readonly text: string;
	/** The comment right before it: `example: docs/examples/request.ts#request`. */
	readonly marker?: {readonly kind: string; readonly file: string; readonly region?: string};
}

/** The fenced blocks of a file. */
export function blocksIn(file: string): Block[] {
	const text = read(file);
	const fence = /(?:<!-- (\w+): ([^\s#]+)(?:#([\w-]+))? -->\n+)?^```(\w*)[^\n]*\n([\s\S]*?)^```$/gm;
	return [...text.matchAll(fence)].map(
		({0: whole, 1: kind, 2: source, 3: region, 4: language = '', 5: content = '', index}) => {
			const start = index + whole.indexOf('```');
			return {
				place: `${file}:${text.slice(0, start).split('\n').length}`,
				language,
				text: content,
				...(kind !== undefined &&
					source !== undefined && {marker: {kind, file: source, ...(region !== undefined && {region})}}),
			};
		},
	);
}

export interface Link {
	readonly place: string;
	readonly target: string;
}

/** The links to other files and to headings. */
export function linksIn(file: string): Link[] {
	const text = withoutCode(read(file));
	return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
		.map(({1: target = '', index}) => ({
			place: `${file}:${text.slice(0, index).split('\n').length}`,
			target,
		}))
		.filter(({target}) => !/^[a-z]+:/.test(target));
}

/** The anchors that GitHub gives to the headings of a file. */
export function anchorsIn(file: string): Set<string> {
	const anchors = new Set<string>();
	for (const [, heading = ''] of withoutBlocks(read(file)).matchAll(/^#+ (.*)$/gm)) {
		const slug = heading
			.toLowerCase()
			.replaceAll(/[^\w -]/g, '')
			.replaceAll(' ', '-');
		let anchor = slug;
		for (let count = 1; anchors.has(anchor); count++) anchor = `${slug}-${count}`;
		anchors.add(anchor);
	}
	return anchors;
}

/** The rows of all tables under a heading, cell by cell. */
export function tableUnder(file: string, heading: string): string[][] {
	const lines = read(file).split('\n');
	const start = lines.findIndex(line => /^#+ /.test(line) && line.replace(/^#+ /, '') === heading);
	if (start === -1) throw new Error(`${file} has no heading '${heading}'`);
	const length = lines.slice(start + 1).findIndex(line => /^#+ /.test(line));
	return lines
		.slice(start + 1, length === -1 ? undefined : start + 1 + length)
		.filter(line => line.startsWith('|') && !/^\|[\s|:-]+$/.test(line))
		.slice(1)
		.map(line =>
			line
				.split(/(?<!\\)\|/)
				.slice(1, -1)
				.map(cell => cell.trim()),
		);
}

export function read(file: string): string {
	return readFileSync(join(root, file), 'utf8');
}

/** The same number of lines, without the content of fenced blocks and inline code. */
function withoutCode(text: string): string {
	return withoutBlocks(text).replaceAll(/`[^`\n]*`/g, code => ' '.repeat(code.length));
}

function withoutBlocks(text: string): string {
	return text.replaceAll(/^```[\s\S]*?^```$/gm, block => block.replaceAll(/[^\n]/g, ''));
}
