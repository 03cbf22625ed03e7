/** The secret of the local proxy: how long it is, and how it is compared. */
import {timingSafeEqual} from 'node:crypto';
import {expect, test, vi} from 'vitest';
import {makeSecret, Secret} from '../../src/serve/secret.ts';

vi.mock('node:crypto', {spy: true});

test('it has 256 bits, and is another one each time', () => {
	const made = Array.from({length: 50}, makeSecret);
	expect(new Set(made).size).toBe(50);
	expect(made.map(secret => Buffer.from(secret, 'base64url').length)).toEqual(Array(50).fill(32));
});

const secret = new Secret('the-secret');
const basic = (name: string, password: string): string =>
	`Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;

test.each([
	['the secret', 'Bearer the-secret', true, 1],
	['another of its length', 'Bearer the-secrez', false, 1],
	['its beginning', 'Bearer the', false, 1],
	['its beginning, filled up with what a buffer is filled up with', 'Bearer the\0\0\0\0\0\0\0', false, 1],
	['as many letters, of more bytes', 'Bearer thé-secret', false, 1],
	['much more', `Bearer the-secret${'x'.repeat(10_000)}`, false, 1],
	['the secret as a password', basic('gatepass', 'the-secret'), true, 2],
	['the secret as a name', basic('the-secret', ''), true, 2],
	[
		'the secret as the key of a signature',
		`AWS4-HMAC-SHA256 Credential=the-secret/20261128/x/s3/aws4_request, SignedHeaders=host, Signature=0`,
		true,
		1,
	],
	[
		'another key of a signature',
		'AWS4-HMAC-SHA256 Credential=the-secrez/20261128/x/s3/aws4_request',
		false,
		1,
	],
	['the secret as the key of an old signature', 'AWS the-secret:SZ+VwJZ67OQ3aVVRZEVkTNm1krg=', true, 1],
	['an old signature of another key', 'AWS another:the-secret', false, 1],
	['neither', basic('gatepass', 'wrong'), false, 2],
])('%s is compared in constant time, whatever its length', (_, shown, isRight, comparisons) => {
	vi.mocked(timingSafeEqual).mockClear();
	expect(secret.isIn(shown)).toBe(isRight);
	// Of as many bytes in each case, and all that are to be made: nothing is looked at beforehand.
	const {calls} = vi.mocked(timingSafeEqual).mock;
	const length = 4 + 'the-secret'.length;
	expect(calls.flat().map(({byteLength}) => byteLength)).toEqual(Array(2 * comparisons).fill(length));
});
