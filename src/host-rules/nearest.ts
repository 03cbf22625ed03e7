/** The rule that comes nearest to a request which none matches: most likely the one that was meant. */
import {type Asked, askedOf, differencesOf, differingParts} from './explain.ts';
import type {HostRule} from './host-rule.ts';
import type {Pattern} from './pattern.ts';

export interface Nearest {
	readonly rule: HostRule;
	/** As written. */
	readonly pattern: string;
	/** A clause each: `the port is 8443, not the default`. */
	readonly differences: readonly string[];
}

/** `undefined` where no rule has more than its scheme in common with the request. */
export function nearestRule(rules: readonly HostRule[], url: URL, method: string): Nearest | undefined {
	const asked = askedOf(url, method);
	let best: {near: number; rule: HostRule; pattern: Pattern} | undefined;
	for (const rule of rules) {
		for (const pattern of rule.patterns) {
			const near = nearness(pattern, rule, asked);
			if (near > (best?.near ?? 0)) best = {near, rule, pattern};
		}
	}
	if (best === undefined) return undefined;
	const {rule, pattern} = best;
	const entry = {pattern, methods: rule.methods, value: rule};
	return {rule, pattern: pattern.text, differences: differencesOf(entry, asked)};
}

/** The host counts most, then in how little the rest differs; 0: another host, which has no name above it in common. */
function nearness(pattern: Pattern, {methods}: HostRule, asked: Asked): number {
	const differences = differingParts({pattern, methods, value: undefined}, asked);
	const isSameHost = !differences.includes('host');
	if (isSameHost && pattern.kind !== 'any')
		return 1000 - 10 * differences.length + pattern.path.length / 1000;
	const common = commonLabels(pattern.host, asked.host);
	// `ch`, or `co.uk`, is no kinship.
	return common < 2 ? 0 : 10 * common - differences.length;
}

function commonLabels(one: string, other: string): number {
	if (/^[\d.]+$|^\[/.test(one)) return 0;
	const [a, b] = [one, other].map(host => host.split('.').reverse()) as [string[], string[]];
	const first = a.findIndex((label, index) => label !== b[index]);
	return first === -1 ? a.length : first;
}
