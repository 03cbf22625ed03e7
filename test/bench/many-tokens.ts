/** 100,000 tokens in memory: a warm look-up among them beside one among 10, and what a token takes. */
import {type Child, startChild} from './child.ts';
import type {ManyTokensQuestion} from './many-tokens-probe.ts';
import {count, type Row, spread, verdictOf} from './report.ts';
import {medianOf, type Summary, summarise} from './statistics.ts';

const few = 10;
const many = 100_000;
/** Characters of a JSON Web Token with a few claims, signed with RS256. */
const length = 1000;
const rounds = 21;
const calls = 20_000;
const largestRatio = 2;

export async function measureManyTokens(): Promise<Row[]> {
	const {child} = await startChild('many-tokens-probe.ts', null, ['--expose-gc']);
	const ask = (question: ManyTokensQuestion): Promise<number> => child.ask<number>(question);
	try {
		// What is loaded and compiled at the first use stays; that is not the tokens'.
		await ask({does: 'fill', size: few, length, store: 'memory'});
		const inMemory = await ask({does: 'fill', size: many, length, store: 'memory'});
		const elsewhere = await ask({does: 'fill', size: many, length, store: 'elsewhere'});
		return [...(await lookUpRows(child)), memoryRow(inMemory, elsewhere)];
	} finally {
		await child.close();
	}
}

async function lookUpRows(child: Child): Promise<Row[]> {
	const lookUp = {does: 'look up', calls} as const;
	const sameTen = await compare(
		child,
		{...lookUp, size: many, used: few, among: 'cache'},
		{...lookUp, size: few, used: few, among: 'cache'},
	);
	// What is not in the processor's caches takes its time, whoever asks for it: beside the least that there is.
	const all = await compare(
		child,
		{...lookUp, size: many, used: many, among: 'cache'},
		{...lookUp, size: many, used: many, among: 'map'},
	);
	return [
		{
			...rowOf('a warm token among 100,000, the same ten in turn', sameTen),
			target: `at most ${largestRatio} x`,
			theirs: `${sameTen.theirs.toFixed(0)} ns among 10`,
			verdict: verdictOf(sameTen.ratio.median <= largestRatio),
		},
		{
			...rowOf('a warm token among 100,000, all of them in turn', all),
			target: '',
			theirs: `${all.theirs.toFixed(0)} ns for Map.get of 100,000 promises`,
			verdict: 'no target',
		},
	];
}

/** Nanoseconds for a look-up, and the ratio of rounds that stood beside each other. */
interface Comparison {
	readonly ratio: Summary;
	readonly ours: number;
	readonly theirs: number;
}

async function compare(
	child: Child,
	ourQuestion: ManyTokensQuestion,
	theirQuestion: ManyTokensQuestion,
): Promise<Comparison> {
	const ours: number[] = [];
	const theirs: number[] = [];
	for (let round = -3; round < rounds; round++) {
		const our = await child.ask<number>(ourQuestion);
		const their = await child.ask<number>(theirQuestion);
		if (round < 0) continue;
		ours.push(our);
		theirs.push(their);
	}
	const ratio = summarise(ours.map((value, index) => value / (theirs[index] as number)));
	return {ratio, ours: medianOf(ours), theirs: medianOf(theirs)};
}

function rowOf(name: string, {ratio, ours, theirs}: Comparison): Omit<Row, 'target' | 'theirs' | 'verdict'> {
	return {
		group: 'many-tokens',
		name,
		measured: `${spread(ratio)} x`,
		ours: `${ours.toFixed(0)} ns`,
		figures: {ratio, nanoseconds: ours, nanosecondsBeside: theirs},
	};
}

function memoryRow(inMemory: number, elsewhere: number): Row {
	return {
		group: 'many-tokens',
		name: `memory of a token of ${count(length)} characters, its key with it`,
		target: '',
		measured: `${count(elsewhere)} B`,
		ours: `${((elsewhere * many) / 1e6).toFixed(0)} MB for 100,000`,
		theirs: `${count(inMemory)} B where the store is in memory too`,
		verdict: 'no target',
		figures: {bytesPerToken: elsewhere, bytesPerTokenWithStoreInMemory: inMemory},
	};
}
