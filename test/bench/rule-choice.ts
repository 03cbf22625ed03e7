/** Choosing a rule among 10,000 against among 10: `Matcher.find`, which every hop goes through. */
import {performance} from 'node:perf_hooks';
import type * as matcherModule from '../../src/host-rules/matcher.ts';
import type * as patternModule from '../../src/host-rules/pattern.ts';
import {loadPart} from './part.ts';
import {count, type Row, spread, verdictOf} from './report.ts';
import {type RuleKind, ruleKinds, urlsFor} from './rule-sets.ts';
import {medianOf, summarise} from './statistics.ts';

const few = 10;
const many = 10_000;
const rounds = 41;
const lookupsInRound = 20_000;
const largestRatio = 1.5;
const smallestRate = 1_000_000;

export async function measureRuleChoice(): Promise<Row[]> {
	const {Matcher} = await loadPart<typeof matcherModule>('src/host-rules/matcher.ts');
	const {parsePattern} = await loadPart<typeof patternModule>('src/host-rules/pattern.ts');

	/** Nanoseconds for one look-up, by a function that measures one round of them. */
	const prepare = (kind: RuleKind, rules: number): (() => number) => {
		const entries = Array.from({length: rules}, (_, index) => ({
			pattern: parsePattern(kind.match(index)),
			value: index,
		}));
		const matcher = new Matcher(entries);
		const urls = urlsFor(kind, rules);
		const expected = kind.name === 'no match' ? 0 : urls.length;
		const found = urls.filter(url => matcher.find(url, 'GET') !== undefined).length;
		if (found !== expected) throw new Error(`${kind.name}: ${found} of ${urls.length} URLs have a rule`);
		return () => {
			const start = performance.now();
			for (let index = 0; index < lookupsInRound; index++) {
				matcher.find(urls[index % urls.length] as URL, 'GET');
			}
			return ((performance.now() - start) / lookupsInRound) * 1e6;
		};
	};

	// All are made before any is measured, so that the compiled code is the same for all.
	const prepared = ruleKinds.map(kind => ({
		kind,
		among: {few: prepare(kind, few), many: prepare(kind, many)},
	}));
	for (const {among} of prepared) for (let round = 0; round < 5; round++) among.few() + among.many();
	return prepared.map(({kind, among}) => {
		const inFew: number[] = [];
		const inMany: number[] = [];
		for (let round = 0; round < rounds; round++) {
			inFew.push(among.few());
			inMany.push(among.many());
		}
		const ratio = summarise(inMany.map((value, index) => value / (inFew[index] as number)));
		const [fewTime, manyTime] = [medianOf(inFew), medianOf(inMany)];
		const rate = 1e9 / manyTime;
		return {
			group: 'rules',
			name: `a rule among 10,000, by ${kind.name}`,
			target: `at most ${largestRatio} x, ${count(smallestRate)}/s`,
			measured: `${spread(ratio)} x, ${count(rate)}/s`,
			ours: `${manyTime.toFixed(0)} ns`,
			theirs: `${fewTime.toFixed(0)} ns among 10`,
			verdict: verdictOf(ratio.median <= largestRatio && rate >= smallestRate),
			figures: {ratio, nanosecondsAmong10000: manyTime, nanosecondsAmong10: fewTime, perSecond: rate},
		};
	});
}
