/**
 * The value that a YAML document stands for, as the library's `toJS` gives it, in a time that grows with the text and no
 * faster: the library looks through all anchors for each alias, and through a whole group for each key that is merged.
 */
import {
	type Document,
	isAlias,
	isMap,
	isPair,
	isScalar,
	isSeq,
	type Node,
	type Pair,
	Scalar,
	type YAMLMap,
} from 'yaml';
import {type AliasTargets, aliasTargets, unfoldsWithoutEnd} from './yaml-aliases.ts';

/** A document without a value. */
export class YamlValueError extends Error {
	readonly reason: 'unfolds without end' | 'unknown alias' | 'merge of no group';
	/** Where in the text. */
	readonly offset: number | undefined;

	constructor(reason: YamlValueError['reason'], node?: unknown) {
		super(`The text has no value: ${reason}`);
		this.reason = reason;
		this.offset = (node as Node | null | undefined)?.range?.[0];
	}
}

/**
 * The value of a document without errors.
 *
 * @throws {YamlValueError}
 */
export function yamlValue(document: Document, targets = aliasTargets(document)): unknown {
	if (unfoldsWithoutEnd(targets)) throw new YamlValueError('unfolds without end');
	return new Conversion(targets).valueOf(document.contents);
}

/** Whether a key merges another group into its own. */
export function isMergeKey({key}: Pair): boolean {
	if (!isScalar(key)) return false;
	const {type = Scalar.PLAIN, value} = key;
	return (
		type === Scalar.PLAIN && (value === '<<' || (typeof value === 'symbol' && value.description === '<<'))
	);
}

/** The groups that a merge key names; what is none is given as it is. */
export function mergedNodes({value}: Pair, targets: AliasTargets): unknown[] {
	const resolve = (node: unknown): unknown => (isAlias(node) ? targets.get(node) : node);
	const named = resolve(value);
	return isSeq(named) ? named.items.map(resolve) : [named];
}

class Conversion {
	readonly #targets: AliasTargets;
	/** Of nodes with anchors: each is one value, wherever it stands. */
	readonly #known = new Map<unknown, unknown>();

	constructor(targets: AliasTargets) {
		this.#targets = targets;
	}

	valueOf(node: unknown): unknown {
		if (isAlias(node)) {
			const target = this.#targets.get(node);
			if (target === undefined) throw new YamlValueError('unknown alias', node);
			return this.valueOf(target);
		}
		if (isPair(node)) return this.#group([node]);
		if (isScalar(node)) return node.value;
		const known = this.#known.get(node);
		if (known !== undefined) return known;
		const value = this.#collection(node);
		if ((node as Node | null)?.anchor !== undefined) this.#known.set(node, value);
		return value;
	}

	#collection(node: unknown): unknown {
		if (isMap(node)) return this.#group(node.items);
		return isSeq(node) ? node.items.map(item => this.valueOf(item)) : node;
	}

	#group(pairs: readonly Pair[]): Record<string, unknown> {
		const group = new Map<string, unknown>();
		for (const pair of pairs) {
			if (isMergeKey(pair)) this.#merge(group, pair);
			else group.set(this.#nameOf(pair), this.valueOf(pair.value ?? null));
		}
		// Also where one is called __proto__.
		return Object.fromEntries(group);
	}

	/** What stands in the group itself has its say, wherever it stands. */
	#merge(group: Map<string, unknown>, pair: Pair): void {
		for (const node of mergedNodes(pair, this.#targets)) {
			if (!isMap(node)) throw new YamlValueError('merge of no group', pair.key);
			for (const [name, value] of Object.entries(this.valueOf(node as YAMLMap) as object)) {
				if (!group.has(name)) group.set(name, value);
			}
		}
	}

	#nameOf({key}: Pair): string {
		const name = this.valueOf(key);
		if (name === null || name === undefined) return '';
		return typeof name === 'object' ? JSON.stringify(name) : String(name);
	}
}
