/** A configuration as it was found, and where in its file each value stands. */
import {type Document, isMap, isNode, isSeq, LineCounter, type Pair, parseDocument} from 'yaml';
import type {Problem} from '../errors.ts';

/** The way to a value: `['hostRules', 0, 'options', 'audience']`. */
export type Path = readonly (string | number)[];

export interface Source {
	/** Absolute; absent where the configuration was handed over as an object. */
	readonly file?: string;
	readonly value: unknown;
	/** The line of the value at `path`, or of the nearest thing around it. */
	lineOf(path: Path): number | undefined;
	/** What is wrong with the text itself. */
	readonly problems: readonly Problem[];
}

/** A configuration without a text, or one whose text is a program. */
export function sourceFromValue(value: unknown, file?: string): Source {
	return {...(file !== undefined && {file}), value, lineOf: () => undefined, problems: []};
}

/** Read YAML, or JSON, which is YAML too. `prefix` leads to the configuration inside of it. */
export function sourceFromText(file: string, text: string, prefix: Path = []): Source {
	const lines = new LineCounter();
	const document = parseDocument(text, {lineCounter: lines, merge: true, prettyErrors: false});
	// After the first error of syntax the parser has lost its way: what it reports next is no mistake of the user's.
	const firstSyntaxError = document.errors.find(({code}) => code !== 'DUPLICATE_KEY');
	const errors = document.errors.filter(
		error => error.code === 'DUPLICATE_KEY' || error === firstSyntaxError,
	);
	const problems = errors.map(error => ({
		file,
		line: lines.linePos(error.pos[0]).line,
		path: '(text)',
		// The library's message may quote the line, and a secret with it; its first sentence does not.
		message: `the text cannot be read: ${error.code.toLowerCase().replaceAll('_', ' ')}`,
		mend: /[{[][^'"\n]*\$\{/.test(lineAt(text, lines.linePos(error.pos[0]).line))
			? "Between { and }, or [ and ], put quotes around '${NAME}'"
			: 'Mend the syntax',
	}));
	return {
		file,
		value: problems.length > 0 ? undefined : valueAt(document, prefix),
		lineOf: path => lineOf(document, lines, [...prefix, ...path]),
		problems,
	};
}

/** `hostRules[0].options.audience`, or for the configuration itself `(configuration)`. */
export function formatPath(path: Path): string {
	if (path.length === 0) return '(configuration)';
	return path
		.map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`))
		.join('');
}

function lineAt(text: string, line: number): string {
	return text.split('\n')[line - 1] ?? '';
}

function valueAt(document: Document, prefix: Path): unknown {
	let value: unknown = document.toJS({maxAliasCount: 100});
	for (const part of prefix) value = (value as Record<string | number, unknown> | undefined)?.[part];
	return value;
}

function lineOf(document: Document, lines: LineCounter, path: Path): number | undefined {
	let node: unknown = document.contents;
	let offset = isNode(node) ? node.range?.[0] : undefined;
	for (const part of path) {
		if (isMap(node)) {
			const pair: Pair | undefined = node.items.find(
				item => String(isNode(item.key) ? item.key.toJSON() : item.key) === part,
			);
			if (pair === undefined) break;
			// The key's line: that is where a person looks, and a value that is left out has no other.
			if (isNode(pair.key)) offset = pair.key.range?.[0];
			node = pair.value;
		} else if (isSeq(node)) {
			node = node.items[Number(part)];
			if (node === undefined) break;
			if (isNode(node)) offset = node.range?.[0];
		} else {
			break;
		}
	}
	return offset === undefined ? undefined : lines.linePos(offset).line;
}
