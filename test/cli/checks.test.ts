import {describe, expect, test} from 'vitest';
import {checkClock, compareClocks} from '../../src/cli/check-clock.ts';
import {checkNode} from '../../src/cli/check-node.ts';
import {checkRules} from '../../src/cli/check-rules.ts';
import type {HostRule} from '../../src/host-rules/host-rule.ts';
import {parsePattern} from '../../src/host-rules/pattern.ts';

describe("Node's version", () => {
	test.each([
		['20.19.2', 'failed', '22.19.0'],
		['22.18.9', 'failed', '22.19.0'],
		['22.19.0', 'warning', '22.23.2'],
		['22.23.1', 'warning', '22.23.2'],
		['22.23.2', 'ok', undefined],
		['22.24.0', 'ok', undefined],
		['23.11.0', 'warning', '24.18.1'],
		['24.18.0', 'warning', '24.18.1'],
		['24.18.1-rc.1', 'warning', '24.18.1'],
		['24.18.1', 'ok', undefined],
		['24.19.0', 'ok', undefined],
		['25.9.0', 'warning', '26.5.1'],
		['26.5.0', 'warning', '26.5.1'],
		['26.5.1', 'ok', undefined],
		['27.0.0', 'ok', undefined],
	])('%s: %s', (version, outcome, wanted) => {
		const finding = checkNode(version);
		expect(finding.outcome).toBe(outcome);
		if (wanted !== undefined) expect(finding.hint).toBe(`Install Node ${wanted} or later`);
		if (outcome !== 'failed') expect(finding.what).toContain('CVE-2026-56850 and CVE-2026-58040');
	});
});

describe('the clock', () => {
	const now = Date.UTC(2027, 5, 1);

	test('before the first release it is wrong', () => {
		expect(checkClock([], Date.UTC(2020, 0, 1)).outcome).toBe('failed');
		expect(checkClock([], now).outcome).toBe('ok');
	});

	test.each([
		[0, 'ok'],
		[20, 'ok'],
		[-60, 'warning'],
		[60, 'warning'],
		[301, 'failed'],
		[-301, 'failed'],
	])('%i seconds off: %s', (seconds, outcome) => {
		const date = new Date(now + seconds * 1000).toUTCString();
		expect(compareClocks(date, now, 'https://a.example.org/')?.outcome).toBe(outcome);
	});

	test('a date that is none tells nothing', () => {
		expect(compareClocks('yesterday', now, 'https://a.example.org/')).toBeUndefined();
	});
});

describe('rules that replace each other', () => {
	const rules = (...written: [match: string, ...methods: string[]][]): HostRule[] =>
		written.map(([match, ...methods], index) => ({
			index,
			patterns: [parsePattern(match)],
			methods: methods.length > 0 ? methods : undefined,
			strategy: 'none',
			options: {},
			allowInsecure: false,
			source: `rules:${index}`,
		}));

	test.each([
		['the same host', [['https://a.example'], ['https://A.example.:443/']], 1],
		['three of them', [['https://a.example'], ['https://a.example'], ['https://a.example']], 3],
		['another host', [['https://a.example'], ['https://b.example']], 0],
		['a wildcard beside its host', [['https://*.a.example'], ['https://a.example']], 0],
		['another path', [['https://a.example/x'], ['https://a.example']], 0],
		['another scheme', [['http://a.example'], ['https://a.example']], 0],
		['any port beside the default one', [['https://a.example'], ['https://a.example:*']], 0],
		['methods beside none', [['https://a.example', 'GET'], ['https://a.example']], 0],
		[
			'methods that differ',
			[
				['https://a.example', 'GET'],
				['https://a.example', 'POST'],
			],
			0,
		],
		[
			'methods that overlap',
			[
				['https://a.example', 'GET', 'PUT'],
				['https://a.example', 'PUT'],
			],
			1,
		],
	] as [string, [string, ...string[]][], number][])('%s', (_name, written, expected) => {
		expect(checkRules(rules(...written))).toHaveLength(expected);
	});

	test('the methods that are lost are named', () => {
		const [finding] = checkRules(rules(['https://a.example', 'GET', 'PUT'], ['https://a.example', 'PUT']));
		expect(finding).toMatchObject({
			where: 'rules:0',
			what: 'The rule for https://a.example (PUT) never wins: the one for https://a.example at rules:1 is equally specific and stands later',
		});
	});
});
