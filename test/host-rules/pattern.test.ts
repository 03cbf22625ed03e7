/** Patterns: each part of `[scheme://]host[:port][/path]`, its normal form, and everything that is refused. */
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {Matcher} from '../../src/host-rules/matcher.ts';
import {type Pattern, PatternError, parsePattern} from '../../src/host-rules/pattern.ts';
import {isLoopback} from '../../src/strategy/hosts.ts';

function refusal(text: string): PatternError {
	try {
		parsePattern(text);
	} catch (error) {
		if (error instanceof PatternError) return error;
		throw error;
	}
	throw new Error(`'${text}' was accepted`);
}

describe('the parts of a pattern', () => {
	test.each<[string, Partial<Pattern>]>([
		['api.example.org', {scheme: 'https', kind: 'exact', host: 'api.example.org', port: '', path: ''}],
		['https://api.example.org', {scheme: 'https'}],
		['HTTP://api.example.org', {scheme: 'http'}],
		['*.example.org', {kind: 'wildcard', host: 'example.org'}],
		['*', {kind: 'any', host: ''}],
		['http://*:8080/x', {scheme: 'http', kind: 'any', port: '8080', path: '/x'}],
		['*:*', {kind: 'any', port: '*'}],
		['api.example.org:8443', {port: '8443'}],
		['api.example.org:08443', {port: '8443'}],
		['api.example.org:443', {port: ''}],
		['http://api.example.org:80', {port: ''}],
		['http://api.example.org:443', {port: '443'}],
		['api.example.org:*', {port: '*'}],
		['api.example.org/agg', {path: '/agg'}],
		['api.example.org/agg/', {path: '/agg'}],
		['api.example.org/', {path: ''}],
		['api.example.org/@alice/x', {path: '/@alice/x'}],
		['api.example.org:8443/a:b/c', {port: '8443', path: '/a:b/c'}],
	])('%s', (text, expected) => {
		expect(parsePattern(text)).toMatchObject({text, ...expected});
	});
});

describe('the normal form of a host', () => {
	test.each([
		['API.Example.ORG', 'api.example.org'],
		['bücher.example', 'xn--bcher-kva.example'],
		['BÜCHER.example', 'xn--bcher-kva.example'],
		['api.example.org.', 'api.example.org'],
		['127.1', '127.0.0.1'],
		['0x7f.0.0.1', '127.0.0.1'],
		['2130706433', '127.0.0.1'],
		['0177.0.0.1', '127.0.0.1'],
		['[::1]', '[::1]'],
		['[0:0:0:0:0:0:0:1]', '[::1]'],
		['[2001:DB8::00ff]', '[2001:db8::ff]'],
		['[::ffff:127.0.0.1]', '[::ffff:7f00:1]'],
	])('%s is %s', (written, host) => {
		expect(parsePattern(written)).toMatchObject({kind: 'exact', host});
		expect(parsePattern(`${written}:8443/x`)).toMatchObject({host, port: '8443', path: '/x'});
	});

	test('holds below a wildcard too', () => {
		expect(parsePattern('*.BÜCHER.example.').host).toBe('xn--bcher-kva.example');
	});
});

test.each([
	['/%61gg', '/agg'],
	['/%7euser', '/~user'],
	['/a%2fb', '/a%2Fb'],
	['/straße', '/stra%C3%9Fe'],
	['/100%', '/100%'],
])('the path %s is %s', (written, path) => {
	expect(parsePattern(`api.example.org${written}`).path).toBe(path);
});

describe('a pattern that is refused says what to write instead', () => {
	test.each<[string, RegExp, RegExp]>([
		['', /is empty/, /https:\/\/api\.example\.org/],
		['api.example.org ', /white space/, /Take it out/],
		['api.example\n.org', /white space/, /Take it out/],
		['https:\\\\api.example.org', /backslash/, /Take it out/],
		['https://alice@api.example.org', /no user information/, /'@'/],
		['alice:secret@api.example.org', /no user information/, /'@'/],
		['api.example.org?x=1', /a query/, /'\?'/],
		['api.example.org/a#b', /a fragment/, /'#'/],
		['ftp://api.example.org', /can never match: only http and https/, /https:\/\//],
		['wss://api.example.org', /can never match/, /https:\/\//],
		['https:api.example.org', /slashes/, /'\/\/'|:\/\//],
		['https:/api.example.org', /slashes/, /:\/\//],
		['https://', /no host/, /\* for every host/],
		['/agg', /no host/, /\* for every host/],
		[':8443', /no host/, /\* for every host/],
		['api.example.org:', /port/, /\* for any/],
		['api.example.org:0', /port/, /\* for any/],
		['api.example.org:65536', /port/, /\* for any/],
		['api.example.org:https', /port/, /\* for any/],
		['api.example.org:-1', /port/, /\* for any/],
		['::1', /no host/, /brackets/],
		['fe80::1:8443', /no host/, /brackets/],
		['[::1', /no host/, /name such as/],
		['[::1%25eth0]', /no host/, /name such as/],
		['exa%6dple.org', /no host/, /name such as/],
		['.example.org', /no host/, /name such as/],
		['a..example.org', /no host/, /name such as/],
		['*.', /no host/, /name such as/],
		['256.1.1.1', /no host/, /name such as/],
		['a|b.example.org', /no host/, /name such as/],
		['api.*.org', /star/, /\*\.example\.org/],
		['*.*.example.org', /star/, /\*\.example\.org/],
		['api*.example.org', /star/, /\*\.example\.org/],
		['*example.org', /star/, /\*\.example\.org/],
		['**', /star/, /\*\.example\.org/],
		['*.127.0.0.1', /can never match: an address/, /Write 127\.0\.0\.1$/],
		['*.[::1]', /can never match: an address/, /Write \[::1\]$/],
		['*.1', /can never match: an address/, /Write 0\.0\.0\.1$/],
		['api.example.org/agg/*', /star in the path/, /write \/agg$/],
		['api.example.org/*', /star in the path/, /write no path$/],
		['api.example.org/a/../b', /dot segments/, /Write \/b$/],
		['api.example.org/a/%2E%2e/b', /dot segments/, /Write \/b$/],
		['api.example.org/./a', /dot segments/, /Write \/a$/],
	])('%j', (text, message, hint) => {
		const error = refusal(text);
		expect(error.message).toMatch(message);
		expect(error.hint).toMatch(hint);
	});

	test.each([
		'https://alice:hunter2@api.example.org',
		'https://alice:hunter2/x@api',
		'h/?key=hunter2',
		'hunter2 x',
	])('without repeating what may be a secret: %j', text => {
		const {message, hint} = refusal(text);
		expect(message + hint).not.toContain('hunter2');
	});
});

test.each([
	['localhost', true],
	['localhost.', true],
	['a.localhost', true],
	['127.0.0.1', true],
	['127.255.255.254', true],
	['[::1]', true],
	['128.0.0.1', false],
	['127.0.0.1.example.org', false],
	['localhost.example.org', false],
	['notlocalhost', false],
	['[::2]', false],
	['0.0.0.0', false],
])('%s is loopback: %s', (host, expected) => {
	expect(isLoopback(host)).toBe(expected);
});

describe('any text', () => {
	const fragments = [
		'https://',
		'http://',
		'*.',
		'*',
		'a',
		'B.',
		'.org',
		':',
		':8443',
		'[::1]',
		'/',
		'/a',
		'..',
		'%2e',
		'@',
		'ü',
		'127.1',
		'\\',
		' ',
		'?',
	];
	const patternLike = fc.oneof(
		fc.array(fc.constantFrom(...fragments), {maxLength: 7}).map(parts => parts.join('')),
		fc.string({unit: 'binary', maxLength: 30}),
		fc.webUrl(),
	);

	test('is either refused with a message and a hint, or matches the URL that it describes', () => {
		fc.assert(
			fc.property(patternLike, text => {
				let pattern: Pattern;
				try {
					pattern = parsePattern(text);
				} catch (error) {
					expect(error).toBeInstanceOf(PatternError);
					expect((error as PatternError).message).not.toBe('');
					expect((error as PatternError).hint).not.toBe('');
					return;
				}
				const host = {exact: pattern.host, wildcard: `sub.${pattern.host}`, any: 'any.example'}[pattern.kind];
				const port = pattern.port === '*' ? ':12345' : pattern.port === '' ? '' : `:${pattern.port}`;
				const url = new URL(`${pattern.scheme}://${host}${port}${pattern.path}/below`);
				expect(new Matcher([{pattern, value: 1}]).find(url, 'GET')?.value).toBe(1);
			}),
			{numRuns: 3000},
		);
	});

	test('has the same normal form as its normal form', () => {
		fc.assert(
			fc.property(patternLike, text => {
				let first: Pattern;
				try {
					first = parsePattern(text);
				} catch {
					return;
				}
				const host = {exact: first.host, wildcard: `*.${first.host}`, any: '*'}[first.kind];
				const port = first.port === '' ? '' : `:${first.port}`;
				const again = parsePattern(`${first.scheme}://${host}${port}${first.path}/`);
				expect({...again, text}).toEqual(first);
			}),
			{numRuns: 3000},
		);
	});
});
