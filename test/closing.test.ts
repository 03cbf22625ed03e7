/** What `close()` does where a part cannot be closed: all the others are, and the errors are gathered. */
import {mkdtempSync, readdirSync, readlinkSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {z} from 'zod';
import {
	type AuthStrategy,
	authStrategy,
	type Conversation,
	createGatepass,
	inject,
	StrategyOptions,
	TokenCache,
} from '../src/index.ts';
import {startServer} from '../src/testing/server.ts';

let folder: string;
const disposed: string[] = [];
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), 'gatepass-closing-'));
	disposed.length = 0;
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

interface Options {
	readonly name: string;
	/** How it fails to close. */
	readonly how: 'throws' | 'rejects' | 'closes';
}

@authStrategy({
	name: 'failing',
	options: z.object({name: z.string(), how: z.enum(['throws', 'rejects', 'closes'])}),
})
class FailingStrategy implements AuthStrategy {
	readonly #options: Options;
	readonly #tokens: TokenCache;

	constructor(@inject(StrategyOptions) options: Options, @inject(TokenCache) tokens: TokenCache) {
		this.#options = options;
		this.#tokens = tokens;
	}

	async *authenticate(): Conversation {
		const expiresAt = Date.now() + 60_000;
		await this.#tokens.get(this.#options.name, async () => ({value: 'token', type: 'Bearer', expiresAt}));
		yield;
	}

	dispose(): void | Promise<void> {
		const {name, how} = this.#options;
		disposed.push(name);
		if (how === 'throws') throw new Error(`${name} throws`);
		return how === 'closes' ? undefined : Promise.reject(new Error(`${name} rejects`));
	}
}

/** What `close()` throws once a strategy for each of these was used. */
async function errorOfClosing(...all: Options['how'][]): Promise<unknown> {
	const server = await startServer((_, response) => void response.end('answer'));
	const gatepass = await createGatepass({
		strategies: [FailingStrategy],
		config: {
			cache: {url: `sqlite:${join(folder, 'tokens.sqlite')}`},
			hostRules: all.map((how, index) => ({
				match: `${server.url}/${index}`,
				strategy: 'failing',
				options: {name: `${index}`, how},
			})),
		},
	});
	for (const index of all.keys()) await gatepass.got(`${server.url}/${index}`);
	expect(openFiles()).not.toEqual([]);
	const error = await gatepass.close().then(
		() => undefined,
		(error: unknown) => error,
	);
	await server.close();
	return error;
}

/** Those of the token store. */
function openFiles(): string[] {
	return readdirSync('/proc/self/fd').flatMap(descriptor => {
		try {
			const file = readlinkSync(`/proc/self/fd/${descriptor}`);
			return file.startsWith(folder) ? [file] : [];
		} catch {
			// The one by which the folder is read.
			return [];
		}
	});
}

test.each(['throws', 'rejects'] as const)(
	'a strategy whose dispose %s keeps nothing else open',
	async how => {
		expect(await errorOfClosing(how, 'closes', 'closes')).toMatchObject({message: `0 ${how}`});
		expect(disposed.toSorted()).toEqual(['0', '1', '2']);
		expect(openFiles()).toEqual([]);
	},
);

test('the errors of several are gathered', async () => {
	const error = (await errorOfClosing('throws', 'rejects', 'closes', 'throws')) as AggregateError;
	expect(error).toBeInstanceOf(AggregateError);
	expect(error.errors.map(({message}: Error) => message).toSorted()).toEqual([
		'0 throws',
		'1 rejects',
		'3 throws',
	]);
	expect(error.message).toBe("3 parts of gatepass could not be closed; the others are. See 'errors'");
	expect(disposed.toSorted()).toEqual(['0', '1', '2', '3']);
	expect(openFiles()).toEqual([]);
});

test('nothing is thrown where all can be closed', async () => {
	expect(await errorOfClosing('closes', 'closes')).toBeUndefined();
	expect(openFiles()).toEqual([]);
});
