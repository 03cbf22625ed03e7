/** Links and headings, as they are in the repository: relative to the file, with the anchors that GitHub gives. */
import {dirname, join, relative} from 'node:path';
import type {MarkdownOptions} from 'vitepress';
import {pageOf} from './pages.ts';

type Markdown = Parameters<NonNullable<MarkdownOptions['config']>>[0];

/** What VitePress says about the page that is rendered. */
interface Environment {
	readonly path: string;
	/** Where the file really is, if it stands elsewhere on the site. */
	readonly realPath?: string | null;
}

const root = join(import.meta.dirname, '..');

/** Lead each link from one Markdown file to another to the page that it is. */
export function linkPages(markdown: Markdown): void {
	markdown.core.ruler.push('pages-of-the-site', ({tokens, env}) => {
		const {realPath, path}: Environment = env;
		const folder = dirname(relative(root, realPath ?? path));
		for (const token of tokens.flatMap(({children}) => children ?? [])) {
			const target = token.type === 'link_open' ? token.attrGet('href') : null;
			if (target !== null) token.attrSet('href', linkOf(target, folder));
		}
	});
}

function linkOf(target: string, folder: string): string {
	const [, file = '', anchor = ''] = /^([^#]*)(#.*)?$/.exec(target) ?? [];
	if (/^(?:[a-z]+:|\/)/.test(target) || file === '') return target;
	const path = join(folder, file);
	return `/${pageOf(path.endsWith('/') ? `${path}README.md` : path)}${anchor}`;
}

/** The anchor of a heading; VitePress's own would differ. */
export function headingSlug(heading: string): string {
	return heading
		.toLowerCase()
		.replaceAll(/[^\w -]/g, '')
		.replaceAll(' ', '-');
}
