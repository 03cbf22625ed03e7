/** A token that is in memory already: how long `tokens.get` takes, and whether the store is asked. */
import {performance} from 'node:perf_hooks';
import {createGatepass, defineStrategy, type Token, type TokenCache} from 'gatepass';
import {Keyv} from 'keyv';
import {count, type Row, verdictOf} from './report.ts';
import {summarise} from './statistics.ts';

const rounds = 41;
const callsInRound = 50_000;
const largestMicroseconds = 2;

/** A keyv store that counts what is asked of keyv, and of the map behind it, which gatepass may read past keyv. */
class CountingKeyv extends Keyv<Token> {
	calls = 0;

	constructor() {
		const map = new Map();
		super({store: map});
		this.#count(this, ['get', 'getMany', 'set', 'setMany', 'delete', 'deleteMany', 'has', 'clear']);
		this.#count(map, ['get', 'set', 'delete', 'has', 'clear']);
	}

	#count(holder: object, names: readonly string[]): void {
		const methods = holder as Record<string, (...values: unknown[]) => unknown>;
		for (const name of names) {
			const original = methods[name]?.bind(holder);
			if (original === undefined) continue;
			methods[name] = (...values) => {
				this.calls += 1;
				return original(...values);
			};
		}
	}
}

/** The token cache over `store`, as a strategy is given it. */
async function openTokenCache(store: Keyv): Promise<{tokens: TokenCache; close: () => Promise<void>}> {
	let tokens: TokenCache | undefined;
	const probe = defineStrategy({
		name: 'bench-probe',
		async *authenticate(_request, services) {
			tokens = services.tokens;
			yield;
		},
	});
	const gatepass = await createGatepass({
		strategies: [probe],
		cache: store,
		config: {
			cache: {encryption: 'off'},
			hostRules: [{match: 'https://api.example.org', strategy: 'bench-probe'}],
		},
	});
	await gatepass.authorize('https://api.example.org');
	if (tokens === undefined) throw new Error('The strategy was given no token cache');
	return {tokens, close: () => gatepass.close()};
}

export async function measureWarmToken(): Promise<Row[]> {
	const store = new CountingKeyv();
	const {tokens, close} = await openTokenCache(store);
	const issue = async (): Promise<Token> => ({
		value: 'bench-token',
		type: 'Bearer',
		expiresAt: Date.now() + 86_400_000,
	});
	const ready = Promise.resolve(await issue());
	/** Microseconds for one call. */
	const time = async (call: () => Promise<Token>): Promise<number> => {
		const start = performance.now();
		for (let index = 0; index < callsInRound; index++) await call();
		return ((performance.now() - start) / callsInRound) * 1000;
	};
	const fromCache = (): Promise<Token> => tokens.get('key', issue);
	const fromPromise = (): Promise<Token> => ready;

	// The first call issues the token and stores it: the count sees that, or it would prove nothing.
	await fromCache();
	const callsToIssue = store.calls;
	if (callsToIssue === 0) throw new Error('The count of keyv calls does not count');
	for (let round = 0; round < 3; round++) {
		await time(fromCache);
		await time(fromPromise);
	}
	store.calls = 0;
	const cached: number[] = [];
	const bare: number[] = [];
	for (let round = 0; round < rounds; round++) {
		cached.push(await time(fromCache));
		bare.push(await time(fromPromise));
	}
	const calls = store.calls;
	await close();
	const [warm, floor] = [summarise(cached), summarise(bare)];
	return [
		{
			group: 'tokens',
			name: 'a warm token: await tokens.get(…)',
			target: `at most ${largestMicroseconds} µs`,
			measured: `${warm.median.toFixed(3)} µs (${warm.min.toFixed(3)} to ${warm.max.toFixed(3)})`,
			ours: `${warm.median.toFixed(3)} µs`,
			theirs: `${floor.median.toFixed(3)} µs for await of a promise`,
			verdict: verdictOf(warm.median <= largestMicroseconds),
			figures: {microseconds: warm, microsecondsOfPromise: floor},
		},
		{
			group: 'tokens',
			name: 'calls of keyv and its store for warm tokens',
			target: 'none',
			measured: count(calls),
			ours: `${count(calls)} in ${count(rounds * callsInRound)} calls`,
			theirs: `${callsToIssue} to issue the token`,
			verdict: verdictOf(calls === 0),
			figures: {calls, callsToIssue},
		},
	];
}
