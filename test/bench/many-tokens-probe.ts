/** In a process of its own with `--expose-gc`: warm look-ups in token caches of several sizes, and what a token takes. */
import {performance} from 'node:perf_hooks';
import type {Token} from 'gatepass';
import type * as servicesModule from '../../src/strategy/services.ts';
import type * as openModule from '../../src/tokens/open-storage.ts';
import type {Storage} from '../../src/tokens/storage.ts';
import type * as cacheModule from '../../src/tokens/token-cache.ts';
import {answerParent, tellParent} from './child.ts';
import {loadPart} from './part.ts';

/** `fill`: what a token takes, in bytes of heap. `look up`: nanoseconds for one look-up. */
export type ManyTokensQuestion = ({readonly does: 'fill'} & Filling) | ({readonly does: 'look up'} & LookUps);

interface Filling {
	readonly size: number;
	/** Characters of a token. */
	readonly length: number;
	readonly store: 'memory' | 'elsewhere';
}

interface LookUps {
	/** In the cache of that size, or a Map of promises of the same tokens. */
	readonly size: number;
	readonly among: 'cache' | 'map';
	/** How many of its tokens are asked for, in turn. */
	readonly used: number;
	readonly calls: number;
}

const {PersistentTokenCache} = await loadPart<typeof cacheModule>('src/tokens/token-cache.ts');
const {openStorage} = await loadPart<typeof openModule>('src/tokens/open-storage.ts');
const {tokenKey} = await loadPart<typeof servicesModule>('src/strategy/services.ts');
const {gc} = globalThis;
if (gc === undefined) throw new Error('This script needs --expose-gc');

/** A store that is not in this process, such as Redis: nothing that it keeps is in this heap. */
const elsewhere: Storage = {
	get: async () => undefined,
	set: async () => {},
	delete: async () => {},
	compareAndDelete: async () => {},
};

interface Filled {
	readonly cache: InstanceType<typeof PersistentTokenCache>;
	readonly keys: readonly string[];
	readonly map: Map<string, Promise<Token>>;
}

const filled = new Map<number, Filled>();

const issue = async (length: number): Promise<Token> => ({
	// Written at once: a text put together of pieces would take more than it needs.
	value: Buffer.alloc(length, Math.random().toString(36).slice(2)).toString('latin1'),
	type: 'Bearer',
	expiresAt: Date.now() + 86_400_000,
});

/** Keys such as a strategy makes, of one tenant each. */
function makeKeys(size: number): string[] {
	return Array.from({length: size}, (_, index) =>
		tokenKey({
			strategy: 'sso-client-credentials',
			grant: 'client_credentials',
			tenant: `tenant-${index}`,
			server: 'https://login.example.org/token',
			client: 'bench',
			audience: 'runs',
		}),
	);
}

async function fill({size, length, store}: Filling): Promise<number> {
	await filled.get(size)?.cache.close();
	filled.delete(size);
	const before = heapUsed();
	const keys = makeKeys(size);
	const cache = new PersistentTokenCache(
		store === 'memory' ? openStorage('memory:') : {open: async () => elsewhere},
	);
	// A thousand at a time: what is under way would take more than what is kept.
	for (let start = 0; start < size; start += 1000) {
		await Promise.all(keys.slice(start, start + 1000).map(key => cache.get(key, () => issue(length))));
	}
	const bytes = (heapUsed() - before) / size;
	const map = new Map(keys.map(key => [key, cache.get(key, unexpected)]));
	filled.set(size, {cache, keys, map});
	return bytes;
}

const unexpected = (): Promise<Token> => Promise.reject(new Error('A token that was there is asked for'));

async function lookUp({size, among, used, calls}: LookUps): Promise<number> {
	const {cache, keys, map} = filled.get(size) as Filled;
	// A step that shares no factor with the sizes, so that the look-ups go all over the cache.
	const step = 7919;
	let index = 0;
	const start = performance.now();
	for (let call = 0; call < calls; call++) {
		index = (index + step) % used;
		const key = keys[index] as string;
		await (among === 'cache' ? cache.get(key, unexpected) : map.get(key));
	}
	return ((performance.now() - start) / calls) * 1e6;
}

function heapUsed(): number {
	// Twice: what the first finds dead may hold on to more.
	gc?.();
	gc?.();
	return process.memoryUsage().heapUsed;
}

answerParent(
	(question: ManyTokensQuestion): Promise<number> =>
		question.does === 'fill' ? fill(question) : lookUp(question),
);
tellParent('ready');
