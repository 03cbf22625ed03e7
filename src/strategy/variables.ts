/** Reads variables that may hold a secret: what was put into one by a shell or an orchestrator often ends with a line break. */
import type {Environment} from './services.ts';

/** The variables of which was told. */
const told = new Set<string>();

/**
 * The value of a variable without a line break at its end, which is told of once, with a warning of the process, unless
 * the value has several lines, as a key has; `undefined` where it is not set.
 */
export function readVariable(environment: Environment, name: string): string | undefined {
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
