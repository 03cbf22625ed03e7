/** `cache`: stores that others can read demand a key, or the user's word that none is wanted. */
import {randomBytes} from 'node:crypto';
import {describe, expect, test} from 'vitest';
import {readStoreUrl} from '../../src/config/store-url.ts';
import {folderWith, load, problemsInYaml} from './loading.ts';

const key = randomBytes(32).toString('base64');

const loadYaml = (text: string, env: Record<string, string>) =>
	load({cwd: folderWith({'gatepass.config.yaml': text}), env});

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

test('a previous key that is empty is passed over: its variable is there before there is one', async () => {
	const yaml = `cache:\n  encryptionKey: ["\${KEY}", "\${OLD_KEY}", "\${OLDER_KEY:-}", ' ']\n`;
	const {configuration} = await loadYaml(yaml, {KEY: key, OLD_KEY: ''});
	expect(configuration.cache.keys).toHaveLength(1);
	for (const first of ["''", `["", ${key}]`]) {
		expect(await problemsInYaml(`cache:\n  encryptionKey: ${first}\n`)).toHaveLength(1);
	}
});

describe('a password with what is special in a URL', () => {
	const passwords = [
		'p/w',
		'p#w',
		'p?w',
		'p%w',
		'100%',
		'p%zzw',
		'p@w',
		'p:w',
		'p w',
		'p[w]',
		'p\\\\w',
		'/#?%@:',
		'ü',
		'12/3#4?5@6',
	];
	/** What a driver makes of it. */
	const passwordIn = (url: string): string => decodeURIComponent(new URL(url).password);

	test.each(passwords)('is taken as it is: %s', async password => {
		for (const rest of ['@127.0.0.1:6380/2', '@cache.example.org']) {
			const url = `redis://user:${password}${rest}`;
			const read = readStoreUrl(url);
			expect(passwordIn(read?.url ?? '')).toBe(password);
			expect(new URL(read?.url ?? '')).toMatchObject({username: 'user', host: rest.slice(1).split('/')[0]});
			const {configuration} = await loadYaml(
				`cache:\n  url: redis://user:\${PASSWORD}${rest}\n  encryption: off\n`,
				{PASSWORD: password},
			);
			expect(configuration.cache.url).toBe(read?.url);
		}
		// Encoded by its user: the same.
		const encoded = readStoreUrl(`rediss://:${encodeURIComponent(password)}@127.0.0.1`);
		expect(passwordIn(encoded?.url ?? '')).toBe(password);
	});

	test.each(passwords.filter(password => !password.startsWith('12')))(
		'in a URL of PostgreSQL: %s',
		password => {
			const read = readStoreUrl(`postgres://user:${password}@db.example.org/tokens?sslmode=require`);
			expect(passwordIn(read?.url ?? '')).toBe(password);
			expect(new URL(read?.url ?? '').pathname).toBe('/tokens');
		},
	);

	test.each([
		'postgres://db.example.org:5432/tokens?user=me@realm&password=x',
		'postgres://user:a%40b@db.example.org/tokens?application_name=a@b',
		'postgresql://user@db.example.org/tokens',
		'redis://cache.example.org',
		'rediss://:x%2Fy@cache.example.org:6380/2',
		'sqlite:./a@b/c#d.sqlite',
		'memory:',
	])('a URL that makes sense is left alone: %s', url => {
		expect(readStoreUrl(url)?.url).toBe(url);
	});

	test.each(['redis://:secret-word@:port', 'redis://user:secret-word@', 'postgres://:secret-word'])(
		'one that makes none is a mistake that says so, and does not show it: %s',
		async url => {
			const problems = await problemsInYaml(`cache:\n  url: '${url}'\n  encryption: off\n`);
			expect(problems).toMatchObject([
				{
					path: 'cache.url',
					message: 'it cannot be read as a URL',
					hint: expect.stringContaining('%2F for /'),
				},
			]);
			expect(JSON.stringify(problems)).not.toContain('secret-word');
		},
	);
});
