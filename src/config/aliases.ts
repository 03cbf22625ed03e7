/** Bounds what the aliases of a YAML document unfold to: ten that stand for ten that stand for ten have no end. */
import {type Document, isAlias, isCollection, isNode, isPair, visit} from 'yaml';

/** Values that all aliases together may stand for. Each is looked at again wherever it stands. */
const mostUnfolded = 50_000;

/** Whether the aliases of a document stand for more than anybody writes, or one for what it is in itself. */
export function unfoldsWithoutEnd(document: Document): boolean {
	const anchors = new Map<string, unknown>();
	const sizes = new Map<unknown, number>();
	let total = 0;
	visit(document, {
		// In the order of the text: an alias means the last anchor of its name before it.
		Node(_key, node) {
			if (isAlias(node)) {
				const size = sizeOf(anchors.get(node.source), sizes);
				sizes.set(node, size);
				total += size;
			} else if (node.anchor !== undefined) {
				anchors.set(node.anchor, node);
			}
			return total > mostUnfolded ? visit.BREAK : undefined;
		},
	});
	return total > mostUnfolded;
}

/** How many values a node holds, those of its aliases included. */
function sizeOf(node: unknown, sizes: Map<unknown, number>): number {
	const known = sizes.get(node);
	if (known !== undefined) return known;
	if (isPair(node)) return sizeOf(node.key, sizes) + sizeOf(node.value, sizes);
	if (isAlias(node) || !isNode(node)) {
		// An alias that comes later in the text than the one that is looked at: it is inside of what it stands for.
		return isAlias(node) ? Number.POSITIVE_INFINITY : 0;
	}
	let size = 1;
	if (isCollection(node)) for (const item of node.items) size += sizeOf(item, sizes);
	if (node.anchor !== undefined) sizes.set(node, size);
	return size;
}
