/** One thing that `gatepass doctor` has found out: that something is well, or a diagnostic. */
import type {AnyDiagnosticCode, Diagnostic} from '../diagnostics/diagnostic.ts';

export interface Finding {
	/** What was looked at: `node`, `configuration`, `credential`, … */
	readonly check: string;
	readonly outcome: 'ok' | 'warning' | 'failed';
	/** What was found. */
	readonly what: string;
	/** The file, rule or URL. */
	readonly where?: string;
	/** What to do about it; there unless all is well. */
	readonly hint?: string;
	/** What kind of fault it is, for `gatepass doctor --explain CODE`; there unless all is well. */
	readonly code?: AnyDiagnosticCode;
}

export function ok(check: string, what: string, where?: string): Finding {
	return {check, outcome: 'ok', what, ...(where !== undefined && {where})};
}

/** Tell a diagnostic. `subject` stands before what it says, where that speaks of a part of it alone. */
export function told(
	check: string,
	{code, what, hint, where, severity}: Diagnostic,
	{subject, where: usualPlace}: {subject?: string; where?: string | undefined} = {},
): Finding {
	const place = where ?? usualPlace;
	return {
		check,
		outcome: severity === 'error' ? 'failed' : 'warning',
		what: subject === undefined ? what : `${subject}: ${what}`,
		...(place !== undefined && {where: place}),
		...(hint !== '' && {hint}),
		code,
	};
}
