/** `WWW-Authenticate` as servers write it, as RFC 9110 has it, and as somebody would who means harm. */
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {findChallenge} from '../../strategies/kerberos/challenge.ts';

test.each<[string | string[] | undefined, string | undefined]>([
	[undefined, undefined],
	['', undefined],
	[[], undefined],
	['Negotiate', ''],
	['negotiate', ''],
	['NEGOTIATE', ''],
	['Negotiate YII=', 'YII='],
	['nEgOtIaTe   YII+/AB==', 'YII+/AB=='],
	['Negotiate\tYII=', 'YII='],
	['  Negotiate YII=  ', 'YII='],
	[',,Negotiate,,', ''],
	['Negotiate, Basic realm="x"', ''],
	['Negotiate YII=, Basic realm="x"', 'YII='],
	['Basic realm="x", Negotiate', ''],
	['Basic realm="x", Negotiate YII=', 'YII='],
	['Basic realm=x,Negotiate YII=', 'YII='],
	['Basic realm = "x" , charset = "UTF-8" , Negotiate YII=', 'YII='],
	['Digest realm="a, Negotiate FAKE=", nonce="x", Negotiate YII=', 'YII='],
	['Digest realm="a\\", Negotiate FAKE=", Negotiate YII=', 'YII='],
	['Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"', undefined],
	['Bearer abc.def==, Negotiate YII=', 'YII='],
	['NTLM, Negotiate, Basic realm="x"', ''],
	['Negotiate realm="x"', ''],
	['Basic realm="Negotiate"', undefined],
	['Basic realm=Negotiate', undefined],
	['Basic Negotiate=x', undefined],
	['Basic realm="Negotiate YII=', undefined],
	['NegotiateX YII=', undefined],
	['XNegotiate YII=', undefined],
	['X-Negotiate', undefined],
	[['Basic realm="x"', 'Negotiate YII='], 'YII='],
	[['Basic realm="x"', 'negotiate'], ''],
	[['Negotiate FIRST=', 'Negotiate SECOND='], 'FIRST='],
	['Negotiate FIRST=, Negotiate SECOND=', 'FIRST='],
	['Negotiate not base64 at all', ''],
])('%j holds %j', (header, token) => {
	expect(findChallenge(header, 'Negotiate')).toBe(token);
});

describe('any header', () => {
	const token = fc.stringMatching(/^[A-Za-z0-9+/]{1,40}={0,2}$/);
	const word = fc.stringMatching(/^[A-Za-z][\w-]{0,8}$/);
	const quoted = fc
		.string({unit: fc.constantFrom('a', ' ', ',', '=', '"', '\\', 'Negotiate x='), maxLength: 8})
		.map(text => `"${text.replaceAll(/["\\]/g, '\\$&')}"`);
	const parameter = fc.tuple(word, fc.oneof(word, quoted)).map(([name, value]) => `${name}=${value}`);
	const other = fc.oneof(
		fc.constantFrom('NTLM', 'Bearer abc'),
		fc
			.tuple(word, fc.array(parameter, {minLength: 1, maxLength: 3}))
			.map(([scheme, parameters]) => `${scheme} ${parameters.join(', ')}`),
	);
	const isOther = (text: string): boolean => !/^negotiate\b/i.test(text);
	const caseOf = fc.constantFrom('Negotiate', 'negotiate', 'NEGOTIATE', 'NegoTiate');

	test('made of challenges gives the one that is in it, wherever it stands', () => {
		fc.assert(
			fc.property(
				fc.array(other.filter(isOther), {maxLength: 4}),
				fc.array(other.filter(isOther), {maxLength: 4}),
				caseOf,
				fc.option(token, {nil: ''}),
				fc.boolean(),
				(before, after, scheme, wanted, separately) => {
					const all = [...before, wanted === '' ? scheme : `${scheme} ${wanted}`, ...after];
					expect(findChallenge(separately ? all : all.join(', '), 'negotiate')).toBe(wanted);
					expect(findChallenge(separately ? before : before.join(', '), 'negotiate')).toBeUndefined();
				},
			),
			{numRuns: 2000},
		);
	});

	test('made of anything never throws, and finds no more than what stands there', () => {
		const piece = fc.constantFrom('Negotiate', ' ', ',', '=', '"', '\\', 'abc', '\t', 'realm', '\u0000', 'ü');
		const text = fc.oneof(
			fc.array(piece, {maxLength: 12}).map(pieces => pieces.join('')),
			fc.string(),
		);
		fc.assert(
			fc.property(text, header => {
				const found = findChallenge(header, 'negotiate');
				if (found !== undefined) {
					expect(header.toLowerCase()).toContain('negotiate');
					expect(header).toContain(found);
					expect(found).toMatch(/^[\w.~+/-]*=*$/);
				}
			}),
			{numRuns: 3000},
		);
	});
});

describe('the time it takes grows with the length, and no faster', () => {
	// Each of these made some parser slow: what is read must not be read again for each character.
	test.each<[string, (length: number) => string]>([
		['spaces', length => `Basic${' '.repeat(length)}`],
		['spaces between words', length => 'a '.repeat(length / 2)],
		['words', length => 'a'.repeat(length)],
		['commas', length => ','.repeat(length)],
		['equals signs', length => `a ${'='.repeat(length)}b`],
		['open quotes', length => 'a="'.repeat(length / 3)],
		['backslashes', length => `a="${'\\'.repeat(length)}`],
		['schemes', length => 'a b, '.repeat(length / 5)],
		['long words in a row', length => `${'a'.repeat(length / 10)} `.repeat(10)],
		['no words', length => '('.repeat(length)],
	])('%s', (_, make) => {
		const small = make(50_000);
		const large = make(1_000_000);
		findChallenge(small, 'negotiate');
		// The shortest of several, in milliseconds of this process's own: whatever else the machine does only adds.
		const time = (header: string): number =>
			Math.min(
				...Array.from({length: 5}, () => {
					const before = process.cpuUsage();
					findChallenge(header, 'negotiate');
					return process.cpuUsage(before).user / 1000;
				}),
			);
		// Twenty times the length: were it squared, it would be four hundred times the time.
		expect(time(large)).toBeLessThan(200 * Math.max(1, time(small)));
	});
});
