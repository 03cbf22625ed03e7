/** Reads a configuration from its text. Loaded only where there is one: an object needs no YAML. */
import {
	type Document,
	isAlias,
	isMap,
	isNode,
	isScalar,
	isSeq,
	LineCounter,
	type Pair,
	parseDocument,
	type YAMLMap,
} from 'yaml';
import type {Problem} from '../errors.ts';
import {unfoldsWithoutEnd} from './aliases.ts';
import type {Path, Source} from './source.ts';
import {describeErrors, describeResolution, unfoldedWithoutEnd} from './syntax.ts';

/** Read YAML, or JSON, which is YAML too. `prefix` leads to the configuration inside of it. */
export function sourceFromText(file: string, text: string, prefix: Path = []): Source {
	const lines = new LineCounter();
	const document = parseDocument(text, {
		lineCounter: lines,
		merge: true,
		prettyErrors: false,
		logLevel: 'error',
	});
	const problems: Problem[] = describeErrors(document, lines, text).map(found => ({
		file,
		path: '(text)',
		...found,
	}));
	let value: unknown;
	if (problems.length === 0) {
		try {
			value = valueAt(document, prefix);
		} catch (error) {
			problems.push({file, path: '(text)', ...describeResolution(error as Error)});
		}
	}
	return {file, value, lineOf: path => lineOf(document, lines, [...prefix, ...path]), problems};
}

function valueAt(document: Document, prefix: Path): unknown {
	// The library bounds how many aliases there are, not what they stand for.
	if (unfoldsWithoutEnd(document)) throw new Error(unfoldedWithoutEnd);
	let value: unknown = document.toJS({maxAliasCount: -1});
	for (const part of prefix) value = (value as Record<string | number, unknown> | undefined)?.[part];
	return value;
}

function lineOf(document: Document, lines: LineCounter, path: Path): number | undefined {
	let node: unknown = document.contents;
	let offset = isNode(node) ? node.range?.[0] : undefined;
	for (const part of path) {
		const container = isAlias(node) ? node.resolve(document) : node;
		if (isMap(container)) {
			const pair = findPair(container, part, document);
			if (pair === undefined) break;
			// The key's line: that is where a person looks, and a value that is left out has no other.
			if (isNode(pair.key)) offset = pair.key.range?.[0];
			node = pair.value;
		} else if (isSeq(container)) {
			node = container.items[Number(part)];
			if (node === undefined) break;
			if (isNode(node)) offset = node.range?.[0];
		} else {
			break;
		}
	}
	return offset === undefined ? undefined : lines.linePos(offset).line;
}

/** The setting of that name, in the map itself or in one that is merged into it. */
function findPair(map: YAMLMap, name: string | number, document: Document): Pair | undefined {
	// The value of a merge key is a symbol; what stands in the text is a string.
	const keyOf = ({key}: Pair) => String(isScalar(key) ? (key.source ?? key.value) : key);
	const own = map.items.find(pair => keyOf(pair) === String(name));
	if (own !== undefined) return own;
	for (const {value} of map.items.filter(pair => keyOf(pair) === '<<')) {
		for (const source of isSeq(value) ? value.items : [value]) {
			const merged = isAlias(source) ? source.resolve(document) : source;
			const pair = isMap(merged) ? findPair(merged, name, document) : undefined;
			if (pair !== undefined) return pair;
		}
	}
	return undefined;
}
