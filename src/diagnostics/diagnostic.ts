/** One statement about what is wrong: what checks, `doctor`, warnings and errors are made of. */
import type {DiagnosticCode} from './codes.ts';

/** How bad it is. With an `error` a request fails or would; a `warning` needs a person's attention; a `note` does not. */
export type Severity = 'error' | 'warning' | 'note';

/** Stable, for programs. Those of other packages have a slash: `PACKAGE/CODE`. */
export type AnyDiagnosticCode = DiagnosticCode | `${string}/${string}`;

/** One statement about what is wrong. Holds no secret. */
export interface Diagnostic {
	/** Stable, in words. Each of gatepass has a page: `gatepass doctor --explain CODE` prints it. */
	readonly code: AnyDiagnosticCode;
	/** What is wrong: whole sentences without the last full stop, which stand alone. */
	readonly what: string;
	/** What to do about it, likewise. */
	readonly hint: string;
	/** The file, `file:line`, rule or URL at fault, where `what` speaks of one. */
	readonly where?: string;
	readonly severity: Severity;
}

/** A diagnostic as it is written down where something is found wrong. `severity` is `error` where nothing is said. */
export type Finding = Omit<Diagnostic, 'severity'> & {readonly severity?: Severity};

/** The whole of a diagnostic. */
export function diagnostic({severity = 'error', ...finding}: Finding): Diagnostic {
	return {...finding, severity};
}

/** A warning: nothing fails yet. */
export function warning(finding: Omit<Finding, 'severity'>): Diagnostic {
	return {...finding, severity: 'warning'};
}

/** A diagnostic as one text for people: what is wrong, then what to do. */
export function render({what, hint}: Pick<Diagnostic, 'what' | 'hint'>): string {
	if (hint === '') return what;
	// What ends with a list or a question has its end.
	return /[.:?!]$/.test(what) || what.includes('\n') ? `${what} ${hint}` : `${what}. ${hint}`;
}
