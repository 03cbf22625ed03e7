/** Host rules of several kinds, in any number, with URLs that they match: for the rows about choosing a rule. */

/** One kind of rule. URLs are those of the rule with the same index. */
export interface RuleKind {
	readonly name: string;
	match(index: number): string;
	url(index: number): string;
}

export const ruleKinds: readonly RuleKind[] = [
	{
		name: 'exact host',
		match: index => `https://host-${index}.example.org`,
		url: index => `https://host-${index}.example.org/api/runs?limit=10`,
	},
	{
		name: 'wildcard',
		match: index => `https://*.zone-${index}.example.org`,
		url: index => `https://node.rack.zone-${index}.example.org/api/runs`,
	},
	{
		name: 'deep path',
		match: index => `https://host-${index}.example.org/api/v1/service/data`,
		url: index => `https://host-${index}.example.org/api/v1/service/data/a/b/c/d/e/f.json`,
	},
	{
		name: 'many paths on one host',
		match: index => `https://gateway.example.org/application-${index}`,
		url: index => `https://gateway.example.org/application-${index}/runs/2026/summary`,
	},
	{
		name: 'no match',
		match: index => `https://*.zone-${index}.example.org/api`,
		url: index => `https://node.rack.other-${index}.example.net/api/runs`,
	},
];

/** How many URLs are asked for in turn: as many for a small set of rules as for a large one. */
const urlCount = 1000;

/** URLs, parsed beforehand, that fall on rules from all over the set. */
export function urlsFor(kind: RuleKind, rules: number): URL[] {
	// A step that shares no factor with the set's size, so that every URL falls on another rule while there are some.
	const step = 7919;
	return Array.from({length: urlCount}, (_, index) => new URL(kind.url((index * step) % rules)));
}
