/** Which Markdown files of the project are pages of the site, and where they stand on it. */

/** Patterns of files that are none. README.md is for readers of the repository; the site begins with docs/index.md. */
export const noPages = ['!(docs)/*/**', '!(docs)/*.md', 'README.md'];

/** `docs/diagnostics/README.md` is `diagnostics/index.md`, and `SECURITY.md` is `security.md`. */
export function pageOf(file: string): string {
	if (file === 'README.md') return 'index.md';
	if (!file.startsWith('docs/')) return file.toLowerCase();
	return file.replace(/^docs\//, '').replace(/README\.md$/, 'index.md');
}
