/** Says which rule is chosen for a URL, and of every other rule why it is not. */

import {withoutTrailingDot} from '../strategy/hosts.ts';
import type {HostRule} from './host-rule.ts';
import type {Entry, Matcher} from './matcher.ts';
import {decodeUnreserved, type Pattern} from './pattern.ts';

/** One pattern of one rule, as it stands to a URL. */
export interface Candidate {
	/** The pattern, as written. */
	readonly match: string;
	/** The name of the rule's strategy. */
	readonly strategy: string;
	/** Where the rule is written: `file:line`. */
	readonly source: string;
	/** `less-specific`: it matches, but the selected one is more specific. */
	readonly outcome: 'selected' | 'less-specific' | 'no-match';
	/** What of the request the pattern does not match: the first that differs. Present with `no-match`. */
	readonly differs?: Difference;
	/** One clause for a person. */
	readonly reason: string;
}

/** A part of a request that rules are chosen by. */
export type Difference = 'scheme' | 'host' | 'port' | 'path' | 'method';

/** Which rule a request would use, and why. */
export interface Explanation {
	/** Without user information. */
	readonly url: string;
	/** Upper-case. */
	readonly method: string;
	/** Absent: the request is sent as it is. */
	readonly rule?: Pick<Candidate, 'match' | 'strategy' | 'source'>;
	/** Whether such a request is an error: no rule matches, and the configuration says `strict: true`. */
	readonly refused?: true;
	/** The selected one first, then those that match too, then the others; within each, as in the configuration. */
	readonly candidates: readonly Candidate[];
	/**
	 * A sentence each: which of the rule's options a bundle brought, what the rule's strategy says about its choice of a
	 * credential, and which bundle's CA certificates the server is verified with.
	 */
	readonly notes?: readonly string[];
}

/** Explain the choice among `rules` for one request. */
export function explain(
	rules: readonly HostRule[],
	matcher: Matcher<HostRule>,
	url: URL,
	method: string,
): Explanation {
	const selected = matcher.find(url, method);
	const asked = askedOf(url, method);
	const matching: Candidate[] = [];
	const missing: Missing[] = [];
	for (const rule of rules) {
		for (const pattern of rule.patterns) {
			const entry = {pattern, methods: rule.methods, value: rule};
			const candidate = describe(entry, selected, asked);
			if (candidate.outcome === 'selected') matching.unshift(candidate);
			else if (candidate.outcome === 'less-specific') matching.push(candidate);
			else missing.push({entry, candidate});
		}
	}
	const [first] = matching;
	const candidates = [...matching, ...missing.map(({candidate}) => candidate)];
	missed.set(candidates, {asked, missing});
	return {
		url: withoutUserInformation(url),
		method,
		...(first?.outcome === 'selected' && {
			rule: {match: first.match, strategy: first.strategy, source: first.source},
		}),
		candidates,
	};
}

interface Missing {
	readonly entry: Entry<HostRule>;
	readonly candidate: Candidate;
}

/** What {@link nearestOf} goes by. */
const missed = new WeakMap<
	readonly Candidate[],
	{readonly asked: Asked; readonly missing: readonly Missing[]}
>();

/**
 * Those that do not match and come nearest, the nearest first: they are for the host that was asked for. Of 10,000 rules,
 * nobody reads of each why it does not match.
 *
 * @param candidates of an explanation.
 */
export function nearestOf(candidates: readonly Candidate[], most: number): Candidate[] {
	const known = missed.get(candidates);
	if (known === undefined) return [];
	const {asked, missing} = known;
	return missing
		.filter(({entry}) => !differs.host(entry, asked))
		.map(({entry, candidate}) => ({
			candidate,
			differences: differingParts(entry, asked).length,
			common: commonStart(entry.pattern.path, asked.path),
		}))
		.sort((a, b) => a.differences - b.differences || b.common - a.common)
		.slice(0, most)
		.map(({candidate}) => candidate);
}

function describe(entry: Entry<HostRule>, selected: Entry<HostRule> | undefined, asked: Asked): Candidate {
	const {pattern, value: rule} = entry;
	const place = {match: pattern.text, strategy: rule.strategy, source: rule.source};
	const first = parts.find(part => differs[part](entry, asked));
	if (first !== undefined)
		return {...place, outcome: 'no-match', differs: first, reason: clauses[first](entry, asked)};
	if (selected?.pattern === pattern) {
		const reason = `${describePattern(pattern)} matches, and nothing more specific does`;
		return {...place, outcome: 'selected', reason};
	}
	return {...place, outcome: 'less-specific', reason: selected === undefined ? '' : compare(entry, selected)};
}

function commonStart(one: string, other: string): number {
	let length = 0;
	while (length < one.length && one[length] === other[length]) length++;
	return length;
}

/** What patterns are compared with, taken out of a request once. */
export interface Asked {
	readonly scheme: string;
	readonly host: string;
	readonly port: string;
	readonly path: string;
	readonly method: string;
}

export function askedOf(url: URL, method: string): Asked {
	return {
		scheme: url.protocol.slice(0, -1),
		host: withoutTrailingDot(url.hostname),
		port: url.port,
		path: decodeUnreserved(url.pathname),
		method,
	};
}

/** In the order in which people read them. */
const parts: readonly Difference[] = ['scheme', 'host', 'port', 'path', 'method'];

const differs: Readonly<Record<Difference, (entry: Entry<unknown>, asked: Asked) => boolean>> = {
	scheme: ({pattern}, {scheme}) => pattern.scheme !== scheme,
	host: ({pattern: {kind, host}}, asked) =>
		kind === 'exact' ? asked.host !== host : kind === 'wildcard' && !isBelow(asked.host, host),
	port: ({pattern}, {port}) => pattern.port !== '*' && pattern.port !== port,
	path: ({pattern}, {path}) =>
		pattern.path !== '' && path !== pattern.path && !path.startsWith(`${pattern.path}/`),
	method: ({methods}, {method}) => methods !== undefined && !methods.includes(method),
};

/** The parts of the pattern that differ from a request. */
export function differingParts(entry: Entry<unknown>, asked: Asked): Difference[] {
	return parts.filter(part => differs[part](entry, asked));
}

/** Every part of the pattern that differs from a request, a clause each. */
export function differencesOf(entry: Entry<unknown>, asked: Asked): string[] {
	return differingParts(entry, asked).map(part => clauses[part](entry, asked));
}

const clauses: Readonly<Record<Difference, (entry: Entry<unknown>, asked: Asked) => string>> = {
	scheme: ({pattern}, {scheme}) => `the scheme is ${scheme}, not ${pattern.scheme}`,
	host: ({pattern}, {host}) =>
		pattern.kind === 'exact'
			? `the host is ${host}, not ${pattern.host}`
			: `${host} is not below ${pattern.host}`,
	port: ({pattern}, {port}) => `the port is ${port || 'the default'}, not ${pattern.port || 'the default'}`,
	path: ({pattern}, {path}) => `the path ${path} is not ${pattern.path} or below it`,
	method: ({methods = []}, {method}) => `the method is ${method}, not ${methods.join(' or ')}`,
};

function isBelow(host: string, suffix: string): boolean {
	return host.endsWith(`.${suffix}`) && !host.startsWith('[');
}

function describePattern({kind, path}: Pattern): string {
	const host = {exact: 'the exact host', wildcard: 'the wildcard', any: 'the pattern for every host'}[kind];
	return path === '' ? host : `${host} with path ${path}`;
}

/** In what the selected entry is more specific: the first difference in the order of `Matcher`. */
function compare(entry: Entry<HostRule>, selected: Entry<HostRule>): string {
	const [a, b] = [entry.pattern, selected.pattern];
	const winner = `${b.text} (${selected.value.source})`;
	if (a.kind !== b.kind) return `${winner} names the host more exactly`;
	if (a.host.length !== b.host.length) return `${winner} has the longer wildcard suffix`;
	if ((a.port === '*') !== (b.port === '*')) return `${winner} names the port`;
	if (a.path.length !== b.path.length) return `${winner} has the longer path`;
	if ((entry.methods === undefined) !== (selected.methods === undefined)) return `${winner} names the method`;
	return `${winner} is equally specific and stands later`;
}

function withoutUserInformation(url: URL): string {
	if (url.username === '' && url.password === '') return url.href;
	const copy = new URL(url);
	copy.username = '';
	copy.password = '';
	return copy.href;
}
