/**
 * Writes `docs/reference/api.md`, a listing of every public export, from the built declarations. `--check`: fails
 * where the committed one differs, or where an export has no docstring.
 */
import {mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {dirname, join, relative} from 'node:path';

/** One export, with all of its declarations: an interface and the token to inject may share a name. */
interface Entry {
	readonly name: string;
	readonly declarations: readonly Declaration[];
}

interface Declaration {
	readonly name: string;
	/** Without the comment's frame; empty where there is none. */
	readonly documentation: string;
	readonly text: string;
}

const root = join(import.meta.dirname, '..');
const listing = join(root, 'docs/reference/api.md');
const {exports}: {exports: Record<string, string | {types: string}>} = JSON.parse(
	readFileSync(join(root, 'package.json'), 'utf8'),
);

/** Each entry point of the package with its declaration file. */
function entryPoints(): [name: string, file: string][] {
	return Object.entries(exports).flatMap(([key, target]): [string, string][] => {
		if (typeof target === 'string') return [];
		const name = key.replace(/^\./, 'gatepass');
		if (!key.includes('*')) return [[name, join(root, target.types)]];
		const [before = '', after = ''] = target.types.split('*');
		return readdirSync(join(root, before), {recursive: false, withFileTypes: true})
			.filter(folder => folder.isDirectory())
			.map(
				folder =>
					[name.replace('*', folder.name), join(root, before + folder.name + after)] as [string, string],
			)
			.filter(([, file]) => readOrEmpty(file) !== '')
			.sort();
	});
}

function readOrEmpty(file: string): string {
	try {
		return readFileSync(file, 'utf8');
	} catch {
		return '';
	}
}

/** Everything that a declaration file exports, its own and what it passes on, in the order of the file. */
function exportsOf(file: string): Entry[] {
	const text = readFileSync(file, 'utf8');
	const entries = new Map<string, Declaration[]>();
	const add = (declaration: Declaration): void => {
		entries.set(declaration.name, [...(entries.get(declaration.name) ?? []), declaration]);
	};
	for (const [, names, from = ''] of text.matchAll(/^export (?:type )?(\*|\{[^}]*\}) from '([^']+)';/gm)) {
		const source = from.startsWith('.') ? join(dirname(file), from.replace(/\.ts$/, '.d.ts')) : undefined;
		const wanted: readonly string[] | undefined =
			names === '*' ? undefined : (names?.match(/\w+(?=\s*[,}])/g) ?? []);
		if (source === undefined) {
			for (const name of wanted ?? []) add(passedOn(name, from));
			continue;
		}
		for (const {name, declarations} of exportsOf(source)) {
			if (wanted === undefined || wanted.includes(name)) declarations.forEach(add);
		}
	}
	declarationsIn(text).forEach(add);
	return [...entries].map(([name, declarations]) => ({name, declarations}));
}

function passedOn(name: string, from: string): Declaration {
	return {
		name,
		documentation: `Passed on from ${from}, so that a strategy needs no second copy of it.`,
		text: `export {${name}} from '${from}';`,
	};
}

/** The declarations of one file. The compiler writes each from the start of a line to a `}` or `;` there. */
function declarationsIn(text: string): Declaration[] {
	const statement =
		/^(?:\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n)?(export (?:declare )?(?:abstract )?(?:class|function|const|interface|type) (\w+)[\s\S]*?(?:^\}[^\n]*|;|\{ ?\})$)(?!\n[ }])/gm;
	return [...text.matchAll(statement)].map(([, comment = '', declaration = '', name = '']) => ({
		name,
		documentation: unframe(comment),
		text: withoutInternals(declaration),
	}));
}

function unframe(comment: string): string {
	return comment
		.split('\n')
		.map(line => line.replace(/^\s*\* ?/, '').trimEnd())
		.join('\n')
		.trim();
}

function withoutInternals(declaration: string): string {
	return declaration
		.replaceAll(/^ +\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n +(?:private|protected) [^\n]*\n/gm, '')
		.replaceAll(/^ +(?:#private|(?:private|protected) [^\n]*);?\n/gm, '')
		.replaceAll(/^(?: {4})+/gm, indent => '\t'.repeat(indent.length / 4))
		.replaceAll(
			/(\* ?|\/\*\* ?)?\{@link \(?([\w.]+)(?::\w+)?\)?\}/g,
			(_, frame = '', name) => `${frame}${name}`,
		)
		.replace(/^export (?:declare )?/, '')
		.replace(/\{ ?\}$/, '{}');
}

/** A docstring as Markdown: tags become sentences, an example a block of its own. */
function render(documentation: string): string {
	const [text = '', ...tags] = documentation.split(/^@/m);
	const parts = tags.map(tag => {
		const [, kind = '', rest = ''] = /^(\w+)\s*([\s\S]*)$/.exec(tag.trim()) ?? [];
		const line = rest.replaceAll(/\s*\n\s*/g, ' ');
		switch (kind) {
			case 'param':
				return `- ${line.replace(/^(\S+)/, '`$1`:')}`;
			case 'returns':
				return `- Gives ${line}`;
			case 'throws':
				return `- Throws ${line.replace(/^\{(\w+)\}/, '`$1`')}`;
			case 'example':
				return `\n\`\`\`ts\n${rest.trim()}\n\`\`\``;
			default:
				throw new Error(`scripts/api-listing.ts knows no tag @${kind}. Teach it, or use another`);
		}
	});
	return [text.trim(), parts.join('\n').trim()]
		.filter(Boolean)
		.join('\n\n')
		.replaceAll(/\{@link \(?([\w.]+)(?::\w+)?\)?\}/g, '`$1`');
}

function renderEntry({name, declarations}: Entry): string {
	const prose = declarations.map(({documentation}) => render(documentation)).filter(Boolean);
	const code = declarations.map(({text}) => text).join('\n');
	return [`### ${name}`, ...prose, `\`\`\`ts\n${code}\n\`\`\``].join('\n\n');
}

/** The first sentence, for the list at the head. */
function summary({declarations}: Entry): string {
	const text = render(declarations.map(({documentation}) => documentation).find(Boolean) ?? '');
	const [paragraph = ''] = text.split('\n\n');
	const flat = paragraph.replaceAll('\n', ' ');
	return (/^.*?[.:](?= |$)/.exec(flat)?.[0] ?? flat).replace(/:$/, '.');
}

/** The anchors that GitHub gives to headings, one after the other: a repeated one gets a number. */
function anchors(): (heading: string) => string {
	const seen = new Map<string, number>();
	return heading => {
		const slug = heading
			.toLowerCase()
			.replaceAll(/[^\w -]/g, '')
			.replaceAll(' ', '-');
		const count = seen.get(slug) ?? 0;
		seen.set(slug, count + 1);
		return count === 0 ? slug : `${slug}-${count}`;
	};
}

function makeListing(): {text: string; undocumented: string[]} {
	const undocumented: string[] = [];
	const anchorOf = anchors();
	const chapters = entryPoints().map(([name, file]) => {
		const entries = exportsOf(file);
		for (const entry of entries) {
			if (entry.declarations.some(({documentation}) => documentation === '')) {
				undocumented.push(`${entry.name} of ${name} (${relative(root, file)})`);
			}
		}
		anchorOf(name);
		const list = entries.map(entry => `- [\`${entry.name}\`](#${anchorOf(entry.name)}): ${summary(entry)}`);
		return [`## ${name}`, list.join('\n'), ...entries.map(renderEntry)].join('\n\n');
	});
	const head =
		'# API\n\n<!-- Written by scripts/api-listing.ts from the docstrings in the source: change them, not this file. -->\n\n' +
		'Every public export, by entry point. All durations and points in time are in milliseconds.';
	return {text: `${[head, ...chapters].join('\n\n')}\n`, undocumented};
}

const {text, undocumented} = makeListing();
for (const name of undocumented) console.error(`${name} has no docstring. Write one`);
if (undocumented.length > 0) process.exitCode = 1;
if (!process.argv.includes('--check')) {
	mkdirSync(dirname(listing), {recursive: true});
	writeFileSync(listing, text);
} else if (readOrEmpty(listing) !== text) {
	console.error(
		"docs/reference/api.md is not what the docstrings say. Run 'node scripts/api-listing.ts' and commit it",
	);
	process.exitCode = 1;
}
