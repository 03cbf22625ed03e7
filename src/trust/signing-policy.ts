/**
 * Signing policies of Globus (`<hash>.signing_policy`): which names a CA may give.
 *
 * ```
 * access_id_CA   X509    '/C=ch/O=CERN/CN=CERN Root CA'
 * pos_rights     globus  CA:sign
 * cond_subjects  globus  '"/C=ch/O=CERN/*" "/DC=ch/DC=cern/*"'
 * ```
 */
import {comparableName, longestPattern, NamePattern} from './name-pattern.ts';

/** What a file says about one CA. */
export interface NameRule {
	/** The CA's comparable name; `undefined`: the CA whose file it is. */
	readonly issuer: string | undefined;
	readonly permits: boolean;
	readonly subject: NamePattern;
	/** Counted from 1. */
	readonly line: number;
}

/** A file of rules that cannot be understood. */
export class PolicySyntaxError extends Error {
	readonly line: number;

	constructor(line: number, message: string) {
		super(message);
		this.line = line;
	}
}

/** @throws {PolicySyntaxError} */
export function parseSigningPolicy(bytes: Buffer): NameRule[] {
	const rules: NameRule[] = [];
	/** `undefined`: rules for somebody who is no CA, which do not concern us. */
	let issuer: string | undefined;
	let hasEntry = false;
	let right: {permits: boolean; line: number} | undefined;
	const endRight = (): void => {
		if (right !== undefined && issuer !== undefined) {
			throw new PolicySyntaxError(right.line, "after it, 'cond_subjects' is missing");
		}
		right = undefined;
	};
	for (const [index, raw] of bytes
		.toString('latin1')
		.split(/\r\n|\r|\n/)
		.entries()) {
		const line = index + 1;
		const text = raw.trim();
		if (text === '' || text.startsWith('#')) continue;
		const [keyword = '', authority = '', rest = ''] = splitLine(text);
		switch (keyword.toLowerCase()) {
			case 'access_id_ca': {
				endRight();
				const [name] = quotedOrWhole(rest, line);
				if (authority.toLowerCase() !== 'x509' || name === undefined) {
					throw new PolicySyntaxError(line, "it should read: access_id_CA X509 '/DC=…/CN=…'");
				}
				issuer = comparableName(name);
				hasEntry = true;
				break;
			}
			case 'pos_rights':
			case 'neg_rights':
				endRight();
				if (!hasEntry) throw new PolicySyntaxError(line, "before it, 'access_id_CA' is missing");
				// Other rights than to sign do not concern us; Globus knows no other.
				right =
					rest.toLowerCase() === 'ca:sign'
						? {permits: keyword.toLowerCase() === 'pos_rights', line}
						: undefined;
				break;
			case 'cond_subjects': {
				if (!hasEntry) throw new PolicySyntaxError(line, "before it, 'access_id_CA' is missing");
				const subjects = quotedOrWhole(rest, line).flatMap(list => quotedOrWhole(list, line));
				if (authority.toLowerCase() !== 'globus' || subjects.length === 0) {
					throw new PolicySyntaxError(line, `it should read: cond_subjects globus '"/DC=…/*"'`);
				}
				if (right !== undefined && issuer !== undefined) {
					const {permits} = right;
					for (const subject of subjects) {
						checkLength(subject, line);
						rules.push({issuer, permits, subject: NamePattern.fromWildcards(subject), line});
					}
				}
				right = undefined;
				break;
			}
			default:
				// `access_id_ANYBODY` and the like. Anything else is no line of such a file.
				if (!/^access_id_[a-z]+$/i.test(keyword)) {
					throw new PolicySyntaxError(
						line,
						`it begins with '${keyword.slice(0, 40)}', which no such file has`,
					);
				}
				endRight();
				issuer = undefined;
				hasEntry = true;
		}
	}
	endRight();
	return rules;
}

/** @throws {PolicySyntaxError} where a pattern is longer than any name. */
export function checkLength(pattern: string, line: number): void {
	if (pattern.length > longestPattern) {
		throw new PolicySyntaxError(line, `it has a pattern of more than ${longestPattern} characters`);
	}
}

/** Three words, of which the last is all that is left. */
function splitLine(text: string): string[] {
	const first = text.search(/\s/);
	if (first === -1) return [text];
	const afterFirst = text.slice(first).trimStart();
	const second = afterFirst.search(/\s/);
	if (second === -1) return [text.slice(0, first), afterFirst];
	return [text.slice(0, first), afterFirst.slice(0, second), afterFirst.slice(second).trim()];
}

/** The parts in quotation marks, of either kind; a text without any is one part. */
function quotedOrWhole(text: string, line: number): string[] {
	const trimmed = text.trim();
	if (trimmed === '') return [];
	if (trimmed[0] !== '"' && trimmed[0] !== "'") return [trimmed];
	const parts: string[] = [];
	for (let at = 0; at < trimmed.length; ) {
		const mark = trimmed[at] as string;
		const end = mark === '"' || mark === "'" ? trimmed.indexOf(mark, at + 1) : -1;
		if (end === -1) throw new PolicySyntaxError(line, 'a quotation mark is missing');
		const part = trimmed.slice(at + 1, end).trim();
		if (part !== '') parts.push(part);
		at = end + 1;
		while (/\s/.test(trimmed[at] ?? '')) at++;
	}
	return parts;
}
