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

/** Of the characters of ASCII, those that a pattern takes: a token of Kerberos has thousands to look at. */
function setOf(pattern: RegExp): Uint8Array {
	return Uint8Array.from({length: 128}, (_, code) => (pattern.test(String.fromCharCode(code)) ? 1 : 0));
}

const space = setOf(/[ \t]/);
const separator = setOf(/[ \t,]/);
const equalsSign = setOf(/=/);
/** RFC 9110 section 5.6.2. */
const tokenCharacter = setOf(/[!#$%&'*+.^_`|~\dA-Za-z-]/);
/** RFC 9110 section 11.2, `token68`: also the characters of base64. */
const token68Character = setOf(/[\w.~+/-]/);

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
	const skip = (characters: Uint8Array): void => {
		while (position < header.length && characters[header.charCodeAt(position)] === 1) position++;
	};
	const take = (characters: Uint8Array): string => {
		const start = position;
		skip(characters);
		return header.slice(start, position);
	};
	while (position < header.length) {
		skip(separator);
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
			let value: string;
			if (header.charAt(position) === '"') {
				const start = position;
				position = endOfQuotedString(header, start);
				value = unquote(header.slice(start, position));
			} else {
				value = take(tokenCharacter);
			}
			const name = word.toLowerCase();
			if (challenge?.parameters.has(name) === false) challenge.parameters.set(name, value);
			continue;
		}
		if (challenge !== undefined) yield challenge;
		challenge = {scheme: word, token: '', parameters: new Map()};
		if (position === afterWord) continue;
		const start = position;
		const candidate = take(token68Character) + take(equalsSign);
		skip(space);
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
