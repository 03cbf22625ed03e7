/** The memory of a host rule, from the difference between 10,000 rules and 10, so that what is there once does not count. */
import {startChild} from './child.ts';
import {count, type Row, verdictOf} from './report.ts';
import type {MemoryQuestion} from './rule-memory-probe.ts';

const few = 10;
const many = 10_000;
const largest = 2048;

export async function measureRuleMemory(): Promise<Row[]> {
	return [
		await measure('matcher', 'memory of a rule: the index and its pattern', true),
		await measure('configuration', 'memory of a rule: all of createGatepass', true),
		await measure('in use', 'the same, with the strategy of every rule built', false),
	];
}

async function measure(what: MemoryQuestion['what'], name: string, hasTarget: boolean): Promise<Row> {
	const {child} = await startChild('rule-memory-probe.ts', null, ['--expose-gc']);
	try {
		// What is loaded and compiled at the first use stays; that is not the rules'.
		await child.ask({rules: few, what});
		const ofFew = await child.ask<number>({rules: few, what});
		const ofMany = await child.ask<number>({rules: many, what});
		const bytes = (ofMany - ofFew) / (many - few);
		return {
			group: 'rules',
			name,
			target: hasTarget ? `at most ${count(largest)} B` : '',
			measured: `${count(bytes)} B`,
			ours: `${(ofMany / 1e6).toFixed(1)} MB for 10,000`,
			theirs: `${(ofFew / 1e6).toFixed(2)} MB for 10`,
			verdict: hasTarget ? verdictOf(bytes <= largest) : 'no target',
			figures: {bytesPerRule: bytes, bytesOf10000: ofMany, bytesOf10: ofFew},
		};
	} finally {
		await child.close();
	}
}
