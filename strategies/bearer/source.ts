/** Where a token comes from that is handed on: a file, a variable, a program, a function. Read again whenever it is wanted. */
import {createHash, randomUUID} from 'node:crypto';
import {z} from 'zod';
import {CredentialUnavailableError, GatepassError} from '../../src/errors.ts';
import {
	type Environment,
	type Notices,
	type RuleInfo,
	readVariable,
	resolvePath,
} from '../../src/strategy/index.ts';
import {programShape} from '../command/options.ts';
import {ProgramSource} from '../command/program-source.ts';
import {reasonOf, TokenFiles} from './token-files.ts';

/** Milliseconds that a function may take. */
const patience = 30_000;
/** Characters. Real tokens have a few kilobytes; what is looked for in a server's answers takes its time by its length. */
const longestText = 64 * 1024;

type Function = () => string | Promise<string>;

const giver = z.custom<Function>(value => typeof value === 'function', {error: 'it is no function'});

/** The forms of a source that is asked for each request. */
export const promptForms = [
	z.strictObject({file: z.string().min(1).describe('A file that holds it, read again each time')}),
	z.strictObject({variable: z.string().min(1).describe('A variable that holds it')}),
	z.strictObject({function: giver.describe('A function that gives it')}),
	giver.describe('A function that gives it'),
] as const;

/** The forms of a source that is asked for each token request. */
export const sourceForms = [
	...promptForms,
	z.strictObject(programShape).describe('A program that prints it, run each time'),
] as const;

export const sourceOptions = z.union(sourceForms);

export type SourceOptions = z.output<typeof sourceOptions>;

export interface SourceServices {
	readonly environment: Environment;
	readonly rule: RuleInfo;
	readonly notices: Notices;
}

export interface TextSource {
	/** For a person: the file, the variable, the program. */
	readonly place: string;
	/** Whether it can be read for each request, as it costs little and runs nobody's code. */
	readonly isCheap: boolean;
	/** Tells it apart from other sources, by what it is and not by what it holds. No secret is in it. */
	readonly key: string;
	/**
	 * What it holds now.
	 *
	 * @throws {CredentialUnavailableError} where it holds nothing.
	 * @throws {TokenRequestError} where a program fails.
	 */
	read(): Promise<string>;
	/** End what runs. */
	dispose(): void;
}

/** The source that is named by the option `option`. */
export function openSource(options: SourceOptions, option: string, services: SourceServices): TextSource {
	const {environment, rule} = services;
	const unavailable = (what: string, cause?: unknown): CredentialUnavailableError =>
		new CredentialUnavailableError(
			{
				code: 'token-source-unusable',
				what: `The '${option}' of the rule for ${rule.match} (${rule.source}) ${what}`,
				hint: '',
			},
			cause === undefined ? {} : {cause},
		);
	const checked = (text: unknown, place: string): string => {
		const token = typeof text === 'string' ? text.trim() : '';
		if (token === '') throw unavailable(`is empty: ${place} holds no token. Put it there`);
		if (token.length > longestText)
			throw unavailable(`is too long for a token: ${place} holds something else`);
		return token;
	};
	const dispose = (): void => {};
	if (typeof options === 'function' || 'function' in options) {
		const give = typeof options === 'function' ? options : options.function;
		const place = 'what the function gives';
		const read = async (): Promise<string> => {
			let given: unknown;
			try {
				given = await withinPatience(async () => give());
			} catch (cause) {
				if (cause instanceof GatepassError) throw cause;
				if (cause === tooSlow)
					throw unavailable(`cannot be had: its function took more than ${patience} ms. Put it right`);
				throw unavailable('cannot be had: its function failed. Put it right', cause);
			}
			return checked(given, place);
		};
		// Two programs may give different things under one configuration.
		return {place, isCheap: false, key: `function ${randomUUID()}`, read, dispose};
	}
	if ('variable' in options) {
		const {variable} = options;
		const place = `the variable ${variable}`;
		const read = async (): Promise<string> => checked(readVariable(environment, variable), place);
		return {place, isCheap: true, key: place, read, dispose};
	}
	if ('file' in options) {
		const file = resolvePath(options.file, rule.folder, environment);
		const files = new TokenFiles();
		const read = async (): Promise<string> => {
			try {
				return checked(await files.read(file), file);
			} catch (error) {
				if (error instanceof GatepassError) throw error;
				throw unavailable(`cannot be read from ${file} (${reasonOf(error)}). Put the token there`, error);
			}
		};
		return {place: file, isCheap: true, key: file, read, dispose};
	}
	const program = new ProgramSource(options, services);
	return {
		place: `the output of ${program.name}`,
		isCheap: false,
		key: `program ${program.key}`,
		async read() {
			const {readText} = await import('../command/read-output.ts');
			return program.run(output => readText(output).value);
		},
		dispose: () => program.dispose(),
	};
}

const tooSlow = Symbol('too slow');

/** It cannot be stopped, but nobody waits for it. */
async function withinPatience<Result>(work: () => Promise<Result>): Promise<Result> {
	const {promise, reject} = Promise.withResolvers<never>();
	const timer = setTimeout(reject, patience, tooSlow);
	try {
		return await Promise.race([work(), promise]);
	} finally {
		clearTimeout(timer);
	}
}

/** A text for a cache key: what it is remains unknown. */
export function digestOf(text: string): string {
	return createHash('sha256').update(text).digest('base64url');
}
