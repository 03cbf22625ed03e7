/** `cache`: stores that others can read demand a key, or the user's word that none is wanted. */
import {randomBytes} from 'node:crypto';
import {describe, expect, test} from 'vitest';
import {problemsInYaml} from './loading.ts';

const key = randomBytes(32).toString('base64');

describe('a store that others can read', () => {
	test.for([
		'redis://localhost',
		'rediss://cache.example.org:6380/2',
		'postgres://user:the-password@db/tokens',
		'postgresql://db/tokens?sslmode=verify-full',
	])('%s demands a key', async url => {
		const problems = await problemsInYaml(`cache:\n  url: ${url}\n`);
		expect(problems).toMatchObject([{path: 'cache', hint: expect.stringContaining("'encryptionKey'")}]);
		expect(problems[0]?.hint).toContain("'encryption: off'");
		expect(JSON.stringify(problems)).not.toContain('the-password');
		expect(await problemsInYaml(`cache:\n  url: ${url}\n  encryptionKey: ${key}\n`)).toEqual([]);
		expect(await problemsInYaml(`cache:\n  url: ${url}\n  encryption: off\n`)).toEqual([]);
	});

	test('a file of the user, and memory, demand none', async () => {
		expect(await problemsInYaml('cache:\n  url: sqlite:./tokens.sqlite\n')).toEqual([]);
		expect(await problemsInYaml("cache:\n  url: 'memory:'\n")).toEqual([]);
	});
});

describe('keys', () => {
	test('are one, or a list', async () => {
		const other = randomBytes(32).toString('base64url');
		expect(await problemsInYaml(`cache:\n  encryptionKey: ${key}\n`)).toEqual([]);
		expect(await problemsInYaml(`cache:\n  encryptionKey: [${key}, ${other}]\n`)).toEqual([]);
	});

	test.for([
		['a word', 'hunter2'],
		['too short', randomBytes(16).toString('base64')],
		['in hexadecimal digits', randomBytes(32).toString('hex')],
		// With its blanks left out it would be 32 bytes.
		['a passphrase', 'a passphrase of quite some words that is no key at all'],
	] as const)('that are not 32 bytes in base64 are told, and not repeated: %s', async ([, wrong]) => {
		const problems = await problemsInYaml(`cache:\n  encryptionKey:\n    - ${key}\n    - ${wrong}\n`);
		expect(problems).toMatchObject([{path: 'cache.encryptionKey[1]', line: 4}]);
		expect(JSON.stringify(problems)).not.toContain(wrong);
	});

	test('and encryption that is off contradict each other', async () => {
		expect(await problemsInYaml(`cache:\n  encryption: off\n  encryptionKey: ${key}\n`)).toMatchObject([
			{path: 'cache.encryption', line: 2},
		]);
	});
});
