/**
 * The documentation site: `docs` and the pages at the root of the project, as VitePress shows them. `npm run site`
 * builds it into `dist-site`, without network; the search brings its index along.
 */
import {join} from 'node:path';
import {defineConfig} from 'vitepress';
import {headingSlug, linkPages} from './links.ts';
import {noPages, pageOf} from './pages.ts';
import {sidebar} from './sidebar.ts';

/** A gate. */
const icon =
	'data:image/svg+xml,%3Csvg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"%3E%3Cpath d="M2 15V6a6 6 0 0 1 12 0v9M6 15V3M10 15V3M2 9h12" fill="none" stroke="%230f766e" stroke-width="2"/%3E%3C/svg%3E';

const root = join(import.meta.dirname, '..');

export default defineConfig({
	title: 'gatepass',
	description: 'Authenticates the requests that a backend service sends',
	lang: 'en',
	head: [['link', {rel: 'icon', href: icon}]],
	// For a site that does not stand at the root of its server: '/gatepass/'.
	base: process.env.SITE_BASE ?? '/',
	srcDir: root,
	srcExclude: noPages,
	rewrites: pageOf,
	outDir: join(root, 'dist-site'),
	cacheDir: join(root, 'dist-site/.cache'),
	// Otherwise each page names all others, which are many.
	metaChunk: true,
	markdown: {anchor: {slugify: headingSlug}, config: linkPages},
	vite: {build: {chunkSizeWarningLimit: 3000}},
	themeConfig: {
		nav: [
			{
				text: 'Guides',
				link: '/first-steps',
				activeMatch: '^/(?!recipes|diagnostics|decisions|configuration|cli|errors|reference|$)',
			},
			{text: 'Recipes', link: '/recipes/', activeMatch: '^/recipes/'},
			{text: 'Reference', link: '/configuration', activeMatch: '^/(configuration|cli|errors|reference)'},
			{text: 'Diagnostics', link: '/diagnostics/', activeMatch: '^/diagnostics/'},
			{text: 'Decisions', link: '/decisions/', activeMatch: '^/decisions/'},
		],
		sidebar: sidebar(root),
		outline: [2, 3],
		search: {
			provider: 'local',
			options: {miniSearch: {searchOptions: {combineWith: 'AND', fuzzy: 0.1, prefix: true}}},
		},
	},
});
