/** In a process of its own with `--expose-gc`: the bytes of heap that a number of host rules take. */
import {createGatepass} from 'gatepass';
import type * as matcherModule from '../../src/host-rules/matcher.ts';
import type * as patternModule from '../../src/host-rules/pattern.ts';
import {answerParent, tellParent} from './child.ts';
import {loadPart} from './part.ts';
import {ruleKinds} from './rule-sets.ts';

export interface MemoryQuestion {
	readonly rules: number;
	/** `matcher`: the index with its patterns; `configuration`: all of `createGatepass`; `in use`: with every strategy built. */
	readonly what: 'matcher' | 'configuration' | 'in use';
}

const {Matcher} = await loadPart<typeof matcherModule>('src/host-rules/matcher.ts');
const {parsePattern} = await loadPart<typeof patternModule>('src/host-rules/pattern.ts');
const {gc} = globalThis;
if (gc === undefined) throw new Error('This script needs --expose-gc');

/** The kinds in turn, so that the figure is of a mixture. */
function matchOf(index: number): string {
	const kind = ruleKinds[index % ruleKinds.length];
	return kind?.match(index) ?? '';
}

async function build({rules, what}: MemoryQuestion): Promise<unknown> {
	const indices = Array.from({length: rules}, (_, index) => index);
	if (what === 'matcher')
		return new Matcher(indices.map(index => ({pattern: parsePattern(matchOf(index)), value: index})));
	const gatepass = await createGatepass({
		config: {
			cache: {url: 'memory:'},
			hostRules: indices.map(index => ({
				match: matchOf(index),
				strategy: 'sso-client-credentials',
				options: {
					clientId: `client-${index}`,
					clientSecret: `secret-${index}`,
					audience: `audience-${index}`,
					tokenEndpoint: `https://login-${index}.example.org/token`,
				},
			})),
		},
	});
	if (what === 'in use') await gatepass.status();
	return gatepass;
}

function heapUsed(): number {
	// Twice: what the first finds dead may hold on to more.
	gc?.();
	gc?.();
	return process.memoryUsage().heapUsed;
}

let kept: unknown;
answerParent(async (question: MemoryQuestion): Promise<number> => {
	kept = undefined;
	const before = heapUsed();
	kept = await build(question);
	const after = heapUsed();
	return kept === undefined ? 0 : after - before;
});
tellParent('ready');
