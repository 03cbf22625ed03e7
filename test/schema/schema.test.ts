/** The schemas of gatepass's own, held against zod's of the same names: they take the same, make the same of it, and refuse it alike. */
import fc from 'fast-check';
import {describe, expect, expectTypeOf, test} from 'vitest';
import * as zod from 'zod';
import * as own from '../../src/schema/index.ts';

/** The makers that both have. */
type Makers = typeof own;

/** One schema, made by either. */
const cases: Record<string, (z: Makers) => own.Schema> = {
	'a string': z => z.string(),
	'a string of some length': z => z.string().min(2),
	'a string of a form': z =>
		z
			.string()
			.min(1)
			.regex(/^[a-z]+$/, 'small letters'),
	'a whole number': z => z.int(),
	'a whole number within limits': z => z.int().min(-1).max(2),
	'a positive number': z => z.int().positive(),
	'true or false': z => z.boolean(),
	'one word': z => z.literal('a'),
	'one of some words': z => z.enum(['a', 'b']),
	anything: z => z.unknown(),
	'a URL': z => z.url(),
	'a URL of a scheme': z => z.url({protocol: /^http$/}),
	'a mail address': z => z.email(),
	'what a function knows': z => z.custom(value => typeof value === 'function', {error: 'no function'}),
	'a list': z => z.array(z.string().min(1)).min(1),
	'a table': z => z.record(z.string(), z.int()),
	'a group': z => group(z),
	'a group with others beside': z => z.looseObject({a: z.string(), b: z.int().optional()}),
	'a group with more in it': z => group(z).extend({a: z.boolean(), d: z.int().default(4)}),
	'a group with a rule': z => group(z).superRefine(refuseBoth),
	'a list with a rule': z => z.array(z.string()).refine(([a]) => a !== '', {error: 'empty'}),
	'two forms': z => z.union([z.string().min(1), z.array(z.string()).min(1)]),
	'two groups': z =>
		z.union([z.strictObject({a: z.literal('a'), b: z.int()}), z.strictObject({a: z.literal('b')})]),
	'forms in a group': z =>
		z.strictObject({a: z.union([z.boolean(), z.literal('a'), z.url({protocol: /^http$/})]).default(false)}),
	'rules within rules': z =>
		z
			.strictObject({a: z.string().min(2), b: group(z).superRefine(refuseBoth).optional()})
			.superRefine(refuseBoth),
};

function group(z: Makers) {
	return z.strictObject({
		a: z.string().min(1).optional().describe('a'),
		b: z.int().min(0).default(3),
		c: z.array(z.enum(['a', 'b'])).optional(),
	});
}

function refuseBoth(value: unknown, context: own.RefinementContext): void {
	const {a, b} = value as {a?: unknown; b?: unknown};
	if (a !== undefined && b !== undefined) context.addIssue({code: 'custom', path: ['b'], message: 'both'});
}

/** Values that are about right. */
const leaf = fc.oneof(
	fc.constantFrom<unknown>(
		'',
		'a',
		'b',
		'ab',
		'A',
		'http://a.example/x',
		'https://a.example',
		'a@b.example',
		'x:',
	),
	fc.constantFrom<unknown>(undefined, null, true, false, Number.NaN, Infinity, 0.5, () => 'x', 2 ** 60),
	fc.integer({min: -3, max: 5}),
	fc.string(),
);
const {value: anyValue} = fc.letrec<{value: unknown}>(tie => ({
	value: fc.oneof(
		{depthSize: 'small', withCrossShrink: true},
		leaf,
		fc.array(tie('value'), {maxLength: 3}),
		fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), tie('value'), {maxKeys: 3, noNullPrototype: true}),
	),
}));

interface Told {
	readonly code: string;
	readonly path: readonly PropertyKey[];
	readonly errors?: readonly (readonly Told[])[];
}

/** What the texts of errors are made of. The texts themselves, where a schema has none of its own, are nobody's. */
function essence({code, path, errors, ...rest}: Told & Record<string, unknown>): unknown {
	const {expected, values, keys, minimum, maximum, message} = rest;
	return {
		...{code, path, expected, values, keys, minimum, maximum},
		...(code === 'custom' && {message}),
		...(errors !== undefined && {errors: errors.map(essences)}),
	};
}

/** zod also measures what is of another kind and has a length; who reads that it is a list needs no more. */
function essences(issues: readonly Told[]): unknown[] {
	const wrong = new Set(
		issues.filter(({code}) => code === 'invalid_type').map(({path}) => JSON.stringify(path)),
	);
	return issues
		.filter(({code, path}) => code !== 'too_small' || !wrong.has(JSON.stringify(path)))
		.map(issue => essence(issue as Told & Record<string, unknown>));
}

describe.each(Object.entries(cases))('%s', (_, make) => {
	test('takes and refuses what that of zod does', () => {
		const mine = make(own);
		const theirs = make(zod.z as unknown as Makers) as unknown as zod.ZodType;
		fc.assert(
			fc.property(anyValue, value => {
				const result = mine.safeParse(value);
				const expected = theirs.safeParse(value);
				expect(result.success).toBe(expected.success);
				if (expected.success) expect(result.data).toEqual(expected.data);
				else expect(essences(result.error?.issues ?? [])).toEqual(essences(expected.error.issues));
			}),
			{numRuns: 1000},
		);
	});
});

test('what one schema gets more, the one that it was made of does not', () => {
	const plain = own.string();
	const strict = plain.min(3).describe('a word');
	expect([plain.safeParse('a').success, strict.safeParse('a').success]).toEqual([true, false]);
	expect([plain.description, strict.description]).toEqual([undefined, 'a word']);
});

test('a default is nobody else’s to change', () => {
	const schema = own.strictObject({list: own.array(own.string()).default([])});
	schema.safeParse({}).data?.list.push('a');
	expect(schema.safeParse({}).data).toEqual({list: []});
});

test('a name of a prototype is a name as any other', () => {
	const value = JSON.parse('{"__proto__": "a", "constructor": "b"}');
	expect(own.strictObject({}).safeParse(value).error?.issues[0]?.keys).toEqual(['__proto__', 'constructor']);
	const table = own.record(own.string(), own.string()).safeParse(value).data ?? {};
	expect(Object.entries(table)).toEqual(Object.entries(value));
	expect(Object.getPrototypeOf(table)).toBe(Object.prototype);
});

test('it speaks Standard Schema', async () => {
	const {validate, vendor, version} = own.strictObject({a: own.string()})['~standard'];
	expect([vendor, version]).toEqual(['gatepass', 1]);
	expect(await validate({a: 'b'})).toEqual({value: {a: 'b'}});
	expect(await validate({a: 1})).toMatchObject({issues: [{path: ['a'], code: 'invalid_type'}]});
});

test('what may be missing has a question mark in the types, and what has a default is always there', () => {
	const schema = own.strictObject({
		a: own.string(),
		b: own.int().optional(),
		c: own.enum(['x', 'y']).default('x'),
	});
	expectTypeOf<own.input<typeof schema>>().toEqualTypeOf<{
		a: string;
		b?: number | undefined;
		c?: 'x' | 'y' | undefined;
	}>();
	expectTypeOf<own.output<typeof schema>>().toEqualTypeOf<{
		a: string;
		b?: number | undefined;
		c: 'x' | 'y';
	}>();
});
