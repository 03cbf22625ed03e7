/** One thing that `gatepass doctor` has found out. */

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
}

export function ok(check: string, what: string, where?: string): Finding {
	return {check, outcome: 'ok', what, ...(where !== undefined && {where})};
}

export function warning(check: string, what: string, hint: string, where?: string): Finding {
	return {check, outcome: 'warning', what, ...(where !== undefined && {where}), hint};
}

export function failed(check: string, what: string, hint: string, where?: string): Finding {
	return {check, outcome: 'failed', what, ...(where !== undefined && {where}), hint};
}

/** An error's message taken apart: by the house's rule its last sentence says what to do. */
export function splitMend(message: string): {what: string; hint: string} {
	const end = message.search(/\. (?=[A-Z])(?!.*\. [A-Z])/s);
	if (end === -1) return {what: message, hint: 'See the documentation of the strategy'};
	return {what: message.slice(0, end), hint: message.slice(end + 2)};
}
