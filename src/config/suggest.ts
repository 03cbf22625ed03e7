/** Finds the word that a person most likely meant. */

/** The candidate that is no more than a third of its letters away from `word`, or `undefined`. */
export function closest(word: string, candidates: readonly string[]): string | undefined {
	let best: string | undefined;
	let bestDistance = Number.POSITIVE_INFINITY;
	for (const candidate of candidates) {
		const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
		if (distance < bestDistance && distance <= Math.max(1, Math.floor(candidate.length / 3))) {
			best = candidate;
			bestDistance = distance;
		}
	}
	return best;
}

/** How many letters are wrong, missing, too many, or exchanged with their neighbour (optimal string alignment). */
function editDistance(a: string, b: string): number {
	let beforePrevious: number[] = [];
	let previous = Array.from({length: b.length + 1}, (_, index) => index);
	for (let i = 1; i <= a.length; i++) {
		const current = [i];
		for (let j = 1; j <= b.length; j++) {
			const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
			const isExchange = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
			const exchange = isExchange ? (beforePrevious[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY;
			current.push(Math.min(substitution, exchange, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
		}
		beforePrevious = previous;
		previous = current;
	}
	return previous[b.length] ?? 0;
}
