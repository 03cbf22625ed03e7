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
	const candidates = rules
		.flatMap(rule =>
			rule.patterns.map(pattern =>
				describe({pattern, methods: rule.methods, value: rule}, selected, url, method),
			),
		)
		.sort((a, b) => outcomes.indexOf(a.outcome) - outcomes.indexOf(b.outcome));
	const [first] = candidates;
	return {
		url: withoutUserInformation(url),
		method,
		...(first?.outcome === 'selected' && {
			rule: {match: first.match, strategy: first.strategy, source: first.source},
		}),
		candidates,
	};
}

const outcomes: readonly Candidate['outcome'][] = ['selected', 'less-specific', 'no-match'];

function describe(
	entry: Entry<HostRule>,
	selected: Entry<HostRule> | undefined,
	url: URL,
	method: string,
): Candidate {
	const {pattern, value: rule} = entry;
	const place = {match: pattern.text, strategy: rule.strategy, source: rule.source};
	const mismatch = whyNot(entry, url, method);
	if (mismatch !== undefined) return {...place, outcome: 'no-match', ...mismatch};
	if (selected !== undefined && selected.pattern === pattern) {
		return {
			...place,
			outcome: 'selected',
			reason: `${describePattern(pattern)} matches, and nothing more specific does`,
		};
	}
	return {...place, outcome: 'less-specific', reason: selected === undefined ? '' : compare(entry, selected)};
}

/** The first part of the pattern that differs, or `undefined` where all of it matches. */
function whyNot(entry: Entry<unknown>, url: URL, method: string): Mismatch | undefined {
	for (const mismatch of differing(entry, url, method)) return mismatch;
	return undefined;
}

/** What differs, with a clause for a person. */
export interface Mismatch {
	readonly differs: Difference;
	readonly reason: string;
}

/** Every part of the pattern that differs from a request. */
export function differencesOf(entry: Entry<unknown>, url: URL, method: string): Mismatch[] {
	return [...differing(entry, url, method)];
}

function* differing({pattern, methods}: Entry<unknown>, url: URL, method: string): Generator<Mismatch> {
	const host = withoutTrailingDot(url.hostname);
	if (`${pattern.scheme}:` !== url.protocol) {
		const reason = `the scheme is ${url.protocol.slice(0, -1)}, not ${pattern.scheme}`;
		yield {differs: 'scheme', reason};
	}
	if (pattern.kind === 'exact' && host !== pattern.host) {
		yield {differs: 'host', reason: `the host is ${host}, not ${pattern.host}`};
	}
	if (pattern.kind === 'wildcard' && !isBelow(host, pattern.host)) {
		yield {differs: 'host', reason: `${host} is not below ${pattern.host}`};
	}
	if (pattern.port !== '*' && pattern.port !== url.port) {
		const reason = `the port is ${url.port || 'the default'}, not ${pattern.port || 'the default'}`;
		yield {differs: 'port', reason};
	}
	const path = decodeUnreserved(url.pathname);
	if (pattern.path !== '' && path !== pattern.path && !path.startsWith(`${pattern.path}/`)) {
		yield {differs: 'path', reason: `the path ${path} is not ${pattern.path} or below it`};
	}
	if (methods !== undefined && !methods.includes(method)) {
		yield {differs: 'method', reason: `the method is ${method}, not ${methods.join(' or ')}`};
	}
}

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
