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
	type YAMLMap,
} from 'yaml';
import type {Problem} from '../errors.ts';
import {parseYaml} from '../files/parse-yaml.ts';
import {type AliasTargets, aliasTargets} from '../files/yaml-aliases.ts';
import {isMergeKey, mergedNodes, YamlValueError, yamlValue} from '../files/yaml-value.ts';
import type {Path, Source} from './source.ts';
import {describeErrors, describeResolution} from './syntax.ts';

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
	let known: Lookup | undefined;
	const lookup = (): Lookup => {
		known ??= new Lookup(aliasTargets(document));
		return known;
	};
	let value: unknown;
	if (problems.length === 0) {
		try {
			value = valueAt(document, lookup().targets, prefix);
		} catch (error) {
			if (!(error instanceof YamlValueError)) throw error;
			const {offset} = error;
			problems.push({
				file,
				path: '(text)',
				code: 'configuration-syntax',
				...(offset !== undefined && {line: lines.linePos(offset).line}),
				...describeResolution(error),
			});
		}
	}
	return {file, value, lineOf: path => lineOf(document, lookup(), lines, [...prefix, ...path]), problems};
}

function valueAt(document: Document, targets: AliasTargets, prefix: Path): unknown {
	let value = yamlValue(document, targets);
	for (const part of prefix) value = (value as Record<string | number, unknown> | null)?.[part];
	return value;
}

function lineOf(document: Document, lookup: Lookup, lines: LineCounter, path: Path): number | undefined {
	let node: unknown = document.contents;
	let offset = isNode(node) ? node.range?.[0] : undefined;
	for (const part of path) {
		const container = isAlias(node) ? lookup.targets.get(node) : node;
		if (isMap(container)) {
			const pair = lookup.settingsOf(container).get(String(part));
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

/** Where the settings of each group stand. There may be as many mistakes as there are settings. */
class Lookup {
	readonly targets: AliasTargets;
	readonly #settings = new Map<YAMLMap, ReadonlyMap<string, Pair>>();

	constructor(targets: AliasTargets) {
		this.targets = targets;
	}

	/** Those of the map itself, and those that are merged into it. */
	settingsOf(map: YAMLMap): ReadonlyMap<string, Pair> {
		const known = this.#settings.get(map);
		if (known !== undefined) return known;
		const settings = new Map<string, Pair>();
		this.#settings.set(map, settings);
		for (const pair of map.items) settings.set(nameOf(pair), pair);
		for (const merge of map.items.filter(isMergeKey)) {
			for (const source of mergedNodes(merge, this.targets)) {
				if (!isMap(source)) continue;
				for (const [name, pair] of this.settingsOf(source)) if (!settings.has(name)) settings.set(name, pair);
			}
		}
		return settings;
	}
}

function nameOf({key}: Pair): string {
	return String(isScalar(key) ? (key.source ?? key.value) : key);
}
