/**
 * Signing policies of Globus (`<hash>.signing_policy`): which names a CA may give.
 *
 * ```
 * access_id_CA   X509    '/C=ch/O=CERN/CN=CERN Root CA'
 * pos_rights     globus  CA:sign
 * cond_subjects  globus  '"/C=ch/O=CERN/*" "/DC=ch/DC=cern/*"'
 * ```
 *
 * There is no standard but Globus's library (oldgaa), so a file means here what it means there, whatever was meant: the
 * tests hold the verdicts against it.
 */
import {type NamePolicy, PolicySyntaxError, type PolicyVerdict} from './policy.ts';
import {PolicyWords} from './policy-words.ts';
import {isSameName, matchesPattern, parseSubjectList} from './subject-list.ts';

const anybody = 'access_id_ANYBODY';
const authority = 'access_id_CA';
const kinds = [
	anybody,
	authority,
	...['USER', 'GROUP', 'HOST', 'APPLICATION'].map(kind => `access_id_${kind}`),
];

/** What one CA, or somebody else, may do. */
interface Entry {
	readonly kind: string;
	/** Who says who it is: `X509`. */
	readonly namedBy: string;
	readonly name: string;
	readonly rights: Right[];
	readonly line: number;
}

interface Right {
	readonly grants: boolean;
	/** All have to be met. */
	conditions: readonly Condition[];
	readonly line: number;
}

interface Condition {
	readonly kind: string;
	readonly decidedBy: string;
	readonly value: string;
	readonly line: number;
}

/** @throws {PolicySyntaxError} */
export function parseSigningPolicy(bytes: Buffer): NamePolicy {
	return new SigningPolicy(new Parser(bytes).entries());
}

class SigningPolicy implements NamePolicy {
	readonly #entries: readonly Entry[];

	constructor(entries: readonly Entry[]) {
		this.#entries = entries;
	}

	judge(issuer: string, subject: string): PolicyVerdict | undefined {
		const entry = this.#entries.find(
			({kind, namedBy, name}) =>
				kind === anybody || (kind === authority && namedBy === 'X509' && isSameName(name, issuer)),
		);
		if (entry === undefined) return undefined;
		const granting = entry.rights.filter(({grants}) => grants);
		const met = granting.find(({conditions}) => areMet(conditions, subject));
		if (met !== undefined) return {permits: true, line: met.line};
		// Rights that are taken away take nothing away in Globus: what is not granted is refused in any case.
		const [first] = granting;
		return {permits: false, line: first?.conditions[0]?.line ?? first?.line ?? entry.line};
	}

	get warnings(): NamePolicy['warnings'] {
		const rights = this.#entries.flatMap(entry => entry.rights.filter(({grants}) => grants));
		return [
			...rights
				.filter(({conditions}) => conditions.length === 0)
				.map(({line}) => ({
					line,
					what: "it permits any name, since no 'cond_subjects' follows",
					hint: "Add a 'cond_subjects' with the names that are meant",
				})),
			...rights
				.flatMap(({conditions}) => conditions)
				.filter(
					({kind, decidedBy, value}) => isAboutNames(kind, decidedBy) && !parseSubjectList(value).isReadable,
				)
				.map(({line}) => ({
					line,
					what: 'it permits any name, since Globus cannot read its list of names, and lets all pass then',
					hint: 'Write the list on one line, and two hexadecimal digits after each \\x',
				})),
		];
	}
}

/** Whether nothing speaks against a name. */
function areMet(conditions: readonly Condition[], subject: string): boolean {
	return conditions.every(({kind, decidedBy, value}) => {
		if (!isAboutNames(kind, decidedBy)) return false;
		const {patterns, isReadable} = parseSubjectList(value);
		return (
			!isReadable || (kind === 'cond_subjects' && patterns.some(pattern => matchesPattern(subject, pattern)))
		);
	});
}

/** Those that Globus decides on. A condition of another kind is never met, and banned names ban all. */
function isAboutNames(kind: string, decidedBy: string): boolean {
	return (kind === 'cond_subjects' || kind === 'cond_banned_subjects') && decidedBy === 'globus';
}

class Parser {
	readonly #words: PolicyWords;

	constructor(bytes: Buffer) {
		this.#words = new PolicyWords(bytes);
	}

	entries(): Entry[] {
		const entries: Entry[] = [];
		const words = this.#words;
		words.need('it says nothing');
		let holder: Entry | undefined;
		let hasConditions = false;
		while (!words.isAtEnd) {
			if (holder === undefined || beginsEntry(words.word)) {
				holder = this.#holder(entries);
				hasConditions = false;
			}
			const rights = this.#rights();
			holder.rights.push(...rights);
			// Once one right of an entry has conditions, each has to have some.
			hasConditions ||= words.word.startsWith('cond_');
			if (!hasConditions) continue;
			// Of several rights in a row, Globus has the conditions hold for the first one.
			const conditions = this.#conditions();
			if (rights[0] !== undefined) rights[0].conditions = conditions;
		}
		return entries;
	}

	/** Who the entry is about: of several, the last one. One that the file has named before is that one. */
	#holder(entries: Entry[]): Entry {
		const words = this.#words;
		for (;;) {
			const {word: kind, line} = words;
			if (!kinds.includes(kind)) {
				throw new PolicySyntaxError(line, `${shown(kind)} stands where 'access_id_CA' should`);
			}
			const howItReads = "it should read: access_id_CA X509 '/DC=…/CN=…'";
			const namedBy = kind === anybody ? ' ' : words.need(howItReads);
			const name = kind === anybody ? ' ' : words.need(howItReads);
			let entry = entries.find(
				one => one.kind === kind && one.namedBy === namedBy && isSameName(one.name, name),
			);
			if (entry === undefined) {
				entry = {kind, namedBy, name, rights: [], line};
				entries.push(entry);
			}
			if (isRight(words.need("after it, 'pos_rights' is missing"))) return entry;
		}
	}

	#rights(): Right[] {
		const words = this.#words;
		const rights: Right[] = [];
		do {
			const {word: kind, line} = words;
			if (!isRight(kind)) {
				throw new PolicySyntaxError(line, `${shown(kind)} stands where 'pos_rights' should`);
			}
			const howItReads = 'it should read: pos_rights globus CA:sign';
			const grantedBy = words.need(howItReads);
			const what = words.need(howItReads);
			const grants = kind === 'pos_rights' && grantedBy === 'globus' && what === 'CA:sign';
			rights.push({grants, conditions: [], line});
			words.next();
		} while (!words.word.startsWith('cond_') && !beginsEntry(words.word) && !words.isAtEnd);
		return rights;
	}

	#conditions(): Condition[] {
		const words = this.#words;
		const conditions: Condition[] = [];
		do {
			const {word: kind, line} = words;
			if (!kind.startsWith('cond_')) {
				throw new PolicySyntaxError(line, `${shown(kind)} stands where 'cond_subjects' should`);
			}
			const howItReads = `it should read: cond_subjects globus '"/DC=…/*"'`;
			const decidedBy = words.need(howItReads);
			conditions.push({kind, decidedBy, value: words.need(howItReads), line});
			words.next();
		} while (!words.isAtEnd && !beginsEntry(words.word) && !/^(?:pos|neg)/.test(words.word));
		return conditions;
	}
}

function isRight(word: string): boolean {
	return word === 'pos_rights' || word === 'neg_rights';
}

function beginsEntry(word: string): boolean {
	return word.startsWith('access') || word.startsWith('grantor');
}

function shown(word: string): string {
	return `'${word.slice(0, 40)}'`;
}
