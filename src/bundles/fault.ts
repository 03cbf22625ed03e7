/** How faults of a bundle are told. */
import {existsSync, readdirSync} from 'node:fs';

/** Something that is wrong with a bundle, or soon will be. */
export interface BundleFault {
	readonly severity: 'failed' | 'warning';
	/** The certificate's subject, or the file. */
	readonly subject: string;
	readonly what: string;
	readonly hint: string;
}

/** Notes a fault that makes a bundle fail. */
export type Fail = (subject: string, what: string, hint: string) => void;

/** Does some work; a failure of it becomes a fault of `subject`. */
export type Attempt = <Result>(subject: string, work: () => Result) => Result | undefined;

/** What helps against most faults. */
export const rebuild = "Run 'gatepass bundle build' again";

/** The files of a folder that may be missing. */
export function namesIn(folder: string): string[] {
	return existsSync(folder) ? readdirSync(folder).sort() : [];
}

/** By the house's rule the last sentence of a message says what to do. */
export function splitMend(message: string): {what: string; hint: string} {
	const end = message.search(/\. (?=[A-Z])(?!.*\. [A-Z])/s);
	return end === -1
		? {what: message, hint: rebuild}
		: {what: message.slice(0, end), hint: message.slice(end + 2)};
}
