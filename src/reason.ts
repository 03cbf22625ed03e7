/** An error that is the reason of another one is told in that one's message. */
import {GatepassError} from './errors.ts';

/** What happened, without what to do about it: the other error has its own hint. */
export function whatOf(error: unknown): string {
	const [told] = error instanceof GatepassError ? error.diagnostics : [];
	return told?.what ?? (error as Error).message;
}
