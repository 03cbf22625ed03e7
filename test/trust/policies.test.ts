/** Signing policies, namespaces files and their patterns: how they are read, and what no text can make of them. */
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {comparableName, NamePattern} from '../../src/trust/name-pattern.ts';
import {parseNamespaces} from '../../src/trust/namespaces.ts';
import {type NameRule, PolicySyntaxError, parseSigningPolicy} from '../../src/trust/signing-policy.ts';

/** The rules as a person would tell them: `+ issuer: subject @line`. */
function told(rules: readonly NameRule[]): string[] {
	return rules.map(
		({issuer, permits, subject, line}) =>
			`${permits ? '+' : '-'} ${issuer ?? 'SELF'}: ${subject.text} @${line}`,
	);
}

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
	const parse = (text: string) => told(parseSigningPolicy(Buffer.from(text, 'latin1')));

	test('in the forms in which they are found', () => {
		const policy = `# EACL
 access_id_CA   X509    '/C=CH/O=X/CN=CA'
 pos_rights     globus  CA:sign
# between
 cond_subjects  globus  '"/C=CH/O=X/CN=CA"  "/C=CH/*"'
`;
		const expected = ['+ /c=ch/o=x/cn=ca: /C=CH/O=X/CN=CA @5', '+ /c=ch/o=x/cn=ca: /C=CH/* @5'];
		expect(parse(policy)).toEqual(expected);
		expect(parse(policy.replaceAll('\n', '\r\n'))).toEqual(expected);
		expect(parse(policy.replaceAll(/ +/g, '\t'))).not.toEqual([]);
		const entry = (subjects: string) =>
			parse(`access_id_CA X509 /CN=a\npos_rights globus CA:sign\ncond_subjects globus ${subjects}`);
		expect(entry(`"/C=CH/*"`)).toEqual(['+ /cn=a: /C=CH/* @3']);
		expect(entry(`'/C=CH/*'`)).toEqual(['+ /cn=a: /C=CH/* @3']);
		expect(entry('/C=CH/*')).toEqual(['+ /cn=a: /C=CH/* @3']);
		expect(entry(`"'/C=CH/*' '/C=DE/*'"`)).toEqual(['+ /cn=a: /C=CH/* @3', '+ /cn=a: /C=DE/* @3']);
		expect(entry(`'"/C=CH/*"' '"/C=DE/*"'`)).toEqual(['+ /cn=a: /C=CH/* @3', '+ /cn=a: /C=DE/* @3']);
	});

	test('several CAs, rights taken away, and others than CAs', () => {
		expect(
			parse(`access_id_CA X509 '/CN=a'
pos_rights globus CA:sign
cond_subjects globus '"/C=CH/*"'
neg_rights globus CA:sign
cond_subjects globus '"/C=CH/O=Bad/*"'
access_id_ANYBODY globus *
pos_rights globus CA:sign
cond_subjects globus '"/*"'
access_id_CA x509 '/CN=b'
pos_rights globus CA:other
cond_subjects globus '"/*"'
pos_rights globus CA:sign
cond_subjects globus '"/C=DE/*"'`),
		).toEqual(['+ /cn=a: /C=CH/* @3', '- /cn=a: /C=CH/O=Bad/* @5', '+ /cn=b: /C=DE/* @13']);
		expect(parse('')).toEqual([]);
	});

	test.each([
		['access_id_CA X509\n', 1, /should read: access_id_CA/],
		["access_id_CA PGP '/CN=a'\n", 1, /should read: access_id_CA/],
		['\npos_rights globus CA:sign\n', 2, /'access_id_CA' is missing/],
		['cond_subjects globus \'"/*"\'\n', 1, /'access_id_CA' is missing/],
		["access_id_CA X509 '/CN=a'\npos_rights globus CA:sign\n", 2, /'cond_subjects' is missing/],
		[
			"access_id_CA X509 '/CN=a'\npos_rights globus CA:sign\naccess_id_CA X509 '/CN=b'\n",
			2,
			/'cond_subjects' is missing/,
		],
		[
			"access_id_CA X509 '/CN=a'\npos_rights globus CA:sign\ncond_subjects globus\n",
			3,
			/should read: cond_subjects/,
		],
		[
			"access_id_CA X509 '/CN=a'\npos_rights globus CA:sign\ncond_subjects globus '\"/C=CH/*'\n",
			3,
			/quotation mark/,
		],
		["access_id_CA X509 '/CN=a\n", 1, /quotation mark/],
		['TO Issuer "/CN=a" PERMIT Subject "/.*"\n', 1, /begins with 'TO'/],
		[
			`access_id_CA X509 '/CN=a'\npos_rights globus CA:sign\ncond_subjects globus '"/${'x'.repeat(5000)}"'`,
			3,
			/more than 4096/,
		],
	])('a mistake is told with its line: %j', (text, line, message) => {
		expectMistake(() => parse(text), line, message);
	});
});

describe('namespaces files', () => {
	const parse = (text: string) => told(parseNamespaces(Buffer.from(text, 'latin1')));

	test('in the forms in which they are found', () => {
		expect(
			parse(`##########
#NAMESPACES-VERSION: 1.0
#
TO Issuer "/CN=a" \\
  PERMIT Subject "/C=CH/.*"

to issuer SELF  deny\tsubject "/C=CH/O=\\"Bad\\" # 1/.*" # and why
TO Issuer "/CN=b\\.c" PERMIT Subject "/C=DE"`),
		).toEqual(['+ /cn=a: /C=CH/.* @4', '- SELF: /C=CH/O=\\"Bad\\" # 1/.* @7', '+ /cn=b.c: /C=DE @8']);
		expect(parse('TO Issuer SELF PERMIT Subject "/.*"\r\n')).toEqual(['+ SELF: /.* @1']);
		expect(parse('')).toEqual([]);
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
	const wildcard = (pattern: string, name: string) =>
		NamePattern.fromWildcards(pattern).matches(comparableName(name));
	const expression = (pattern: string, name: string) =>
		NamePattern.fromExpression(pattern).matches(comparableName(name));

	test.each([
		['/C=CH/*', '/C=CH/O=X', true],
		['/C=CH/*', '/C=CH/', true],
		['/C=CH/*', '/C=CH', false],
		['/C=CH/*', '/C=CHE/O=X', false],
		['/C=CH/*', '/O=X/C=CH/O=Y', false],
		['/C=ch/o=x', '/C=CH/O=X', true],
		['*/CN=a?c', '/O=X/CN=abc', true],
		['*/CN=a?c', '/O=X/CN=ac', false],
		['/CN=a.c', '/CN=abc', false],
		['/CN=[a]', '/CN=[a]', true],
		['/*a*b*', '/xxaxxbxx', true],
		['/*a*b*', '/xxbxxaxx', false],
		['/C=CH/Email=a@x', '/C=CH/emailAddress=a@x', true],
		['/UID=a', '/USERID=a', true],
		['/CN=Andr\\xC3\\xA9', '/CN=Andr\\xc3\\xa9', true],
		['', '', true],
		['', '/CN=a', false],
	])('the wildcards %s, held against %s: %s', (pattern, name, expected) => {
		expect(wildcard(pattern, name)).toBe(expected);
	});

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
		fc.assert(
			fc.property(letters('a', 'b', '/', '*', '?'), name, (pattern, text) => {
				const source = pattern.replaceAll('?', '.').replaceAll('*', '.*');
				expect(wildcard(pattern, text)).toBe(new RegExp(`^(?:${source})$`, 's').test(text));
			}),
			{numRuns: 2000},
		);
	});

	test('cannot be made slow', () => {
		const name = `/${'a'.repeat(2000)}`;
		// A regular expression of JavaScript's would not come to an end with any of these.
		const started = performance.now();
		expect(expression('.*'.repeat(2000), `${name}b`)).toBe(true);
		expect(expression(`/${'.*a'.repeat(1000)}c`, name)).toBe(false);
		expect(expression(`/${'a+'.repeat(1000)}c`, name)).toBe(false);
		expect(wildcard(`/${'*a'.repeat(1000)}c`, name)).toBe(false);
		expect(performance.now() - started).toBeLessThan(20_000);
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
					for (const {subject, line} of parse(bytes)) {
						expect(line).toBeGreaterThan(0);
						subject.matches(comparableName('/CN=a'));
					}
				} catch (error) {
					expect(error).toBeInstanceOf(PolicySyntaxError);
				}
			}
		}),
		{numRuns: 3000},
	);
	const subject = fc.stringMatching(/^\/[A-Za-z=/ .*]{1,30}[a-z]$/);
	fc.assert(
		fc.property(fc.array(subject, {minLength: 1, maxLength: 5}), subjects => {
			const list = subjects.map(one => `"${one}"`).join(' ');
			const policy = `access_id_CA X509 '/CN=a'\npos_rights globus CA:sign\ncond_subjects globus '${list}'`;
			expect(parseSigningPolicy(Buffer.from(policy)).map(rule => rule.subject.text)).toEqual(subjects);
			const file = subjects.map(one => `TO Issuer "/CN=a" PERMIT Subject "${one}"`).join('\n');
			expect(parseNamespaces(Buffer.from(file)).map(rule => rule.subject.text)).toEqual(subjects);
		}),
	);
});
