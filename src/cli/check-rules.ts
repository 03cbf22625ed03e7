/** Does one rule silently take another's place? */

import {warning} from '../diagnostics/diagnostic.ts';
import type {HostRule} from '../host-rules/host-rule.ts';
import type {Pattern} from '../host-rules/pattern.ts';
import {type Finding, told} from './finding.ts';
import {shortPath} from './output.ts';

interface Claim {
	readonly pattern: Pattern;
	readonly rule: HostRule;
}

/** Every pattern that is as specific as one of a later rule, which therefore wins. */
export function checkRules(rules: readonly HostRule[]): Finding[] {
	const findings: Finding[] = [];
	const earlier = new Map<string, Claim[]>();
	for (const rule of rules) {
		for (const pattern of rule.patterns) {
			const {scheme, kind, host, port, path} = pattern;
			const key = JSON.stringify([scheme, kind, host, port, path, rule.methods === undefined]);
			const claims = earlier.get(key) ?? [];
			for (const claim of claims) {
				const finding = claim.rule === rule ? undefined : describe(claim, {pattern, rule});
				if (finding !== undefined) findings.push(finding);
			}
			earlier.set(key, [...claims, {pattern, rule}]);
		}
	}
	return findings;
}

function describe(loser: Claim, winner: Claim): Finding | undefined {
	const shared = loser.rule.methods?.filter(method => winner.rule.methods?.includes(method));
	if (shared !== undefined && shared.length === 0) return undefined;
	const methods = shared === undefined ? '' : ` (${shared.join(', ')})`;
	return told(
		'rules',
		warning({
			code: 'rule-never-wins',
			what: `The rule for ${loser.pattern.text}${methods} never wins: the one for ${winner.pattern.text} at ${shortPath(winner.rule.source)} is equally specific and stands later`,
			hint: 'Take one of the two out, or make one more specific',
			where: loser.rule.source,
		}),
	);
}
