/** How faults of a bundle are told. */
import {existsSync, readdirSync} from 'node:fs';
import type {DiagnosticCode} from '../diagnostics/codes.ts';
import type {Diagnostic} from '../diagnostics/diagnostic.ts';

/** Something that is wrong with a bundle, or soon will be. */
export interface BundleFault extends Diagnostic {
	/** The certificate's subject, or the file. */
	readonly subject: string;
}

/** Notes a fault that makes a bundle fail. */
export type Fail = (subject: string, what: string, hint: string, code?: DiagnosticCode) => void;

/** Does some work; a failure of it becomes a fault of `subject`. */
export type Attempt = <Result>(subject: string, work: () => Result) => Result | undefined;

/** What helps against most faults. */
export const rebuild = "Run 'gatepass bundle build' again";

/** The files of a folder that may be missing. */
export function namesIn(folder: string): string[] {
	return existsSync(folder) ? readdirSync(folder).sort() : [];
}
