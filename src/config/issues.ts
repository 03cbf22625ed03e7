/** Turns what a schema says into a sentence with a mend, without repeating a secret. */
import type {StandardSchemaV1} from '@standard-schema/spec';
import type {Path} from './source.ts';
import {closest} from './suggest.ts';

interface Described {
	readonly path: Path;
	readonly message: string;
	readonly mend: string;
}

/** What zod adds to an issue; other libraries leave it out. */
interface ZodHints {
	readonly code?: string;
	readonly keys?: readonly string[];
	readonly expected?: string;
	readonly values?: readonly unknown[];
	readonly errors?: readonly (readonly StandardSchemaV1.Issue[])[];
}

/** Describe one issue; `value` is what was checked. */
export function describeIssue(issue: StandardSchemaV1.Issue, value: unknown): Described {
	const path = (issue.path ?? []).map(part => {
		const key = typeof part === 'object' ? part.key : part;
		return typeof key === 'number' ? key : String(key);
	});
	const {code, keys, expected, values} = issue as ZodHints;
	const found = valueAt(value, path);
	if (code === 'unrecognized_keys' && keys !== undefined) {
		const [key = ''] = keys;
		const similar = closest(key, knownKeys(issue));
		return {
			path: [...path, key],
			message:
				keys.length === 1 ? `there is no setting '${key}'` : `there are no settings ${keys.join(', ')}`,
			mend:
				similar === undefined ? 'Take it out, or see the reference for the name' : `Did you mean ${similar}?`,
		};
	}
	if (code === 'invalid_value' && values !== undefined) {
		return {
			path,
			message: 'the value is not one of those possible',
			mend: `Write one of ${values.join(', ')}`,
		};
	}
	if (found === undefined && (code === 'invalid_type' || code === 'invalid_union')) {
		return {
			path,
			message: 'it is missing',
			mend: `Add ${path.at(-1) ?? 'it'}${expected === undefined ? '' : ` (${expected})`}`,
		};
	}
	if (code === 'invalid_type')
		return {path, message: `it is ${kindOf(found)}`, mend: `Write ${withArticle(expected)}`};
	const message =
		typeof found === 'string' && found.length > 3 ? issue.message.replaceAll(found, '…') : issue.message;
	return {path, message, mend: 'Change it to what is expected'};
}

/** Blot out every value that came from a variable or a file. Values of fewer than four characters tell nothing. */
export function hideSecrets(message: string, secrets: ReadonlySet<string>): string {
	let hidden = message;
	for (const secret of secrets) if (secret.length > 3) hidden = hidden.replaceAll(secret, '…');
	return hidden;
}

function knownKeys(issue: StandardSchemaV1.Issue): readonly string[] {
	const {inst} = issue as {inst?: {shape?: object}};
	return Object.keys(inst?.shape ?? {});
}

function valueAt(value: unknown, path: Path): unknown {
	let found = value;
	for (const part of path) {
		if (typeof found !== 'object' || found === null) return undefined;
		found = (found as Record<string | number, unknown>)[part];
	}
	return found;
}

function kindOf(value: unknown): string {
	if (value === null) return 'empty';
	if (Array.isArray(value)) return 'a list';
	return withArticle(typeof value);
}

function withArticle(noun = 'value of the right type'): string {
	return /^[aeiou]/.test(noun) ? `an ${noun}` : `a ${noun}`;
}
