/** Finds the challenge of a scheme whose challenges are a token, such as Negotiate (RFC 4559). */
import {parseChallenges} from '../../src/strategy/challenges.ts';

/**
 * The token of the first challenge with the scheme: an empty string where it has none, `undefined` where there is
 * no such challenge.
 */
export function findChallenge(header: string | string[] | undefined, scheme: string): string | undefined {
	return parseChallenges(header, scheme)[0]?.token;
}
