/**
 * Adds to a query without rewriting what is there. `URLSearchParams` writes the whole query again at each change, by
 * the rules of HTML forms: `%E9`, `a%20b`, `download` and `a;b` would reach the server as something else.
 */

/** `original`'s query to the byte, less what is gone from `changed`, and with what `changed` has besides at its end. */
export function mergeQuery(original: URL, changed: URL): string {
	const added = [...changed.searchParams];
	const kept = original.search
		.slice(1)
		.split('&')
		.filter(part => {
			const [pair] = new URLSearchParams(part);
			// Nothing between two ampersands: no parameter, yet the caller's.
			if (pair === undefined) return part === '' && original.search.length > 1;
			const index = added.findIndex(([name, value]) => name === pair[0] && value === pair[1]);
			if (index === -1) return false;
			added.splice(index, 1);
			return true;
		});
	const more = added.length === 0 ? [] : [new URLSearchParams(added).toString()];
	const query = [...kept, ...more].join('&');
	return query === '' ? '' : `?${query}`;
}
