/** What a token store does, the same over each kind of backend. */
import {createSecretKey, randomBytes} from 'node:crypto';
import fc from 'fast-check';
import {afterAll, afterEach, beforeAll, describe, expect, test} from 'vitest';
import type {TokenCacheError} from '../../src/errors.ts';
import type {Token} from '../../src/strategy/services.ts';
import type {TokenStore, TokenStoreSettings} from '../../src/tokens/token-store.ts';
import {describeWith} from '../servers/availability.ts';
import {type Backend, type BackendKind, backends} from './backends.ts';

const token: Token = {
	value: 'a-token',
	type: 'Bearer',
	expiresAt: 4_000_000_000_000,
	issuedAt: 1_700_000_000_000,
};
const newer: Token = {value: 'a-newer-token', type: 'DPoP'};
const minute = 60_000;
const newKey = () => createSecretKey(randomBytes(32));

for (const kind of backends)
	describeWith(kind.needs, `a token store over ${kind.name}`, () => storeTests(kind));

function storeTests({start, name: kind}: BackendKind): void {
	let backend: Backend;
	let opened: TokenStore[] = [];
	let problems: string[] = [];
	const open = (settings: TokenStoreSettings = {}): TokenStore => {
		const store = backend.open({
			report: ({message}: TokenCacheError) => problems.push(message),
			...settings,
		});
		opened.push(store);
		return store;
	};

	beforeAll(async () => {
		backend = await start();
		await open().lease('makes the tables', 'test', 1);
	});
	afterEach(async () => {
		await Promise.all(opened.map(store => store.close()));
		opened = [];
		problems = [];
		await backend.clear();
	});
	afterAll(() => backend?.close());

	/** The entries of the two keys, after each was set. */
	async function namesOf(store: TokenStore, first: string, second: string): Promise<[string, string]> {
		await store.set(first, token, minute);
		const [nameOfFirst] = [...(await backend.entries()).keys()];
		await store.set(second, newer, minute);
		const [nameOfSecond] = [...(await backend.entries()).keys()].filter(name => name !== nameOfFirst);
		return [String(nameOfFirst), String(nameOfSecond)];
	}

	test('keeps a token whole, and no other for a key', async () => {
		const store = open();
		expect(await store.get('key')).toBeUndefined();
		await store.set('key', token, minute);
		expect(await store.get('key')).toEqual(token);
		expect(await store.get('another key')).toBeUndefined();
		await store.set('key', newer, minute);
		expect(await store.get('key')).toEqual(newer);
		await store.delete('key');
		expect(await store.get('key')).toBeUndefined();
		await store.delete('key');
		expect(problems).toEqual([]);
	});

	test('tells apart any two keys, however long they are and whatever is in them', async () => {
		const store = open();
		const key = fc.oneof(
			fc.string({unit: 'binary', maxLength: 40}),
			fc.string({minLength: 3000, maxLength: 4000}),
			fc.constantFrom('', 'gatepass:key', 'gatepass::key', "'; DROP TABLE keyv; --", '\0', '%', '_'),
		);
		const texts = fc.uniqueArray(
			key.map(text => text.toWellFormed()),
			{minLength: 2, maxLength: 6},
		);
		await fc.assert(
			fc.asyncProperty(texts, async keys => {
				for (const [index, each] of keys.entries()) {
					await store.set(each, {...token, value: `token ${index}`}, minute);
				}
				for (const [index, each] of keys.entries()) {
					expect((await store.get(each))?.value).toBe(`token ${index}`);
				}
			}),
			{numRuns: 30},
		);
	});

	test('keeps a token of any value', async () => {
		const store = open({keys: [newKey()]});
		const plain = open();
		const value = fc.string({unit: 'binary', minLength: 1}).map(text => text.toWellFormed());
		await fc.assert(
			fc.asyncProperty(value, async text => {
				await plain.set('key', {value: text, type: 'Bearer'}, minute);
				expect((await plain.get('key'))?.value).toBe(text);
				await store.set('key', {value: text, type: 'Bearer'}, minute);
				expect((await store.get('key'))?.value).toBe(text);
			}),
			{numRuns: 50},
		);
	});

	test('is shared by all that are opened on the same place', async () => {
		await open().set('key', token, minute);
		expect(await open().get('key')).toEqual(token);
	});

	test('lets go of a token after its lifetime', async () => {
		const store = open();
		await store.set('key', token, 150.5);
		expect(await store.get('key')).toEqual(token);
		await expect.poll(() => store.get('key')).toBeUndefined();
		// A fraction of a millisecond is a lifetime, too.
		await store.set('key', token, 0.3);
		await expect.poll(() => store.get('key')).toBeUndefined();
	});

	describe('deleteIf', () => {
		for (const [title, settings] of [
			['in the clear', {}],
			['sealed', {keys: [newKey()]}],
		] as const) {
			test(`deletes that token, and leaves any other (${title})`, async () => {
				const store = open(settings);
				await store.deleteIf('key', token);
				await store.set('key', token, minute);
				await store.deleteIf('key', newer);
				expect(await store.get('key')).toEqual(token);
				await store.deleteIf('key', token);
				expect(await store.get('key')).toBeUndefined();
			});

			// A keyv of a caller's has no such step.
			test.skipIf(kind === 'memory')(
				`never deletes a token that comes at the same moment (${title})`,
				async () => {
					const [one, another] = [open(settings), open(settings)];
					for (let round = 0; round < 100; round++) {
						await one.set('key', token, minute);
						const put = another.get('warm').then(() => another.set('key', newer, minute));
						await Promise.all([put, ...Array.from({length: 3}, () => one.deleteIf('key', token))]);
						expect(await one.get('key')).toEqual(newer);
					}
				},
			);
		}
	});

	describe('with keys', () => {
		test('shows neither token nor cache key to whoever reads the backend', async () => {
			const store = open({keys: [newKey()]});
			await store.set('the cache key', token, minute);
			const [[name, text]] = [...(await backend.entries())] as [[string, string]];
			expect(text).toMatch(/"v1\.[\w-]{8}\.[\w-]{16}\.[\w-]+"/);
			for (const secret of [token.value, 'the cache key', 'Bearer']) {
				expect(name + text).not.toContain(secret);
			}
		});

		test('reads what older keys have sealed, and not what unknown keys have', async () => {
			const [older, current] = [newKey(), newKey()];
			await open({keys: [older]}).set('key', token, minute);
			expect(await open({keys: [current, older]}).get('key')).toEqual(token);
			expect(problems).toEqual([]);
			expect(await open({keys: [current]}).get('key')).toBeUndefined();
			expect(problems).toEqual([expect.stringContaining("a key that 'cache.encryptionKey' lacks")]);
		});

		test('takes no value that was moved from another cache key', async () => {
			const store = open({keys: [newKey()]});
			const [first, second] = await namesOf(store, 'mine', 'yours');
			const entries = await backend.entries();
			await backend.put(first, String(entries.get(second)));
			expect(await store.get('mine')).toBeUndefined();
			expect(await store.get('yours')).toEqual(newer);
			expect(problems).toEqual([expect.stringContaining('belongs to another cache key')]);
		});

		test('takes no value in the clear, and without keys none that is sealed', async () => {
			const [sealing, plain] = [open({keys: [newKey()]}), open()];
			await plain.set('key', token, minute);
			expect(await sealing.get('key')).toBeUndefined();
			await sealing.set('key', token, minute);
			expect(await plain.get('key')).toBeUndefined();
			expect(problems).toEqual([
				expect.stringContaining('it is not encrypted'),
				expect.stringContaining('it is encrypted, or no token'),
			]);
			expect(problems.join()).not.toContain(token.value);
		});
	});

	test.for([
		['no JSON', 'this is no JSON'],
		['half a JSON', '{"value":{"value":"a-to'],
		['another JSON', '[1, 2, 3]'],
		['null', 'null'],
		['a number', '5'],
		['an empty text', ''],
		['a value that is no token', '{"value":{"value":5,"type":"Bearer"}}'],
		['a token without value', '{"value":{"value":"","type":"Bearer"}}'],
		['a token of unknown type', '{"value":{"value":"a-token","type":"MAC"}}'],
		['a token with a wrong time', '{"value":{"value":"a-token","type":"Bearer","expiresAt":"soon"}}'],
		['a megabyte', `{"value":"${'x'.repeat(100_000)}"}`],
	] as const)(
		'counts garbage as absent, says so, and is fixed by the next token: %s',
		async ([, garbage]) => {
			const [store, sealing] = [open(), open({keys: [newKey()]})];
			await store.set('key', token, minute);
			const [name] = [...(await backend.entries()).keys()] as [string];
			await backend.put(name, garbage);
			expect(await store.get('key')).toBeUndefined();
			expect(await sealing.get('key')).toBeUndefined();
			await store.deleteIf('key', token);
			expect(problems).toHaveLength(3);
			for (const problem of problems) {
				expect(problem).toContain('What the token store keeps for a token cannot be used');
				expect(problem).not.toContain('a-to');
			}
			await store.set('key', token, minute);
			expect(await store.get('key')).toEqual(token);
		},
	);

	test(`has leases only where others may share it (${kind})`, async () => {
		const [one, another] = [
			await open().lease('key', 'one', minute),
			await open().lease('key', 'another', minute),
		];
		if (kind === 'memory') {
			expect([one, another]).toEqual([undefined, undefined]);
			return;
		}
		expect(another).toBe('held');
		if (one !== undefined && one !== 'held') await one.giveBack();
		expect(await open().lease('key', 'another', minute)).not.toBe('held');
	});

	test('is a keyv to its user: one that is opened on the same place sees the entries', async () => {
		await open().set('key', token, minute);
		const [name] = [...(await backend.entries()).keys()] as [string];
		const keyv = await backend.keyv();
		expect(await keyv.get(name)).toEqual(token);
		await keyv.set('own', {any: 'value'}, minute);
		expect(await keyv.get('own')).toEqual({any: 'value'});
		await keyv.delete(name);
		expect(await open().get('key')).toBeUndefined();
		await keyv.clear();
		expect((await backend.entries()).size).toBe(0);
		await keyv.disconnect();
	});
}
