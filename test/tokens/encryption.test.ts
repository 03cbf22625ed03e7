/** Sealed texts open with their key under their cache key, and in no other way. */
import {createSecretKey, type KeyObject, randomBytes} from 'node:crypto';
import {inspect} from 'node:util';
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {readEncryptionKey} from '../../src/config/encryption-key.ts';
import {Sealer} from '../../src/tokens/encryption.ts';

const newKey = (): KeyObject => createSecretKey(randomBytes(32));
const sealer = new Sealer([newKey()]);
/** Any text, also with half a surrogate pair in it, as UTF-8 holds none. */
const text = fc.string({unit: 'binary'}).map(value => value.toWellFormed());

describe('a sealed text', () => {
	test('opens again, whatever is in it', () => {
		fc.assert(
			fc.property(text, text, (cacheKey, plain) => {
				expect(sealer.open(cacheKey, sealer.seal(cacheKey, plain))).toEqual({text: plain});
			}),
		);
	});

	test('has a version, a key id and a nonce, and shows nothing of what is in it', () => {
		const sealed = sealer.seal('key', 'a secret that nobody may read');
		expect(sealed).toMatch(/^v1\.[\w-]{8}\.[\w-]{16}\.[\w-]+$/);
		expect(sealed).not.toContain('secret');
		expect(Buffer.from(sealed.split('.')[3] ?? '', 'base64url').toString('latin1')).not.toContain('secret');
	});

	test('is never the same twice: its nonce is random', () => {
		const sealed = Array.from({length: 1000}, () => sealer.seal('key', 'text'));
		expect(new Set(sealed.map(value => value.split('.')[2])).size).toBe(1000);
	});

	test('does not open under any other cache key', () => {
		fc.assert(
			fc.property(text, text, text, (cacheKey, other, plain) => {
				fc.pre(cacheKey !== other);
				expect(sealer.open(other, sealer.seal(cacheKey, plain))).toEqual({
					problem: 'its encrypted text was changed, or belongs to another cache key',
				});
			}),
		);
	});

	test('does not open when any character of it is changed, added or left out', () => {
		const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ ';
		const character = fc.constantFrom(...alphabet);
		fc.assert(
			fc.property(
				text,
				fc.nat(),
				fc.constantFrom('replace', 'insert', 'remove'),
				character,
				(plain, seed, change, put) => {
					const sealed = sealer.seal('key', plain);
					const at = seed % sealed.length;
					const added = change === 'remove' ? '' : put;
					const changed = sealed.slice(0, at) + added + sealed.slice(change === 'insert' ? at : at + 1);
					fc.pre(changed !== sealed);
					expect(sealer.open('key', changed).problem).toBeTypeOf('string');
				},
			),
			{numRuns: 2000},
		);
	});

	test('does not open with anything behind it', () => {
		for (const tail of ['.', '.x', '=', '\n']) {
			expect(sealer.open('key', sealer.seal('key', 'text') + tail).problem).toBeTypeOf('string');
		}
	});

	test('does not open with a tag that is cut short', () => {
		const [version, keyId, nonce, body = ''] = sealer.seal('key', 'text').split('.');
		for (let length = 0; length < Buffer.from(body, 'base64url').length; length++) {
			const short = Buffer.from(body, 'base64url').subarray(0, length).toString('base64url');
			expect(sealer.open('key', [version, keyId, nonce, short].join('.')).problem).toBeTypeOf('string');
		}
	});

	test('what is no sealed text is told as such, and nothing throws', () => {
		fc.assert(
			fc.property(text, garbage => void expect(sealer.open('key', garbage).problem).toBeTypeOf('string')),
		);
		expect(sealer.open('key', '{"value":"plain"}')).toEqual({
			problem: 'it is not encrypted, or by another version of gatepass',
		});
		expect(sealer.open('key', sealer.seal('key', 'text').replace('v1', 'v2'))).toEqual({
			problem: 'it is not encrypted, or by another version of gatepass',
		});
	});
});

describe('keys', () => {
	test('the first seals, all open: old texts stay readable while a key is changed', () => {
		const [older, newer] = [newKey(), newKey()];
		const before = new Sealer([older]);
		const during = new Sealer([newer, older]);
		const after = new Sealer([newer]);
		const old = before.seal('key', 'old');
		const fresh = during.seal('key', 'new');
		expect(during.open('key', old)).toEqual({text: 'old'});
		expect(during.open('key', fresh)).toEqual({text: 'new'});
		expect(after.open('key', fresh)).toEqual({text: 'new'});
		const lacking = {problem: "it is encrypted with a key that 'cache.encryptionKey' lacks"};
		expect(after.open('key', old)).toEqual(lacking);
		expect(before.open('key', fresh)).toEqual(lacking);
	});

	test('a list may hold one key twice', () => {
		const key = newKey();
		const twice = new Sealer([key, key]);
		expect(twice.open('key', twice.seal('key', 'text'))).toEqual({text: 'text'});
	});

	test('are read from base64 of 32 bytes, of either alphabet', () => {
		fc.assert(
			fc.property(fc.uint8Array({minLength: 32, maxLength: 32}), bytes => {
				const buffer = Buffer.from(bytes);
				for (const written of [
					buffer.toString('base64'),
					buffer.toString('base64url'),
					` ${buffer.toString('base64')}\n`,
				]) {
					expect(readEncryptionKey(written)?.export()).toEqual(buffer);
				}
			}),
		);
	});

	test('of any other length, or of other characters, are none', () => {
		fc.assert(
			fc.property(fc.uint8Array({maxLength: 64}), bytes => {
				fc.pre(bytes.length !== 32);
				expect(readEncryptionKey(Buffer.from(bytes).toString('base64'))).toBeUndefined();
			}),
		);
		expect(readEncryptionKey('correct horse battery staple and more')).toBeUndefined();
		expect(readEncryptionKey(`${'A'.repeat(42)}!=`)).toBeUndefined();
		expect(readEncryptionKey(randomBytes(32).toString('hex'))).toBeUndefined();
	});

	test('are not shown when they or what holds them are printed', () => {
		const written = randomBytes(32).toString('base64');
		const key = readEncryptionKey(written) as KeyObject;
		const printed =
			inspect({key, sealer: new Sealer([key])}, {depth: 10, showHidden: true}) + JSON.stringify(key);
		expect(printed).not.toContain(written);
		expect(printed).not.toContain(Buffer.from(written, 'base64').toString('hex'));
	});
});
