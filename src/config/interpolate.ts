/** Replaces `${NAME}`, `${NAME:-default}` and `${file:PATH}` in string values; `$${` stands for `${`. */
import {FileReadError, readBoundedSync} from '../files/bounded-read.ts';
import {resolvePath} from '../strategy/paths.ts';
import type {Environment} from '../strategy/services.ts';
import {hintAboutCut, isCut, readVariable} from '../strategy/variables.ts';
import type {Problems} from './problems.ts';
import type {Path} from './source.ts';

/** Bytes. A file named by `${file:…}` holds one secret; anything larger is a mistake. */
export const largestSecretFile = 64 * 1024;

/** A file that was named by `${file:…}`. */
export interface SecretFile {
	/** The way to the value that it is a part of. */
	readonly path: Path;
	/** Absolute. */
	readonly file: string;
	/** What was in it. A secret. */
	readonly text: string;
}

export interface Interpolated {
	readonly value: unknown;
	/** Every value that was put in: none of them may show up in a message. */
	readonly secrets: ReadonlySet<string>;
	readonly files: readonly SecretFile[];
}

export interface InterpolationContext {
	readonly environment: Environment;
	/** Where relative paths start. */
	readonly folder: string;
	readonly problems: Problems;
}

/** Deeper than any configuration is; what goes further contains itself, or is meant to exhaust the stack. */
const deepest = 100;

/** A copy of `value` with all references replaced. What cannot be replaced is reported and left out. */
export function interpolate(value: unknown, context: InterpolationContext): Interpolated {
	const secrets = new Set<string>();
	const files: SecretFile[] = [];
	const replace = (text: string, path: Path): string => {
		const {parts, unclosed} = splitReferences(text);
		if (unclosed) {
			context.problems.addUnresolved(
				path,
				"'${' is not closed",
				"Add the '}', or write '$${' for the characters themselves",
				'reference-malformed',
			);
		}
		return parts
			.map(part => {
				if (typeof part === 'string') return part;
				const found = resolveReference(part.reference, path, context, files);
				if (found !== '') secrets.add(found);
				return found;
			})
			.join('');
	};
	const walk = (node: unknown, path: Path): unknown => {
		if (typeof node === 'string') return replace(node, path);
		if (path.length > deepest) {
			context.problems.add(
				path.slice(0, 2),
				`it is nested more than ${deepest} deep, or contains itself`,
				'Write it flat',
				'setting-malformed',
			);
			return undefined;
		}
		if (Array.isArray(node)) return node.map((item, index) => walk(item, [...path, index]));
		if (isPlainObject(node)) {
			return Object.fromEntries(Object.entries(node).map(([key, item]) => [key, walk(item, [...path, key])]));
		}
		return node;
	};
	return {value: walk(value, []), secrets, files};
}

type Part = string | {readonly reference: string};

function splitReferences(text: string): {parts: Part[]; unclosed: boolean} {
	const parts: Part[] = [];
	let position = 0;
	for (;;) {
		const start = text.indexOf('${', position);
		if (start === -1) return {parts: [...parts, text.slice(position)], unclosed: false};
		if (text[start - 1] === '$' && start > position) {
			parts.push(text.slice(position, start - 1), '${');
			position = start + 2;
			continue;
		}
		const end = text.indexOf('}', start);
		if (end === -1) return {parts, unclosed: true};
		parts.push(text.slice(position, start), {reference: text.slice(start + 2, end)});
		position = end + 1;
	}
}

function resolveReference(
	reference: string,
	path: Path,
	context: InterpolationContext,
	files: SecretFile[],
): string {
	if (reference.startsWith('file:')) {
		const found = readSecretFile(reference.slice('file:'.length), path, context);
		if (found === undefined) return '';
		files.push(found);
		return found.text;
	}
	const [name = '', ...rest] = reference.split(':-');
	const fallback = rest.length > 0 ? rest.join(':-') : undefined;
	if (!/^[A-Za-z_]\w*$/.test(name)) {
		context.problems.addUnresolved(
			path,
			`'\${${name}}' names no variable`,
			"Write ${NAME}, ${NAME:-default} or ${file:PATH}, or '$${' for the characters themselves",
			'reference-malformed',
		);
		return '';
	}
	if (fallback?.includes('${')) {
		context.problems.addUnresolved(
			path,
			`the default of ${name} has a reference inside`,
			'Write a plain text for the default; one reference cannot stand inside of another',
			'reference-malformed',
		);
		return '';
	}
	const {environment} = context;
	if (isCut(environment, name)) {
		context.problems.addUnresolved(
			path,
			`the value of ${name} in the .env is cut at its '#', where a comment begins`,
			hintAboutCut,
			'reference-malformed',
		);
		return '';
	}
	const value = readVariable(environment, name);
	// As in a shell: ':-' also replaces an empty value.
	if (fallback !== undefined && (value === undefined || value === '')) return fallback;
	if (value === undefined) {
		context.problems.addUnresolved(
			path,
			`the variable ${name} is not set`,
			`Set it in the environment or in the .env beside the configuration, or write \${${name}:-default}`,
			'variable-not-set',
		);
		return '';
	}
	return value;
}

function readSecretFile(
	written: string,
	path: Path,
	{folder, environment, problems}: InterpolationContext,
): SecretFile | undefined {
	const file = resolvePath(written, folder, environment);
	try {
		return {path, file, text: secretIn(readBoundedSync(file, largestSecretFile).bytes)};
	} catch (error) {
		if (!(error instanceof FileReadError)) throw error;
		const [what, hint] = whatIsWrong(error);
		problems.addUnresolved(path, `${file} ${what}`, hint, 'secret-file-unusable');
		return undefined;
	}
}

function whatIsWrong({code, size, message}: FileReadError): [what: string, hint: string] {
	if (code === undefined) {
		const what = size === undefined ? message : `has ${size} bytes, too many for a secret`;
		return [what, 'Name a file that holds just the secret'];
	}
	const what = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`;
	return [what, 'Name a file that exists and that this user may read'];
}

/** The secret that a file holds: the line break that editors put at its end is none of it. */
export function secretIn(bytes: Buffer): string {
	return bytes.toString('utf8').replace(/\r?\n$/, '');
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
	if (typeof value !== 'object' || value === null) return false;
	const prototype = Object.getPrototypeOf(value);
	return prototype === Object.prototype || prototype === null;
}
