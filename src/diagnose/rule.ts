/** The first stage: which host rule the request has. */
import {diagnostic} from '../diagnostics/diagnostic.ts';
import {nearestRule} from '../host-rules/nearest.ts';
import type {Found, Subject} from './stage.ts';

/** Longer ones fill a line. The URL stands above in any case. */
const longestPath = 40;

export function lookAtRule(subject: Subject): Found {
	const {rule, route, strict} = subject;
	const trust = route?.trust?.source;
	if (rule === undefined) {
		const found = noRule(subject);
		return {
			evidence: {rule: 'none', ...(trust !== undefined && {trust})},
			// Many hosts want no credential: that is an error where the configuration says so, or the server.
			diagnostics: [strict ? diagnostic(found) : {...found, severity: 'note'}],
		};
	}
	const {match, strategy, source} = rule.info;
	return {
		evidence: {match, strategy, source, ...(trust !== undefined && {trust})},
		diagnostics: [],
	};
}

/** That no rule matches, and what the nearest one differs in. */
export function noRule({url, method, hostRules}: Subject): {
	code: 'no-rule-matches';
	what: string;
	hint: string;
} {
	const target = `${method} ${url.origin}${url.pathname.length > longestPath ? '/…' : url.pathname}`;
	const nearest = nearestRule(hostRules, url, method);
	if (nearest === undefined) {
		return {
			code: 'no-rule-matches',
			what: `No host rule matches ${target}, so nothing is shown to it; none comes near`,
			hint: "Add one under 'hostRules', if the server wants a credential",
		};
	}
	const {pattern, rule, differences} = nearest;
	return {
		code: 'no-rule-matches',
		what: `No host rule matches ${target}, so nothing is shown to it. The nearest is ${pattern} (${rule.source}): ${differences.join(', and ')}`,
		hint: 'Correct that rule or the URL, or add a rule',
	};
}
