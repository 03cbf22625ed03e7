/**
 * Namespaces files of EUGridPMA (`<hash>.namespaces`): which names a CA, and those below it, may give.
 *
 * ```
 * #NAMESPACES-VERSION: 1.0
 * TO Issuer "/DC=ch/DC=cern/CN=CERN Grid Certification Authority" \
 *   PERMIT Subject "/DC=ch/DC=cern/.*"
 * ```
 */
import {comparableName, longestPattern, NamePattern} from './name-pattern.ts';
import {type NamePolicy, PolicySyntaxError, type PolicyVerdict} from './policy.ts';

interface Rule {
	/** The CA's comparable name; `undefined`: the CA whose file it is. */
	readonly issuer: string | undefined;
	readonly permits: boolean;
	readonly subject: NamePattern;
	/** Counted from 1. */
	readonly line: number;
}

/** @throws {PolicySyntaxError} */
export function parseNamespaces(bytes: Buffer): NamePolicy {
	return new Namespaces(parseRules(bytes));
}

class Namespaces implements NamePolicy {
	readonly warnings = [];
	readonly #rules: readonly Rule[];

	constructor(rules: readonly Rule[]) {
		this.#rules = rules;
	}

	judge(issuer: string, subject: string, isOwn: boolean): PolicyVerdict | undefined {
		const authority = comparableName(issuer);
		const name = comparableName(subject);
		const rules = this.#rules.filter(rule => (rule.issuer === undefined ? isOwn : rule.issuer === authority));
		const [first] = rules;
		if (first === undefined) return undefined;
		const matching = rules.filter(rule => rule.subject.matches(name));
		const decisive = matching.find(({permits}) => !permits) ?? matching[0];
		return decisive === undefined ? {permits: false, line: first.line} : decisive;
	}
}

function parseRules(bytes: Buffer): Rule[] {
	const rules: Rule[] = [];
	let statement = '';
	let beginning = 1;
	const lines = bytes.toString('latin1').split(/\r\n|\r|\n/);
	for (const [index, raw] of lines.entries()) {
		if (statement === '') beginning = index + 1;
		const version = /^#NAMESPACES-VERSION:(.*)$/.exec(raw)?.[1]?.trim();
		if (version !== undefined && version !== '1.0') {
			throw new PolicySyntaxError(
				index + 1,
				`it is of version ${version.slice(0, 20)}, and only 1.0 is known`,
			);
		}
		const line = withoutComment(raw).trimEnd();
		const goesOn = line.endsWith('\\') && index < lines.length - 1;
		statement += ` ${goesOn ? line.slice(0, -1) : line}`;
		if (goesOn) continue;
		if (statement.trim() !== '') rules.push(parseStatement(statement, beginning));
		statement = '';
	}
	return rules;
}

function parseStatement(statement: string, line: number): Rule {
	const [to, issuerWord, issuer, verb, subjectWord, subject, ...others] = words(statement, line);
	const isRight =
		isKeyword(to, 'to') &&
		isKeyword(issuerWord, 'issuer') &&
		issuer !== undefined &&
		(issuer.isQuoted || isKeyword(issuer, 'self')) &&
		(isKeyword(verb, 'permit') || isKeyword(verb, 'deny')) &&
		isKeyword(subjectWord, 'subject') &&
		subject?.isQuoted &&
		others.length === 0;
	if (!isRight) {
		throw new PolicySyntaxError(line, `it should read: TO Issuer "/DC=…/CN=…" PERMIT Subject "/DC=…/.*"`);
	}
	if (subject.text.length > longestPattern) {
		throw new PolicySyntaxError(line, `it has a pattern of more than ${longestPattern} characters`);
	}
	return {
		issuer: issuer.isQuoted ? comparableName(unescaped(issuer.text)) : undefined,
		permits: isKeyword(verb, 'permit'),
		subject: NamePattern.fromExpression(subject.text),
		line,
	};
}

interface Word {
	readonly text: string;
	readonly isQuoted: boolean;
}

function isKeyword(word: Word | undefined, keyword: string): boolean {
	return word !== undefined && !word.isQuoted && word.text.toLowerCase() === keyword;
}

function words(statement: string, line: number): Word[] {
	const found: Word[] = [];
	for (let at = 0; at < statement.length; ) {
		if (/\s/.test(statement[at] as string)) {
			at++;
		} else if (statement[at] === '"') {
			const end = endOfQuoted(statement, at + 1);
			if (end === -1) throw new PolicySyntaxError(line, 'a quotation mark is missing');
			found.push({text: statement.slice(at + 1, end), isQuoted: true});
			at = end + 1;
		} else {
			const start = at;
			while (at < statement.length && !/[\s"]/.test(statement[at] as string)) at++;
			found.push({text: statement.slice(start, at), isQuoted: false});
		}
	}
	return found;
}

function endOfQuoted(text: string, start: number): number {
	for (let at = start; at < text.length; at++) {
		if (text[at] === '\\') at++;
		else if (text[at] === '"') return at;
	}
	return -1;
}

/** A `#` begins a comment, but not inside quotation marks. */
function withoutComment(line: string): string {
	let isQuoted = false;
	for (let at = 0; at < line.length; at++) {
		if (line[at] === '\\') at++;
		else if (line[at] === '"') isQuoted = !isQuoted;
		else if (line[at] === '#' && !isQuoted) return line.slice(0, at);
	}
	return line;
}

/** The name of an issuer is no pattern: `\"` and `\.` in it are the characters themselves, `\xC3` is a byte. */
function unescaped(name: string): string {
	return name.replace(/\\(?!x[\da-f]{2})(.)/gi, '$1');
}
