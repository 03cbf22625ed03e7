/** What `explain` says of each rule. */
import {expect, test} from 'vitest';
import {explain, nearestOf} from '../../src/host-rules/explain.ts';
import type {HostRule} from '../../src/host-rules/host-rule.ts';
import {Matcher} from '../../src/host-rules/matcher.ts';
import {parsePattern} from '../../src/host-rules/pattern.ts';

function explainFor(written: readonly {match: string[]; methods?: string[]}[], url: string, method = 'GET') {
	const rules: HostRule[] = written.map(({match, methods}, index) => ({
		index,
		patterns: match.map(parsePattern),
		methods,
		strategy: `strategy-${index}`,
		options: {secret: 'hunter2'},
		allowInsecure: false,
		source: `gatepass.config.yaml:${index + 2}`,
	}));
	const entries = rules.flatMap(rule =>
		rule.patterns.map(pattern => ({pattern, methods: rule.methods, value: rule})),
	);
	return explain(rules, new Matcher(entries), new URL(url), method);
}

test('names the rule, and of every other pattern the reason', () => {
	const explanation = explainFor(
		[
			{match: ['*']},
			{match: ['other.example.org', '*.example.org']},
			{match: ['api.example.org/agg'], methods: ['POST', 'PUT']},
			{match: ['api.example.org:8443']},
			{match: ['api.example.org/aggregate']},
			{match: ['http://api.example.org']},
			{match: ['api.example.org']},
			{match: ['API.example.org:443']},
		],
		'https://alice:hunter2@api.example.org/agg/x',
	);
	expect(explanation).toEqual({
		url: 'https://api.example.org/agg/x',
		method: 'GET',
		rule: {match: 'API.example.org:443', strategy: 'strategy-7', source: 'gatepass.config.yaml:9'},
		candidates: [
			candidate(
				7,
				'API.example.org:443',
				'selected',
				'the exact host matches, and nothing more specific does',
			),
			candidate(
				0,
				'*',
				'less-specific',
				'API.example.org:443 (gatepass.config.yaml:9) names the host more exactly',
			),
			candidate(
				1,
				'*.example.org',
				'less-specific',
				'API.example.org:443 (gatepass.config.yaml:9) names the host more exactly',
			),
			candidate(
				6,
				'api.example.org',
				'less-specific',
				'API.example.org:443 (gatepass.config.yaml:9) is equally specific and stands later',
			),
			candidate(
				1,
				'other.example.org',
				'no-match',
				'the host is api.example.org, not other.example.org',
				'host',
			),
			candidate(2, 'api.example.org/agg', 'no-match', 'the method is GET, not POST or PUT', 'method'),
			candidate(3, 'api.example.org:8443', 'no-match', 'the port is the default, not 8443', 'port'),
			candidate(
				4,
				'api.example.org/aggregate',
				'no-match',
				'the path /agg/x is not /aggregate or below it',
				'path',
			),
			candidate(5, 'http://api.example.org', 'no-match', 'the scheme is https, not http', 'scheme'),
		],
	});
});

function candidate(index: number, match: string, outcome: string, reason: string, differs?: string) {
	const place = {match, strategy: `strategy-${index}`, source: `gatepass.config.yaml:${index + 2}`};
	return {...place, outcome, reason, ...(differs && {differs})};
}

test.each<[string, {match: string[]; methods?: string[]}, {match: string[]; methods?: string[]}, string]>([
	[
		'a longer wildcard suffix',
		{match: ['*.b.example.org']},
		{match: ['*.example.org']},
		'has the longer wildcard suffix',
	],
	['a port', {match: ['a.b.example.org']}, {match: ['a.b.example.org:*']}, 'names the port'],
	['a longer path', {match: ['a.b.example.org/x']}, {match: ['a.b.example.org']}, 'has the longer path'],
	[
		'a method',
		{match: ['a.b.example.org'], methods: ['GET']},
		{match: ['a.b.example.org']},
		'names the method',
	],
])('says that %s decided', (_, specific, general, reason) => {
	const {candidates} = explainFor([specific, general], 'https://a.b.example.org/x');
	expect(candidates[1]).toMatchObject({outcome: 'less-specific', reason: expect.stringContaining(reason)});
});

test('says so where no rule matches', () => {
	const explanation = explainFor([{match: ['*.example.org']}], 'https://example.org/', 'POST');
	expect(explanation.rule).toBeUndefined();
	expect(explanation.candidates).toEqual([
		candidate(0, '*.example.org', 'no-match', 'example.org is not below example.org', 'host'),
	]);
});

test('of 10,000 rules, those that come nearest are found: for the same host, in little else another', () => {
	const written = Array.from({length: 10_000}, (_, index) => ({
		match: [index % 2 === 0 ? `host-${index}.example.org` : `api.example.org/runs/${index}`],
	}));
	written.push({match: ['api.example.org:8443/runs/45']}, {match: ['http://api.example.org/runs/451']});
	const {candidates, rule} = explainFor(written, 'https://api.example.org/runs/451/events');
	expect(rule?.match).toBe('api.example.org/runs/451');
	expect(candidates).toHaveLength(10_002);
	const near = nearestOf(candidates, 7);
	expect(near.map(({match, reason}) => [match, reason])).toEqual([
		...[4511, 4513, 4515, 4517, 4519].map(run => [
			`api.example.org/runs/${run}`,
			`the path /runs/451/events is not /runs/${run} or below it`,
		]),
		['http://api.example.org/runs/451', 'the scheme is https, not http'],
		['api.example.org/runs/45', 'the path /runs/451/events is not /runs/45 or below it'],
	]);
	// Half of them are for another host, one is chosen, and one differs in two parts.
	expect(nearestOf(candidates, 20_000).at(-1)?.match).toBe('api.example.org:8443/runs/45');
	expect(nearestOf(candidates, 20_000)).toHaveLength(5001);
});
