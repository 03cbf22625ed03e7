/**
 * Writes the examples into the Markdown files: the fenced block after `<!-- example: FILE#region -->` becomes the
 * file, or that region of it, and the table after `<!-- table: NAME -->` what the tests try. The tests compare, and run
 * the files.
 */
import {globSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {tables} from './tables.ts';

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

/** Markdown with all of its examples and tables as they are now. */
export function embed(markdown: string): string {
	return markdown
		.replaceAll(
			/(<!-- example: ([^\s#]+)(?:#([\w-]+))? -->\n+```\w+\n)[\s\S]*?^```$/gm,
			(_, head: string, file: string, region?: string) => `${head}${quote(file, region)}\`\`\``,
		)
		.replaceAll(/(<!-- table: (.+?) -->\n\n)(?:\|.*\n)*\n*/g, (_, head: string, name: string) => {
			const make = tables[name];
			if (make === undefined) throw new Error(`There is no table '${name}' in scripts/tables.ts`);
			return `${head}${make()}\n`;
		});
}

if (import.meta.main) {
	for (const file of globSync(['*.md', 'docs/**/*.md'], {cwd: root})) {
		const path = join(root, file);
		const text = readFileSync(path, 'utf8');
		const embedded = embed(text);
		if (embedded !== text) writeFileSync(path, embedded);
	}
}
