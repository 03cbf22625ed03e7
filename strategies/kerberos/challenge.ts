/** Reads `WWW-Authenticate` (RFC 9110 section 11.6.1) in one pass, so that no header can make it slow. */

const space = /[ \t]/;
/** RFC 9110 section 5.6.2. */
const tokenCharacter = /[!#$%&'*+.^_`|~\dA-Za-z-]/;
/** RFC 9110 section 11.2, `token68`: also the characters of base64. */
const token68Character = /[\w.~+/-]/;

/**
 * The token of the first challenge with the scheme: an empty string where it has none, `undefined` where there is
 * no such challenge.
 */
export function findChallenge(header: string | string[] | undefined, scheme: string): string | undefined {
	const wanted = scheme.toLowerCase();
	for (const value of header === undefined ? [] : [header].flat()) {
		for (const challenge of readChallenges(value)) {
			if (challenge.scheme.toLowerCase() === wanted) return challenge.token;
		}
	}
	return undefined;
}

function* readChallenges(header: string): Generator<{scheme: string; token: string}> {
	let position = 0;
	const skip = (pattern: RegExp): void => {
		while (position < header.length && pattern.test(header.charAt(position))) position++;
	};
	const take = (pattern: RegExp): string => {
		const start = position;
		skip(pattern);
		return header.slice(start, position);
	};
	while (position < header.length) {
		skip(/[ \t,]/);
		const word = take(tokenCharacter);
		if (word === '') {
			// Not a word: a quoted string that belongs to a parameter, or nonsense. Pass over it.
			if (header.charAt(position) === '"') position = endOfQuotedString(header, position);
			else position++;
			continue;
		}
		const afterWord = position;
		skip(space);
		if (header.charAt(position) === '=') {
			// `name=value`: a parameter of the challenge before.
			position++;
			skip(space);
			if (header.charAt(position) === '"') position = endOfQuotedString(header, position);
			else take(tokenCharacter);
			continue;
		}
		if (position === afterWord) {
			yield {scheme: word, token: ''};
			continue;
		}
		const start = position;
		const candidate = take(token68Character);
		const padding = take(/=/);
		skip(space);
		const ends = position >= header.length || header.charAt(position) === ',';
		if (ends) {
			yield {scheme: word, token: candidate + padding};
		} else {
			// What follows the scheme is a parameter, not a token.
			position = start;
			yield {scheme: word, token: ''};
		}
	}
}

function endOfQuotedString(header: string, start: number): number {
	for (let position = start + 1; position < header.length; position++) {
		const character = header.charAt(position);
		if (character === '\\') position++;
		else if (character === '"') return position + 1;
	}
	return header.length;
}
