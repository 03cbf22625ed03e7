/**
 * Writes the examples into the Markdown files: the fenced block after `<!-- example: FILE#region -->` becomes the
 * file, or that region of it. The tests compare, and run the files.
 */
import {globSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';

const root = join(import.meta.dirname, '..');

/** A file of the project, or the part of it between `// #region name` and `// #endregion`. */
export function quote(file: string, region?: string): string {
	const text = readFileSync(join(root, file), 'utf8');
	if (region === undefined) return text;
	const found = new RegExp(`^// #region ${region}\\n([\\s\\S]*?)^// #endregion`, 'm').exec(text)?.[1];
	if (found === undefined) throw new Error(`${file} has no region '${region}'`);
	// The formatter may set off the end of a region by an empty line.
	return `${found.trimEnd()}\n`;
}

/** Markdown with all of its examples as they are now. */
export function embed(markdown: string): string {
	return markdown.replaceAll(
		/(<!-- example: ([^\s#]+)(?:#([\w-]+))? -->\n+```\w+\n)[\s\S]*?^```$/gm,
		(_, head: string, file: string, region?: string) => `${head}${quote(file, region)}\`\`\``,
	);
}

if (import.meta.main) {
	for (const file of globSync(['*.md', 'docs/**/*.md'], {cwd: root})) {
		const path = join(root, file);
		const text = readFileSync(path, 'utf8');
		const embedded = embed(text);
		if (embedded !== text) writeFileSync(path, embedded);
	}
}
