/** The names in a `cond_subjects` of a signing policy, and how Globus's library holds a name against them. */

/** What stands in a `cond_subjects`. */
export interface SubjectList {
	readonly patterns: readonly string[];
	/** Whether it can be taken apart. Globus lets any name pass where it cannot. */
	readonly isReadable: boolean;
}

/**
 * Take a list apart: patterns in double quotation marks. Without any, all of it is one pattern.
 *
 * Inside, `\xC3` is a byte, and `\` takes any other character as it is.
 */
export function parseSubjectList(text: string): SubjectList {
	const patterns: string[] = [];
	for (let at = 0; ; ) {
		while (at < text.length && ' \t"'.includes(text[at] as string)) at++;
		const found = text.indexOf('"', at);
		const end = found === -1 ? text.length : found;
		const pattern = unescaped(text.slice(at, end));
		if (pattern === undefined) return {patterns, isReadable: false};
		patterns.push(pattern);
		if (end >= text.length - 1) return {patterns, isReadable: true};
		at = end;
	}
}

/** `undefined`: a line end inside, or `\x` without two digits. */
function unescaped(text: string): string | undefined {
	let result = '';
	for (let at = 0; at < text.length; at++) {
		const character = text[at] as string;
		if (character === '\n') return undefined;
		if (character !== '\\') {
			result += character;
			continue;
		}
		at += 1;
		if (text[at] !== 'x') {
			result += text[at] ?? '';
			continue;
		}
		const digits = text.slice(at + 1, at + 3);
		if (!/^[\da-f]{2}$/i.test(digits)) return undefined;
		result += String.fromCharCode(Number.parseInt(digits, 16));
		at += 2;
	}
	return result;
}

/**
 * Whether a name is of a pattern. Of several stars only the last one is a wildcard, and stands for one character at
 * least; a question mark is a question mark.
 */
export function matchesPattern(name: string, pattern: string): boolean {
	if (pattern === '') return false;
	if (isSameName(name, pattern)) return true;
	const star = pattern.lastIndexOf('*');
	if (star === -1) return false;
	const behind = pattern.length - star - 1;
	if (name.length <= star + behind) return false;
	return isSameName(`${name.slice(0, star)}*${name.slice(name.length - behind)}`, pattern);
}

/** Whether two names are the same, in whichever case, and with whichever word for a few attributes. */
export function isSameName(one: string, other: string): boolean {
	return comparable(one) === comparable(other);
}

const otherWords: Readonly<Record<string, string>> = {
	'uid=': '/userid=',
	'e=': '/emailaddress=',
	'email=': '/emailaddress=',
};

function comparable(name: string): string {
	return lowered(name).replace(/\/(uid=|e=|email=)/g, (_, word: string) => otherWords[word] as string);
}

/** Of ASCII alone: what else there is are bytes of a name in some encoding. */
function lowered(text: string): string {
	return text.replace(/[A-Z]+/g, letters => letters.toLowerCase());
}
