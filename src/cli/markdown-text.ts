/** Markdown as text for people: without its marks, in the width of the terminal. Knows what the package's own pages have. */
import {paint} from './output.ts';
import {wrap} from './wrap.ts';

/** Stands before what is quoted, and before commands. */
const [quoteIndent, codeIndent] = ['  ', '    '];

/** `folder`: where relative links start, such as `docs/diagnostics`; they are shown as paths of the package. */
export function textOf(markdown: string, folder: string): string {
	const blocks = blocksOf(markdown).map(block => textOfBlock(block, folder));
	return blocks.join('\n\n');
}

/** Paragraphs, headings and fenced parts; what is inside of a fence stays together. */
function blocksOf(markdown: string): string[] {
	return markdown
		.split(/(^```[\s\S]*?^```$)/m)
		.flatMap(part => (part.startsWith('```') ? [part] : part.split(/\n{2,}/)))
		.map(block => block.replace(/^\n+|\s+$/g, ''))
		.filter(block => block !== '');
}

function textOfBlock(block: string, folder: string): string {
	if (block.startsWith('```')) {
		const lines = block.split('\n').slice(1, -1);
		return lines.map(line => (line === '' ? '' : codeIndent + line)).join('\n');
	}
	const heading = /^#+ (.*)$/.exec(block)?.[1];
	if (heading !== undefined) return paint('bold', heading);
	if (block.startsWith('> ')) {
		const quoted = block.replaceAll(/^> ?/gm, '').split('\n').join(' ');
		// A message is shown as it is: its stars and backticks are its own.
		return wrap(quoted, quoteIndent);
	}
	return wrap(inline(block.split('\n').join(' '), folder));
}

/** Code first: what stands in it is no mark. */
function inline(text: string, folder: string): string {
	return text
		.split(/(\[[^\]]*\]\([^)\s]+\)|`[^`]+`)/)
		.map(part => {
			const link = /^\[([^\]]*)\]\(([^)\s]+)\)$/.exec(part);
			if (link !== null) return textOfLink(link[1] ?? '', link[2] ?? '', folder);
			return part.startsWith('`') ? code(part.slice(1, -1)) : part.replaceAll(/\*+([^*]+)\*+/g, '$1');
		})
		.join('');
}

function textOfLink(text: string, target: string, folder: string): string {
	const shown = inline(text, folder);
	if (/^[a-z]+:/.test(target)) return `${shown} (${target})`;
	// `gatepass doctor --explain` takes the name of a page beside this one.
	if (target === `${text}.md`) return shown;
	const {pathname} = new URL(target, `file:///${folder}/`);
	return `${shown} (${pathname.slice(1)})`;
}

/** In a colour where there are any, else in the quotes that messages have. */
function code(text: string): string {
	const coloured = paint('cyan', text);
	return coloured === text ? `'${text}'` : coloured;
}
