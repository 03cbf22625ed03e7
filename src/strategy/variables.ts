/** Reads variables that may hold a secret: what was put into one by a shell, an orchestrator or a `.env` is not always what was meant. */
import {CredentialUnavailableError} from '../errors.ts';
import type {Environment} from './services.ts';

/** The variables of which was told. */
const told = new Set<string>();

/** The variables of each environment that a `.env` cuts; see {@link isCut}. */
const cutIn = new WeakMap<Environment, ReadonlySet<string>>();

/** Note which variables of an environment are cut in its `.env`. */
export function noteCut(environment: Environment, names: readonly string[]): void {
	cutIn.set(environment, new Set(names));
}

/**
 * Whether a `.env` says more of a variable than dotenv took from it: without quotes, it ends a value at the first `#`,
 * where Python's dotenv and shells do so only behind a blank. A password is cut there in silence.
 */
export function isCut(environment: Environment, name: string): boolean {
	return cutIn.get(environment)?.has(name) === true;
}

/** What to do about a variable that is cut. */
export const hintAboutCut =
	"Put the value into quotes there, or a blank before the '#' if a comment is meant";

/**
 * The value of a variable without a line break at its end, which is told of once, with a warning of the process, unless
 * the value has several lines, as a key has; `undefined` where it is not set.
 *
 * @throws {CredentialUnavailableError} where a `.env` cuts it: half a secret is none.
 */
export function readVariable(environment: Environment, name: string): string | undefined {
	if (isCut(environment, name)) {
		throw new CredentialUnavailableError({
			code: 'reference-malformed',
			what: `The value of ${name} in the .env is cut at its '#', where a comment begins`,
			hint: hintAboutCut,
		});
	}
	// 'constructor' is no variable, although every object has one.
	const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
	const trimmed = value?.replace(/\r?\n$/, '');
	if (trimmed === undefined || trimmed === value || trimmed.includes('\n') || told.has(name)) return trimmed;
	told.add(name);
	process.emitWarning(
		`The variable ${name} ends with a line break, which is left out. Set it without, for example with printf instead of echo`,
		{type: 'GatepassWarning', code: 'GATEPASS_LINE_BREAK'},
	);
	return trimmed;
}
