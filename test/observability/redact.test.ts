/** The one redactor: a secret is hidden however a server writes it, in part too, and foreign texts cost little. */
import {describe, expect, test} from 'vitest';
import {redact} from '../../src/observability/redact.ts';
import {cpuOf} from '../cpu-time.ts';

const secret = 'hunter2 &+/ü="canary\\<9';
const inForm = (text: string) => new URLSearchParams({'': text}).toString().slice(1);
const inHtml = (text: string) =>
	text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
const each = (text: string, write: (code: number) => string) =>
	Array.from(text, character => write(character.codePointAt(0) ?? 0)).join('');
const base64 = (text: string, encoding: BufferEncoding = 'base64') => Buffer.from(text).toString(encoding);

const bytesOf = (text: string, base: number): string[] =>
	[...Buffer.from(text)].map(byte => byte.toString(base).padStart(2, '0'));

describe('a secret is hidden', () => {
	test.each<[string, string]>([
		['as it is', secret],
		['percent-encoded', encodeURIComponent(secret)],
		['percent-encoded in lower case', encodeURIComponent(secret).toLowerCase()],
		['percent-encoded twice', encodeURIComponent(encodeURIComponent(secret))],
		[
			'percent-encoded to the last character',
			each(secret, code => (code < 128 ? `%${code.toString(16)}` : 'ü')),
		],
		['as in a form', inForm(secret)],
		['as in a form, half decoded', secret.replaceAll(' ', '+')],
		['in JSON', JSON.stringify(secret)],
		['in JSON, all in \\u', each(secret, code => `\\u${code.toString(16).padStart(4, '0')}`)],
		['in JSON inside of JSON', JSON.stringify(JSON.stringify(secret))],
		['in a string of a program', each(secret, code => `\\x${code.toString(16).padStart(2, '0')}`)],
		['in HTML', inHtml(secret)],
		['in HTML, decimal', each(secret, code => `&#${code};`)],
		['in HTML, hexadecimal', each(secret, code => `&#X${code.toString(16)};`)],
		['in a form inside of HTML inside of JSON', JSON.stringify(inHtml(inForm(secret)))],
		['in base64', base64(secret)],
		['in base64 behind a name', base64(`me:${secret}`)],
		['in base64 behind another name', base64(`you:${secret}`)],
		['in base64 behind a third', base64(`alice:${secret}`)],
		['in base64url', base64(`me:${secret}`, 'base64url')],
		['in base64, percent-encoded', encodeURIComponent(base64(secret))],
		['in hexadecimal digits', base64(secret, 'hex')],
		['in hexadecimal digits with colons', bytesOf(secret, 16).join(':')],
		['as a dump', bytesOf(secret, 16).join(' ').toUpperCase()],
		[
			'as bytes of a program',
			bytesOf(secret, 16)
				.map(digits => `0x${digits}`)
				.join(', '),
		],
		['as a list of bytes', JSON.stringify([...Buffer.from(secret)])],
		[
			'in octal',
			bytesOf(secret, 8)
				.map(digits => `\\${digits.padStart(3, '0')}`)
				.join(''),
		],
		[
			'quoted-printable',
			bytesOf(secret, 16)
				.map(digits => `=${digits.toUpperCase()}`)
				.join(''),
		],
		['in capitals', secret.toUpperCase()],
		['its beginning', secret.slice(0, 12)],
		['its end', secret.slice(-12)],
		['its middle', secret.slice(4, 14)],
		[
			'its beginning, percent-encoded and cut off inside of a character',
			encodeURIComponent(secret).slice(0, 20),
		],
	])('%s', (_, written) => {
		const shown = redact(`The value ${written} is wrong`, [secret]);
		expect(shown).toMatch(/^The value .*….* is wrong$/s);
		for (let start = 0; start + 10 <= written.length; start++)
			expect(shown).not.toContain(written.slice(start, start + 10));
	});

	test('where a long text is cut, no piece of it is left', () => {
		for (let padding = 4070; padding < 4100; padding++) {
			const shown = redact(`${'.'.repeat(padding)}${secret}${'.'.repeat(200_000)}`, [secret]);
			expect(shown).toMatch(/^\.+…$/);
		}
	});

	test('whole, though it is short, and by half', () => {
		expect(redact('not pass, nor PASS', ['pass'])).toBe('not …, nor …');
		expect(redact('not secre', ['secret-it'])).toBe('not …');
	});

	test('a JWT is a secret that need not be named', () => {
		const jwt = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl';
		expect(redact(`see ${jwt}, or ${encodeURIComponent(`x=${jwt}`)}`)).toBe('see …, or x%3D…');
		expect(redact('see eyJ, and eyJhbGciOiJub25lIn0.')).toBe('see eyJ, and eyJhbGciOiJub25lIn0.');
	});
});

describe('what is no secret stays', () => {
	test('a secret of a few letters does not mask the words', () => {
		const sentence = 'A letter or two is what a word is made of: %41 &amp; \\u0041';
		expect(redact(sentence, ['a', 'is', 'wor', ''])).toBe(sentence);
	});

	test('nor does the scheme of a URL', () => {
		expect(redact('write one that starts with https://', ['https://api.example.org/x'])).toBe(
			'write one that starts with https://',
		);
		expect(redact('not https://api.example.org/', ['https://api.example.org/x'])).toBe('not https://…');
	});
});

/** Each took seconds, or would, with patterns that go back over what they have seen. */
test.each(['eyJ', 'eyJ-', 'eyJ.', '-eyJ.', '%25', '\\', '\\u', '&amp;', '&#1', secret, ' '])(
	'a megabyte of %j takes no time',
	async unit => {
		const text = unit.repeat(1_000_000 / unit.length);
		expect(await cpuOf(() => redact(text, [secret, 'x'.repeat(10_000)]))).toBeLessThan(1000);
	},
);
