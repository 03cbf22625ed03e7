/** Reads `WWW-Authenticate` (RFC 9110 section 11.6.1) in one pass, so that no header can make it slow. */

/** One of the ways in which a server lets itself be authenticated to. */
export interface Challenge {
	/** As the server writes it; compared without regard to case. */
	readonly scheme: string;
	/** RFC 9110 section 11.2, `token68`; an empty string where there is none. */
	readonly token: string;
	/** By lower-case name; of one that comes twice, the first. */
	readonly parameters: ReadonlyMap<string, string>;
}

// A run of characters each, from where it is looked for: a token of Kerberos has thousands.
const spaces = /[ \t]*/y;
const separators = /[ \t,]*/y;
/** RFC 9110 section 5.6.2. */
const tokenText = /[!#$%&'*+.^_`|~\dA-Za-z-]*/y;
/** RFC 9110 section 11.2, `token68`: also the characters of base64. */
const token68Text = /[\w.~+/-]*=*/y;

/** The challenges of a header, of the scheme alone where one is named, in the order of the server. */
export function parseChallenges(header: string | string[] | undefined, scheme?: string): Challenge[] {
	const wanted = scheme?.toLowerCase();
	return (header === undefined ? [] : [header].flat())
		.flatMap(value => [...readChallenges(value)])
		.filter(challenge => wanted === undefined || challenge.scheme.toLowerCase() === wanted);
}

/** Parameters alone, as in `Authentication-Info` (RFC 9110 section 11.6.3). */
export function parseParameters(header: string | string[] | undefined): ReadonlyMap<string, string> {
	const text = [header ?? []].flat().join(', ');
	// Parameters belong to the scheme before them; this one is nobody's.
	const [challenge] = readChallenges(`x x=x, ${text}`);
	return challenge?.parameters ?? new Map();
}

function* readChallenges(header: string): Generator<Challenge> {
	let position = 0;
	let challenge: {scheme: string; token: string; parameters: Map<string, string>} | undefined;
	const skip = (pattern: RegExp): void => {
		pattern.lastIndex = position;
		pattern.test(header);
		position = pattern.lastIndex;
	};
	const take = (pattern: RegExp): string => {
		const start = position;
		skip(pattern);
		return header.slice(start, position);
	};
	while (position < header.length) {
		skip(separators);
		const word = take(tokenText);
		if (word === '') {
			// Not a word: a quoted string that belongs to a parameter, or nonsense. Pass over it.
			if (header.charAt(position) === '"') position = endOfQuotedString(header, position);
			else position++;
			continue;
		}
		const afterWord = position;
		skip(spaces);
		if (header.charAt(position) === '=') {
			// `name=value`: a parameter of the challenge before.
			position++;
			skip(spaces);
			let value: string;
			if (header.charAt(position) === '"') {
				const start = position;
				position = endOfQuotedString(header, start);
				value = unquote(header.slice(start, position));
			} else {
				value = take(tokenText);
			}
			const name = word.toLowerCase();
			if (challenge?.parameters.has(name) === false) challenge.parameters.set(name, value);
			continue;
		}
		if (challenge !== undefined) yield challenge;
		challenge = {scheme: word, token: '', parameters: new Map()};
		if (position === afterWord) continue;
		const start = position;
		const candidate = take(token68Text);
		skip(spaces);
		// Otherwise what follows the scheme is a parameter, not a token.
		if (position >= header.length || header.charAt(position) === ',') challenge.token = candidate;
		else position = start;
	}
	if (challenge !== undefined) yield challenge;
}

function endOfQuotedString(header: string, start: number): number {
	for (let position = start + 1; position < header.length; position++) {
		const character = header.charAt(position);
		if (character === '\\') position++;
		else if (character === '"') return position + 1;
	}
	return header.length;
}

/** RFC 9110 section 5.6.4. */
function unquote(quoted: string): string {
	const end = quoted.length > 1 && quoted.endsWith('"') ? -1 : undefined;
	return quoted.slice(1, end).replace(/\\(.)/gs, '$1');
}
