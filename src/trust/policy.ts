/** What a file in a CA folder says about the names that CAs may give, whatever its form. */

/** Names are in the form with slashes: of `onelineSubject` for a signing policy, of `slashSubject` for namespaces. */
export interface NamePolicy {
	/**
	 * Whether a CA may give a name; `undefined` where the file says nothing about that CA.
	 *
	 * @param isOwn whether the file is that CA's own.
	 */
	judge(issuer: string, subject: string, isOwn: boolean): PolicyVerdict | undefined;
	/** What most likely says something else than was meant. */
	readonly warnings: readonly {readonly line: number; readonly what: string; readonly hint: string}[];
}

export interface PolicyVerdict {
	readonly permits: boolean;
	/** Where the file says so, counted from 1. */
	readonly line: number;
}

/** A file of rules that cannot be understood. */
export class PolicySyntaxError extends Error {
	readonly line: number;

	constructor(line: number, message: string) {
		super(message);
		this.line = line;
	}
}
