/** Turns what a schema says into sentences with a hint, without repeating a value that may be secret. */
import type {StandardSchemaV1} from '@standard-schema/spec';
import type {DiagnosticCode} from '../diagnostics/codes.ts';
import {redact} from '../observability/redact.ts';
import {settingsAt} from './settings.ts';
import type {Path} from './source.ts';
import {closest} from './suggest.ts';

/** One mistake, as a person reads it. */
export interface Described {
	readonly path: Path;
	readonly message: string;
	readonly hint: string;
	readonly code: DiagnosticCode;
}

/** What zod adds to an issue; other libraries leave it out. */
interface ZodIssue extends StandardSchemaV1.Issue {
	readonly code?: string;
	readonly keys?: readonly string[];
	readonly expected?: string;
	readonly values?: readonly unknown[];
	readonly errors?: readonly (readonly ZodIssue[])[];
	readonly origin?: string;
	readonly minimum?: number | bigint;
	readonly maximum?: number | bigint;
	readonly inclusive?: boolean;
}

/**
 * Describe one issue that `schema` has with `value`. An issue may hold several mistakes. Of a message of the schema's
 * own, what stands behind the first semicolon is taken for the hint.
 */
export function describeIssue(issue: StandardSchemaV1.Issue, value: unknown, schema: unknown): Described[] {
	const path = pathOf(issue);
	const found = valueAt(value, path);
	const {code, keys = [], errors = []} = issue as ZodIssue;
	switch (code) {
		case 'unrecognized_keys':
			return keys.map(key => describeUnknownSetting([...path, key], key, settingsAt(schema, path)));
		case 'invalid_union':
			return describeUnion(errors, path, found, value, schema);
		case 'invalid_type':
		case 'invalid_value':
			return [describeMismatch(path, found, expectations(issue))];
		case 'too_small':
		case 'too_big':
			return [describeSize(issue, path, found)];
		default: {
			const [message = '', ...rest] = withoutValues(issue.message, found).split('; ');
			return [
				{
					path,
					message,
					hint: capitalised(rest.join('; ')) || 'Change it to what is expected',
					code: 'setting-malformed',
				},
			];
		}
	}
}

function describeUnknownSetting(path: Path, key: string, known: readonly string[]): Described {
	const similar = closest(key, known);
	const list = known.length === 0 ? '' : `. Those possible here are ${known.join(', ')}`;
	return {
		path,
		message: `there is no setting '${key}'`,
		hint: similar === undefined ? `Take it out${list}` : `Did you mean ${similar}?`,
		code: 'setting-unknown',
	};
}

/** Where the value is right for one alternative up to something inside of it, that is the mistake. */
function describeUnion(
	alternatives: readonly (readonly ZodIssue[])[],
	path: Path,
	found: unknown,
	value: unknown,
	schema: unknown,
): Described[] {
	const isInside = ({path = [], code}: ZodIssue) => path.length > 0 || code === 'unrecognized_keys';
	const [meant] = alternatives.filter(issues => issues.every(isInside)).sort((a, b) => a.length - b.length);
	if (meant === undefined) {
		const outside = alternatives.flat().filter(issue => !isInside(issue));
		return [describeMismatch(path, found, outside.flatMap(expectations))];
	}
	return meant.flatMap(issue => {
		const inside = {...issue, path: [...path, ...(issue.path ?? [])]};
		return describeIssue(inside, value, schema);
	});
}

function describeMismatch(path: Path, found: unknown, expected: readonly string[]): Described {
	const alternatives = expected.length === 0 ? 'what is expected' : expected.join(' or ');
	if (found === undefined) {
		const name = path.at(-1);
		if (name === undefined) {
			return {
				path,
				message: 'it is empty',
				hint: "Write 'hostRules:' and under it one rule, or see 'gatepass init'",
				code: 'setting-missing',
			};
		}
		return {path, message: 'it is missing', hint: `Add ${name}: ${alternatives}`, code: 'setting-missing'};
	}
	const mayBeString = expected.includes(names.string);
	if (mayBeString && (typeof found === 'number' || typeof found === 'boolean')) {
		return {
			path,
			message: `it is ${kindOf(found)}`,
			hint: 'Put it in quotes, so that it is a string',
			code: 'setting-malformed',
		};
	}
	const isChoice = expected.some(word => !(Object.values(names) as string[]).includes(word));
	const isUnknownWord = isChoice && !mayBeString && typeof found === 'string';
	const message = isUnknownWord ? 'the value is not one of those possible' : `it is ${kindOf(found)}`;
	return {path, message, hint: `Write ${alternatives}`, code: 'setting-malformed'};
}

function describeSize(issue: ZodIssue, path: Path, found: unknown): Described {
	const {code, origin, minimum, maximum, inclusive = true} = issue;
	const isSmall = code === 'too_small';
	if (isSmall && (found === '' || (Array.isArray(found) && found.length === 0))) {
		const what = found === '' ? 'something' : 'at least one item';
		return {path, message: 'it is empty', hint: `Write ${what}, or take it out`, code: 'setting-malformed'};
	}
	const unit = {string: ' characters', array: ' items'}[origin ?? ''] ?? '';
	const limit = `${isSmall ? minimum : maximum}${unit}`;
	const words = isSmall ? (inclusive ? 'at least' : 'more than') : inclusive ? 'at most' : 'less than';
	return {
		path,
		message: `it is too ${isSmall ? 'small' : 'large'}`,
		hint: `Write ${words} ${limit}`,
		code: 'setting-malformed',
	};
}

const names = {
	string: 'a string',
	number: 'a number',
	int: 'a whole number',
	boolean: 'true or false',
	array: 'a list',
	object: "settings, each as 'name: value'",
	record: "settings, each as 'name: value'",
} as const;

function expectations({code, expected, values}: ZodIssue): string[] {
	if (code === 'invalid_value' && values !== undefined) return values.map(String);
	return expected === undefined ? [] : [names[expected as keyof typeof names] ?? expected];
}

function kindOf(value: unknown): string {
	if (value === null) return 'empty';
	if (Array.isArray(value)) return 'a list';
	if (typeof value === 'number' && !Number.isFinite(value)) return 'not a finite number';
	if (typeof value === 'number' && !Number.isInteger(value)) return 'a fraction';
	if (typeof value === 'boolean') return String(value);
	return typeof value === 'object' ? 'a group of settings' : `a ${typeof value}`;
}

function pathOf({path = []}: StandardSchemaV1.Issue): Path {
	return path.map(part => {
		const key = typeof part === 'object' ? part.key : part;
		return typeof key === 'number' ? key : String(key);
	});
}

function valueAt(value: unknown, path: Path): unknown {
	let found = value;
	for (const part of path) {
		if (typeof found !== 'object' || found === null || !Object.hasOwn(found, part)) return undefined;
		found = (found as Record<string | number, unknown>)[part];
	}
	return found;
}

/** A message of somebody's own may repeat what was checked, and that may be a password. */
function withoutValues(message: string, found: unknown): string {
	return redact(message, textsIn(found));
}

function* textsIn(value: unknown): Generator<string> {
	if (typeof value === 'string' || typeof value === 'number') yield String(value);
	else if (typeof value === 'object' && value !== null) {
		for (const item of Object.values(value)) yield* textsIn(item);
	}
}

function capitalised(text: string): string {
	return text.charAt(0).toUpperCase() + text.slice(1);
}
