/** Checks the patterns of a host rule or a trust entry. */
import {type Pattern, PatternError, parsePattern} from '../host-rules/pattern.ts';
import type {Problems} from './problems.ts';
import type {Salvaged} from './settings.ts';
import type {Path} from './source.ts';

/** One pattern that is right, and where it stands. */
export interface PlacedPattern {
	readonly pattern: Pattern;
	readonly path: Path;
}

export function validatePatterns(
	match: Salvaged<string | string[]> | undefined,
	path: Path,
	problems: Problems,
): PlacedPattern[] {
	const placed: PlacedPattern[] = [];
	for (const [index, text] of [match].flat().entries()) {
		if (text === undefined) continue;
		const place = Array.isArray(match) ? [...path, index] : path;
		try {
			placed.push({pattern: parsePattern(text), path: place});
		} catch (error) {
			if (!(error instanceof PatternError)) throw error;
			problems.add(place, error.message, error.hint, 'pattern-malformed');
		}
	}
	return placed;
}
