/** Tokens in Redis or Valkey, over a client of node-redis; a keyv adapter, too. Redis itself judges the time. */
import {EventEmitter} from 'node:events';
import type {KeyvStoreAdapter} from 'keyv';
import type {Storage, Unlock} from '../storage.ts';

/** What is used of the clients (single, cluster, sentinel): https://github.com/redis/node-redis */
export interface RedisClient {
	get(key: string): Promise<string | null>;
	set(key: string, value: string, options?: {PX: number}): Promise<unknown>;
	del(keys: string | string[]): Promise<number>;
	eval(script: string, options: {keys: string[]; arguments: string[]}): Promise<unknown>;
	scanIterator?(options: {MATCH: string; COUNT: number}): AsyncIterable<string[]>;
	isOpen: boolean;
	destroy(): void;
}

/** As scripts, so that each is one step. */
const compareAndDelete = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`;
const lock = `
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0`;

const keysPerScan = 1000;

export class RedisStore extends EventEmitter implements Storage, KeyvStoreAdapter {
	readonly opts = {dialect: 'redis', url: 'redis:'};
	namespace?: string | undefined;
	readonly #client: () => Promise<RedisClient>;

	/** @param client gives the client; asked for each time. */
	constructor(client: () => Promise<unknown>) {
		super();
		this.#client = client as () => Promise<RedisClient>;
	}

	/** Of any type, as keyv wants it: it is the text. */
	async get<Value = string>(key: string): Promise<Value | undefined> {
		return ((await (await this.#client()).get(key)) ?? undefined) as Value | undefined;
	}

	async set(key: string, value: string, ttl?: number): Promise<void> {
		await (await this.#client()).set(key, value, ttl === undefined ? undefined : {PX: Math.ceil(ttl)});
	}

	async delete(key: string): Promise<boolean> {
		return (await (await this.#client()).del(key)) > 0;
	}

	async compareAndDelete(key: string, value: string): Promise<boolean> {
		return (await this.#run(compareAndDelete, key, value)) === 1;
	}

	async lock(key: string, holder: string, duration: number): Promise<Unlock | undefined> {
		const isLocked = (await this.#run(lock, key, holder, String(Math.ceil(duration)))) === 1;
		return isLocked ? () => this.compareAndDelete(key, holder) : undefined;
	}

	async clear(): Promise<void> {
		const client = await this.#client();
		for await (const keys of this.#scan(this.namespace)) await client.del(keys);
	}

	async *iterator<Value>(
		namespace?: string,
	): AsyncGenerator<Array<string | Awaited<Value> | undefined>, void> {
		for await (const keys of this.#scan(namespace)) {
			for (const key of keys) yield [key, await this.get<Awaited<Value>>(key)];
		}
	}

	async disconnect(): Promise<void> {
		const client = await this.#client();
		if (client.isOpen) client.destroy();
	}

	async *#scan(namespace: string | undefined): AsyncGenerator<string[], void> {
		const prefix = namespace === undefined ? '' : `${namespace}:`;
		const options = {MATCH: `${prefix.replace(/[\\[\]*?]/g, '\\$&')}*`, COUNT: keysPerScan};
		for await (const keys of (await this.#client()).scanIterator?.(options) ?? []) {
			if (keys.length > 0) yield keys;
		}
	}

	async #run(script: string, key: string, ...values: string[]): Promise<unknown> {
		return (await this.#client()).eval(script, {keys: [key], arguments: values});
	}
}
