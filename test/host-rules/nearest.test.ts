/** Which rule comes nearest to a request that none matches, and what is told to differ. */
import {expect, test} from 'vitest';
import type {HostRule} from '../../src/host-rules/host-rule.ts';
import {nearestRule} from '../../src/host-rules/nearest.ts';
import {parsePattern} from '../../src/host-rules/pattern.ts';

const rule = (match: string, methods?: string[]): HostRule => ({
	...{index: 0, strategy: 'none', options: {}, allowInsecure: true, source: 'test'},
	patterns: [parsePattern(match)],
	methods,
});

const rules = [
	rule('https://api.example.org/runs', ['POST']),
	rule('https://api.example.org:8443'),
	rule('https://*.lab.example.org'),
	rule('https://127.0.0.1:8443'),
	rule('https://elsewhere.test'),
];

test.each([
	['https://api.example.org/runs', 'https://api.example.org/runs', ['the method is GET, not POST']],
	['https://api.example.org:9443/', 'https://api.example.org:8443', ['the port is 9443, not 8443']],
	['http://api.example.org:8443/', 'https://api.example.org:8443', ['the scheme is http, not https']],
	['https://lab.example.org/', 'https://*.lab.example.org', ['lab.example.org is not below lab.example.org']],
	['https://api2.example.com/', undefined, []],
	['https://127.0.0.2:8443/', undefined, []],
] as const)('%s', (url, match, differences) => {
	const found = nearestRule(rules, new URL(url), 'GET');
	expect(found?.pattern).toBe(match);
	expect(found?.differences ?? []).toEqual(differences);
});
