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
	visit,
	type YAMLMap,
} from 'yaml';
import type {Problem} from '../errors.ts';
import {parseYaml} from '../files/parse-yaml.ts';
import {type AliasTargets, aliasTargets, unfoldsWithoutEnd} from './aliases.ts';
import type {Path, Source} from './source.ts';
import {describeErrors, describeResolution, unfoldedWithoutEnd} from './syntax.ts';

/** Read YAML, or JSON, which is YAML too. `prefix` leads to the configuration inside of it. */
export function sourceFromText(file: string, text: string, prefix: Path = []): Source {
	const lines = new LineCounter();
	const document = parseYaml(text, {lineCounter: lines, merge: true, logLevel: 'error'});
	const problems: Problem[] = describeErrors(document, lines, text).map(found => ({
		file,
		path: '(text)',
		code: 'configuration-syntax',
		...found,
	}));
	let known: AliasTargets | undefined;
	const targets = (): AliasTargets => {
		known ??= aliasTargets(document);
		return known;
	};
	let value: unknown;
	if (problems.length === 0) {
		try {
			value = valueAt(document, targets(), prefix);
		} catch (error) {
			const line = lineOfUnknownAlias(document, lines);
			problems.push({
				file,
				path: '(text)',
				code: 'configuration-syntax',
				...(line !== undefined && {line}),
				...describeResolution(error as Error),
			});
		}
	}
	return {file, value, lineOf: path => lineOf(document, targets, lines, [...prefix, ...path]), problems};
}

/** Of the first alias that names no anchor before it. */
function lineOfUnknownAlias(document: Document, lines: LineCounter): number | undefined {
	let offset: number | undefined;
	visit(document, {
		Alias(_key, alias) {
			if (alias.resolve(document) !== undefined) return undefined;
			offset = alias.range?.[0];
			return visit.BREAK;
		},
	});
	return offset === undefined ? undefined : lines.linePos(offset).line;
}

function valueAt(document: Document, targets: AliasTargets, prefix: Path): unknown {
	// The library bounds how many aliases there are, not what they stand for.
	if (unfoldsWithoutEnd(targets)) throw new Error(unfoldedWithoutEnd);
	let value: unknown = document.toJS({maxAliasCount: -1});
	for (const part of prefix) value = (value as Record<string | number, unknown> | undefined)?.[part];
	return value;
}

function lineOf(
	document: Document,
	targets: () => AliasTargets,
	lines: LineCounter,
	path: Path,
): number | undefined {
	let node: unknown = document.contents;
	let offset = isNode(node) ? node.range?.[0] : undefined;
	for (const part of path) {
		const container = isAlias(node) ? targets().get(node) : node;
		if (isMap(container)) {
			const pair = findPair(container, part, targets);
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
function findPair(map: YAMLMap, name: string | number, targets: () => AliasTargets): Pair | undefined {
	// The value of a merge key is a symbol; what stands in the text is a string.
	const keyOf = ({key}: Pair) => String(isScalar(key) ? (key.source ?? key.value) : key);
	const own = map.items.find(pair => keyOf(pair) === String(name));
	if (own !== undefined) return own;
	for (const {value} of map.items.filter(pair => keyOf(pair) === '<<')) {
		for (const source of isSeq(value) ? value.items : [value]) {
			const merged = isAlias(source) ? targets().get(source) : source;
			const pair = isMap(merged) ? findPair(merged, name, targets) : undefined;
			if (pair !== undefined) return pair;
		}
	}
	return undefined;
}
