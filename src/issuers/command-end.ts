/** How a command of the user's that failed has ended, in words: what Node says is a code, a signal, or a name of its own. */
import type {ExecFileException} from 'node:child_process';

/** `ended with 1`, `was interrupted`. */
export function describeEnd(
	{code, killed, signal}: ExecFileException,
	limits: {timeout: number; maxBuffer: number},
): string {
	if (killed === true) return `did not end within ${limits.timeout} ms`;
	if (code === 'ABORT_ERR') return 'was interrupted';
	if (code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') return `printed more than ${limits.maxBuffer} bytes`;
	if (typeof code === 'string') return `cannot be run (${code})`;
	return typeof signal === 'string' ? `was ended by ${signal}` : `ended with ${code}`;
}
