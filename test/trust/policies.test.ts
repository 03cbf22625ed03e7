/** Signing policies, namespaces files and their patterns: how they are read, and what no text can make of them. */
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {comparableName, NamePattern} from '../../src/trust/name-pattern.ts';
import {parseNamespaces} from '../../src/trust/namespaces.ts';
import {PolicySyntaxError} from '../../src/trust/policy.ts';
import {parseSigningPolicy} from '../../src/trust/signing-policy.ts';
import {cpuOf} from '../cpu-time.ts';

function expectMistake(parse: () => unknown, line: number, message: RegExp): void {
	let error: unknown;
	try {
		parse();
	} catch (thrown) {
		error = thrown;
	}
	expect(error).toBeInstanceOf(PolicySyntaxError);
	expect(error).toMatchObject({line, message: expect.stringMatching(message)});
}

describe('signing policies', () => {
	const parse = (text: string) => parseSigningPolicy(Buffer.from(text, 'latin1'));
	const head = "access_id_CA X509 '/CN=a'\npos_rights globus CA:sign\n";

	test('say where they permit and refuse', () => {
		const policy = parse(`# EACL
 access_id_CA   X509    '/C=CH/O=X/CN=CA'
 pos_rights     globus  CA:sign
# between
 cond_subjects  globus  '"/C=CH/O=X/CN=CA"  "/C=CH/*"'
`);
		const ca = '/C=CH/O=X/CN=CA';
		expect(policy.judge(ca, '/C=CH/CN=a', true)).toEqual({permits: true, line: 3});
		expect(policy.judge(ca, '/C=DE/CN=a', true)).toEqual({permits: false, line: 5});
		expect(policy.judge('/CN=another', '/C=CH/CN=a', true)).toBeUndefined();
		expect(policy.warnings).toEqual([]);
	});

	test('that permit any name, as Globus has it, are told of', () => {
		expect(parse(head).warnings).toEqual([
			{line: 2, what: expect.stringMatching(/permits any name, since no/), hint: expect.any(String)},
		]);
		expect(parse(`${head}cond_subjects globus '"/CN=a"\n"/CN=b"'\n`).warnings).toEqual([
			{line: 3, what: expect.stringMatching(/cannot read its list/), hint: expect.any(String)},
		]);
	});

	test.each([
		['access_id_CA X509\n', 1, /should read: access_id_CA/],
		['\npos_rights globus CA:sign\n', 2, /'pos_rights' stands where 'access_id_CA' should/],
		['cond_subjects globus \'"/*"\'\n', 1, /'cond_subjects' stands where/],
		["access_id_CA X509 '/CN=a'\n", 1, /after it, 'pos_rights' is missing/],
		["access_id_CA X509 '/CN=a'\npos_rights globus\n", 2, /should read: pos_rights/],
		[`${head}cond_subjects globus\n`, 3, /should read: cond_subjects/],
		[`${head}cond_subjects globus '"/C=CH/*"\n`, 3, /quotation mark is missing/],
		[`${head}cond_subjects globus '"/C=CH/*"'`, 3, /or the line end behind the last one/],
		[`${head}cond_subjects globus '"/C=CH/*"'\nmore\n`, 4, /'more' stands where/],
		["access_id_CA X509 '/CN=a\n", 1, /quotation mark/],
		['TO Issuer "/CN=a" PERMIT Subject "/.*"\n', 1, /'TO' stands where/],
		['', 1, /it says nothing/],
		['# nothing\n', 1, /it says nothing/],
	])('a mistake is told with its line: %j', (text, line, message) => {
		expectMistake(() => parse(text), line, message);
	});
});

describe('namespaces files', () => {
	const parse = (text: string) => parseNamespaces(Buffer.from(text, 'latin1'));

	test('in the forms in which they are found', () => {
		const policy = parse(`##########
#NAMESPACES-VERSION: 1.0
#
TO Issuer "/CN=a" \\
  PERMIT Subject "/C=CH/.*"

to issuer SELF  deny\tsubject "/C=CH/O=\\"Bad\\" # 1/.*" # and why
TO Issuer "/CN=b\\.c" PERMIT Subject "/C=DE"`);
		expect(policy.judge('/CN=A', '/C=CH/CN=x', false)).toMatchObject({permits: true, line: 4});
		expect(policy.judge('/CN=a', '/C=DE/CN=x', false)).toMatchObject({permits: false, line: 4});
		expect(policy.judge('/CN=a', '/C=CH/O="Bad" # 1/CN=x', false)).toMatchObject({permits: true});
		expect(policy.judge('/CN=a', '/C=CH/O="Bad"  #  1/CN=x', true)).toMatchObject({permits: false, line: 7});
		expect(policy.judge('/CN=b.c', '/C=DE', true)).toMatchObject({permits: true, line: 8});
		expect(policy.judge('/CN=bxc', '/C=DE', false)).toBeUndefined();
		const own = parse('TO Issuer SELF PERMIT Subject "/.*"\r\n');
		expect(own.judge('/CN=any', '/CN=x', true)).toMatchObject({permits: true, line: 1});
		expect(own.judge('/CN=any', '/CN=x', false)).toBeUndefined();
		expect(parse('').judge('/CN=any', '/CN=x', true)).toBeUndefined();
	});

	test.each([
		['TO Issuer /CN=a PERMIT Subject "/.*"', 1, /should read: TO Issuer/],
		['TO Issuer "/CN=a" PERMIT Subject', 1, /should read: TO Issuer/],
		['\nTO Issuer "/CN=a" ALLOW Subject "/.*"', 2, /should read: TO Issuer/],
		['TO Issuer "/CN=a" PERMIT Subject "/.*" "/x"', 1, /should read: TO Issuer/],
		['TO Issuer "/CN=a" \\\n\\\nPERMIT "Subject" "/.*"', 1, /should read: TO Issuer/],
		['# x\nTO Issuer "/CN=a PERMIT Subject /.*', 2, /quotation mark/],
		['#NAMESPACES-VERSION: 2.0', 1, /version 2\.0/],
		['TO Issuer SELF PERMIT Subject "/C=CH" \\', 1, /should read: TO Issuer/],
		[`TO Issuer SELF PERMIT Subject "/${'x'.repeat(5000)}"`, 1, /more than 4096/],
	])('a mistake is told with its line: %j', (text, line, message) => {
		expectMistake(() => parse(text), line, message);
	});
});

describe('patterns', () => {
	const expression = (pattern: string, name: string) =>
		NamePattern.fromExpression(pattern).matches(comparableName(name));

	test.each([
		['/C=CH/.*', '/C=CH/O=X', true],
		['/C=CH/.*', '/C=CH/', true],
		['/C=CH/.+', '/C=CH/', false],
		['/C=CH/.+', '/C=CH/O=X', true],
		['/C=CH/.*', '/C=C', false],
		['/CN=a.c', '/CN=abc', true],
		['/CN=a\\.c', '/CN=abc', false],
		['/CN=a\\.c', '/CN=a.c', true],
		['/O=[^/]*/CN=a', '/O=x y/CN=a', true],
		['/O=[^/]*/CN=a', '/O=x/OU=y/CN=a', false],
		['/O=[^/]+/CN=a', '/O=/CN=a', false],
		['/CN=CA  [Run by the Issuer]', '/CN=CA  [Run by the Issuer]', true],
		['/C=CH/Email=a@x', '/C=CH/emailAddress=a@x', true],
		['/UID=a', '/USERID=a', true],
		['/CN=two  blanks', '/CN=TWO blanks', true],
		['/CN=a*', '/CN=a*', true],
		['/CN=a*', '/CN=aa', false],
		['/CN=Andr\\xC3\\xA9', '/CN=Andr\\xC3\\xA9', true],
	])('the expression %s, held against %s: %s', (pattern, name, expected) => {
		expect(expression(pattern, name)).toBe(expected);
	});

	test('agree with a regular expression', () => {
		const letters = (...parts: string[]) =>
			fc.array(fc.constantFrom(...parts), {maxLength: 12}).map(all => all.join(''));
		const name = letters('a', 'b', '/');
		fc.assert(
			fc.property(
				letters('a', 'b', '/', '.', '.*', '.+', '[^/]', '[^/]*', '[^/]+'),
				name,
				(pattern, text) => {
					expect(expression(pattern, text)).toBe(new RegExp(`^(?:${pattern})$`, 's').test(text));
				},
			),
			{numRuns: 2000},
		);
	});

	test('cannot be made slow', async () => {
		const name = `/${'a'.repeat(2000)}`;
		// A regular expression of JavaScript's would not come to an end with any of these.
		const spent = await cpuOf(() => {
			expect(expression('.*'.repeat(2000), `${name}b`)).toBe(true);
			expect(expression(`/${'.*a'.repeat(1000)}c`, name)).toBe(false);
			expect(expression(`/${'a+'.repeat(1000)}c`, name)).toBe(false);
		});
		expect(spent).toBeLessThan(20_000);
	});
});

test('no text makes them fail in another way, and what is written out is read again', () => {
	const words = fc.constantFrom(
		...[
			'access_id_CA',
			'X509',
			'pos_rights',
			'neg_rights',
			'globus',
			'CA:sign',
			'cond_subjects',
			"'/CN=a'",
			'"/*"',
		],
		...[
			'TO',
			'Issuer',
			'SELF',
			'PERMIT',
			'DENY',
			'Subject',
			'"/.*"',
			'\\',
			'#',
			'"',
			"'",
			'\n',
			' ',
			'\t',
			'\0',
			'é',
		],
	);
	const text = fc.oneof(
		fc.array(words, {maxLength: 40}).map(all => Buffer.from(all.join(' '))),
		fc.uint8Array({maxLength: 200}).map(bytes => Buffer.from(bytes)),
		fc.string({unit: 'binary', maxLength: 200}).map(all => Buffer.from(all)),
	);
	fc.assert(
		fc.property(text, bytes => {
			for (const parse of [parseSigningPolicy, parseNamespaces]) {
				try {
					for (const issuer of ['/CN=a', '']) {
						const {line = 1} = parse(bytes).judge(issuer, '/CN=a', true) ?? {};
						expect(line).toBeGreaterThan(0);
					}
				} catch (error) {
					expect(error).toBeInstanceOf(PolicySyntaxError);
				}
			}
		}),
		{numRuns: 3000},
	);
	const subject = fc.stringMatching(/^\/[A-Za-z=/ .*]{1,30}[a-z]$/).map(one => one.replaceAll('.*', '.'));
	fc.assert(
		fc.property(fc.array(subject, {minLength: 1, maxLength: 5}), subjects => {
			const list = subjects.map(one => `"${one}"`).join(' ');
			const head = "access_id_CA X509 '/CN=a'\npos_rights globus CA:sign\n";
			const policy = parseSigningPolicy(Buffer.from(`${head}cond_subjects globus '${list}'\n`));
			const file = subjects.map(one => `TO Issuer "/CN=a" PERMIT Subject "${one.replaceAll('.', '\\.')}"`);
			const namespaces = parseNamespaces(Buffer.from(file.join('\n')));
			for (const one of subjects) {
				expect(policy.judge('/CN=a', one, true)?.permits).toBe(true);
				expect(namespaces.judge('/CN=a', one, true)?.permits).toBe(true);
			}
		}),
	);
});
