/** The choice of a rule: each sentence of the design, and an oracle that looks at every rule for every URL. */
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {explain} from '../../src/host-rules/explain.ts';
import type {HostRule} from '../../src/host-rules/host-rule.ts';
import {Matcher} from '../../src/host-rules/matcher.ts';
import {parsePattern} from '../../src/host-rules/pattern.ts';

interface Written {
	readonly match: string | readonly string[];
	readonly methods?: readonly string[];
}

function rulesOf(written: readonly (string | Written)[]): HostRule[] {
	return written.map((entry, index) => {
		const {match, methods} = typeof entry === 'string' ? {match: entry} : entry;
		return {
			index,
			patterns: [match].flat().map(parsePattern),
			methods,
			strategy: 'none',
			options: {},
			allowInsecure: true,
			source: `rules:${index}`,
		};
	});
}

function matcherOf(rules: readonly HostRule[]): Matcher<HostRule> {
	return new Matcher(
		rules.flatMap(rule => rule.patterns.map(pattern => ({pattern, methods: rule.methods, value: rule}))),
	);
}

/** The index of the rule chosen for the URL, or `undefined`. */
function choose(written: readonly (string | Written)[], url: string, method = 'GET'): number | undefined {
	return matcherOf(rulesOf(written)).find(new URL(url), method)?.value.index;
}

describe('whether a pattern matches', () => {
	test.each<[string, string, boolean]>([
		['api.example.org', 'https://api.example.org/', true],
		['api.example.org', 'http://api.example.org/', false],
		['http://api.example.org', 'https://api.example.org/', false],
		['http://api.example.org:443', 'https://api.example.org/', false],
		['api.example.org', 'https://www.api.example.org/', false],
		['api.example.org', 'https://API.EXAMPLE.ORG/', true],
		['api.example.org', 'https://api.example.org./', true],
		['api.example.org.', 'https://api.example.org/', true],
		['bücher.example', 'https://xn--bcher-kva.example/', true],
		['xn--bcher-kva.example', 'https://bücher.example/', true],
		['127.0.0.1', 'https://0x7f.1/', true],
		['0x7f.1', 'https://127.0.0.1/', true],
		['[0:0::1]', 'https://[::1]/', true],
		['*.example.org', 'https://api.example.org/', true],
		['*.example.org', 'https://deep.down.api.example.org/', true],
		['*.example.org', 'https://api.example.org./', true],
		['*.example.org', 'https://example.org/', false],
		['*.example.org', 'https://badexample.org/', false],
		['*.example.org', 'https://example.org.evil.test/', false],
		['*', 'https://anything.test/', true],
		['*', 'https://[::1]/', true],
		['*', 'http://anything.test/', false],
		['*', 'https://anything.test:8443/', false],
		['api.example.org', 'https://api.example.org:8443/', false],
		['api.example.org', 'https://api.example.org:443/', true],
		['api.example.org:443', 'https://api.example.org/', true],
		['api.example.org:8443', 'https://api.example.org:8443/', true],
		['api.example.org:8443', 'https://api.example.org/', false],
		['api.example.org:*', 'https://api.example.org/', true],
		['api.example.org:*', 'https://api.example.org:8443/', true],
		['api.example.org/agg', 'https://api.example.org/agg', true],
		['api.example.org/agg', 'https://api.example.org/agg/', true],
		['api.example.org/agg', 'https://api.example.org/agg/x?y#z', true],
		['api.example.org/agg', 'https://api.example.org/aggregate', false],
		['api.example.org/agg', 'https://api.example.org/', false],
		['api.example.org/agg', 'https://api.example.org/x/agg', false],
		['api.example.org/agg', 'https://api.example.org/AGG', false],
		['api.example.org/agg', 'https://api.example.org//agg', false],
		['api.example.org/agg', 'https://api.example.org/%61gg/x', true],
		['api.example.org/agg', 'https://api.example.org/agg%2Fx', false],
		['api.example.org/agg', 'https://api.example.org/x/../agg', true],
		['api.example.org/agg', 'https://api.example.org/agg/../x', false],
		['api.example.org/agg/', 'https://api.example.org/agg', true],
		['api.example.org', 'https://alice:secret@api.example.org/', true],
		['*', 'ftp://anything.test/', false],
	])('%s for %s: %s', (pattern, url, expected) => {
		expect(choose([pattern], url) !== undefined).toBe(expected);
	});

	test('methods narrow it', () => {
		const written = [{match: 'api.example.org', methods: ['GET', 'HEAD']}];
		expect(choose(written, 'https://api.example.org/', 'HEAD')).toBe(0);
		expect(choose(written, 'https://api.example.org/', 'POST')).toBeUndefined();
	});

	test('any pattern of a list will do', () => {
		const written = [{match: ['a.example.org', 'b.example.org']}];
		expect(choose(written, 'https://b.example.org/')).toBe(0);
	});
});

describe('the more specific rule wins, wherever it stands', () => {
	const cases: [string, string | Written, string | Written, string][] = [
		['exact host over wildcard', 'api.example.org', '*.example.org', 'https://api.example.org/'],
		[
			'exact host over wildcard with port, path and methods',
			'a.example.org:*',
			{match: '*.example.org/x/y', methods: ['GET']},
			'https://a.example.org/x/y',
		],
		['wildcard over every host', '*.example.org', '*', 'https://api.example.org/'],
		[
			'longer wildcard suffix over shorter',
			'*.b.example.org',
			'*.example.org/x',
			'https://a.b.example.org/x',
		],
		['explicit port over any', 'a.example.org:8443', 'a.example.org:*/x/y', 'https://a.example.org:8443/x/y'],
		['default port over any', 'a.example.org', 'a.example.org:*/x', 'https://a.example.org/x'],
		[
			'longer path over shorter',
			'a.example.org/x/y',
			{match: 'a.example.org/x', methods: ['GET']},
			'https://a.example.org/x/y/z',
		],
		[
			'with methods over without',
			{match: 'a.example.org', methods: ['GET']},
			'a.example.org',
			'https://a.example.org/',
		],
	];
	test.each(cases)('%s', (_, specific, general, url) => {
		expect(choose([specific, general], url)).toBe(0);
		expect(choose([general, specific], url)).toBe(1);
	});

	test('what is equal goes to the later one', () => {
		expect(choose(['a.example.org', 'A.example.org.:443/'], 'https://a.example.org/')).toBe(1);
		const byMethod = [
			{match: 'a.example.org', methods: ['GET']},
			{match: 'a.example.org', methods: ['GET', 'POST']},
		];
		expect(choose(byMethod, 'https://a.example.org/', 'GET')).toBe(1);
		expect(choose(byMethod.toReversed(), 'https://a.example.org/', 'POST')).toBe(0);
	});

	test('one that does not match leaves the next best', () => {
		const written = [{match: 'a.example.org/x', methods: ['POST']}, 'a.example.org/x/y', '*.example.org'];
		expect(choose(written, 'https://a.example.org/x')).toBe(2);
	});
});

// The oracle works on the parts that patterns and URLs are made of here, not on what the code makes of them.

interface PatternParts {
	readonly scheme: 'http' | 'https';
	readonly kind: 'exact' | 'wildcard' | 'any';
	readonly labels: readonly string[];
	readonly port: number | '*' | undefined;
	readonly segments: readonly string[];
	readonly methods: readonly string[] | undefined;
}

interface UrlParts {
	readonly scheme: 'http' | 'https';
	readonly labels: readonly string[];
	readonly port: number | undefined;
	readonly segments: readonly string[];
	readonly method: string;
}

const scheme = fc.constantFrom('http' as const, 'https' as const);
const labels = fc.array(fc.constantFrom('a', 'b', 'ü'), {minLength: 1, maxLength: 4});
const segments = fc.array(fc.constantFrom('x', 'xy', 'z~', 'ä'), {maxLength: 3});
const port = fc.constantFrom(80, 443, 8443, undefined);
const methods = fc.uniqueArray(fc.constantFrom('GET', 'POST'), {minLength: 1});

const patternParts: fc.Arbitrary<PatternParts> = fc.record({
	scheme,
	kind: fc.constantFrom('exact', 'wildcard', 'any'),
	labels,
	port: fc.oneof(port, fc.constant('*' as const)),
	segments,
	methods: fc.option(methods, {nil: undefined}),
});
const urlParts: fc.Arbitrary<UrlParts> = fc.record({
	scheme,
	labels,
	port,
	segments,
	method: fc.constantFrom('GET', 'POST', 'PUT'),
});

function matches(pattern: PatternParts, url: UrlParts): boolean {
	const defaultPort = url.scheme === 'https' ? 443 : 80;
	const below = url.labels.slice(-pattern.labels.length).join() === pattern.labels.join();
	return (
		pattern.scheme === url.scheme &&
		(pattern.kind === 'any' ||
			(below && (pattern.kind === 'exact') === (url.labels.length === pattern.labels.length))) &&
		(pattern.port === '*' || (pattern.port ?? defaultPort) === (url.port ?? defaultPort)) &&
		pattern.segments.every((segment, index) => url.segments[index] === segment) &&
		(pattern.methods === undefined || pattern.methods.includes(url.method))
	);
}

/** Larger is more specific; compared from left to right. */
function specificity({kind, labels, port, segments, methods}: PatternParts): number[] {
	return [
		{any: 0, wildcard: 1, exact: 2}[kind],
		kind === 'any' ? 0 : labels.length,
		port === '*' ? 0 : 1,
		segments.length,
		methods === undefined ? 0 : 1,
	];
}

function chosenByOracle(patterns: readonly PatternParts[], url: UrlParts): number | undefined {
	let best: number | undefined;
	for (const [index, pattern] of patterns.entries()) {
		if (!matches(pattern, url)) continue;
		const bestSoFar = best === undefined ? undefined : patterns[best];
		if (bestSoFar === undefined || !isLess(specificity(pattern), specificity(bestSoFar))) best = index;
	}
	return best;
}

function isLess(a: readonly number[], b: readonly number[]): boolean {
	const difference = a.map((value, index) => value - (b[index] ?? 0)).find(value => value !== 0);
	return difference !== undefined && difference < 0;
}

function writePattern({scheme, kind, labels, port, segments}: PatternParts): string {
	const host = {exact: labels.join('.'), wildcard: `*.${labels.join('.')}`, any: '*'}[kind];
	return `${scheme}://${host}${port === undefined ? '' : `:${port}`}/${segments.join('/')}`;
}

/** The same URL in one of the ways to write it. */
function writeUrl({scheme, labels, port, segments}: UrlParts, style: number): URL {
	const host = labels.join('.') + (style % 2 === 0 ? '' : '.');
	const path = segments.join('/') + (style % 3 === 0 && segments.length > 0 ? '/' : '');
	const encoded = style % 5 === 0 ? path.replaceAll('~', '%7e').replaceAll('x', '%78') : path;
	const authority = `${style % 7 === 0 ? host.toUpperCase() : host}${port === undefined ? '' : `:${port}`}`;
	return new URL(`${scheme}://${authority}/${encoded}${style % 11 === 0 ? '?q=/x' : ''}`);
}

test.each<[string, boolean, readonly (string | Written)[]]>([
	['no rule', true, []],
	['one for the host', true, ['a.example.org']],
	['one for hosts below another', true, ['*.example.org', 'b.example.org']],
	['one for a path', false, ['a.example.org/x']],
	['one for a path of all hosts, behind one for the host', true, ['a.example.org', '*/x']],
	['one for the host, and one for a path of it', false, ['a.example.org', 'a.example.org/x']],
	['one for some methods', false, [{match: 'a.example.org', methods: ['GET']}]],
	[
		'one for some methods of hosts below, before one for all',
		false,
		['*', {match: '*.example.org', methods: ['GET']}],
	],
])('whether one entry is for all of an origin: %s: %s', (_, isForAll, rules) => {
	const found = matcherOf(rulesOf(rules)).findForAll(new URL('https://a.example.org/x/y'));
	expect(found !== undefined).toBe(isForAll);
});

test('find chooses as an oracle that looks at every rule, and explain agrees', () => {
	fc.assert(
		fc.property(
			fc.array(patternParts, {maxLength: 12}),
			fc.array(fc.tuple(urlParts, fc.nat(1000)), {minLength: 1, maxLength: 8}),
			(patterns, urls) => {
				const rules = rulesOf(
					patterns.map(parts => ({
						match: writePattern(parts),
						...(parts.methods !== undefined && {methods: parts.methods}),
					})),
				);
				const matcher = matcherOf(rules);
				for (const [parts, style] of urls) {
					const url = writeUrl(parts, style);
					const expected = chosenByOracle(patterns, parts);
					expect(matcher.find(url, parts.method)?.value.index).toBe(expected);
					const forAll = matcher.findForAll(url);
					if (forAll !== undefined) expect(forAll.entry?.value.index).toBe(expected);

					const {rule, candidates} = explain(rules, matcher, url, parts.method);
					expect(rule?.source).toBe(expected === undefined ? undefined : `rules:${expected}`);
					expect(candidates).toHaveLength(rules.length);
					for (const {source, outcome, reason} of candidates) {
						const index = Number(source.split(':')[1]);
						const pattern = patterns[index];
						const isMatch = pattern !== undefined && matches(pattern, parts);
						expect(outcome).toBe(index === expected ? 'selected' : isMatch ? 'less-specific' : 'no-match');
						expect(reason).not.toBe('');
					}
				}
			},
		),
		{numRuns: 1500},
	);
});
