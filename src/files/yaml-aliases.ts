/** What the aliases of a YAML document stand for, and a bound on it: ten that stand for ten that stand for ten have no end. */
import {type Alias, type Document, isAlias, isCollection, isNode, isPair, type Node, visit} from 'yaml';

export type AliasTargets = ReadonlyMap<Alias, Node>;

/** What each alias stands for. The library itself looks through the whole document for each. */
export function aliasTargets(document: Document): AliasTargets {
	const targets = new Map<Alias, Node>();
	const anchors = new Map<string, Node>();
	visit(document, {
		// In the order of the text: an alias means the last anchor of its name before it.
		Node(_key, node) {
			if (!isAlias(node)) {
				if (node.anchor !== undefined) anchors.set(node.anchor, node);
				return;
			}
			const target = anchors.get(node.source);
			if (target !== undefined) targets.set(node, target);
		},
	});
	return targets;
}

/** Values that all aliases together may stand for. Each is looked at again wherever it stands. */
const mostUnfolded = 50_000;

/** Whether the aliases of a document stand for more than anybody writes, or one for what it is in itself. */
export function unfoldsWithoutEnd(targets: AliasTargets): boolean {
	const sizes = new Map<unknown, number>();
	let total = 0;
	for (const [alias, target] of targets) {
		const size = sizeOf(target, targets, sizes);
		sizes.set(alias, size);
		total += size;
		if (total > mostUnfolded) return true;
	}
	return false;
}

/** How many values a node holds, those of its aliases included. */
function sizeOf(node: unknown, targets: AliasTargets, sizes: Map<unknown, number>): number {
	const known = sizes.get(node);
	if (known !== undefined) return known;
	if (isPair(node)) {
		return sizeOf(node.key, targets, sizes) + sizeOf(node.value, targets, sizes);
	}
	if (!isNode(node)) return 0;
	if (isAlias(node)) {
		// One that comes later in the text than the one that is looked at is inside of what it stands for.
		return targets.has(node) ? Number.POSITIVE_INFINITY : 0;
	}
	let size = 1;
	if (isCollection(node)) for (const item of node.items) size += sizeOf(item, targets, sizes);
	if (node.anchor !== undefined) sizes.set(node, size);
	return size;
}
