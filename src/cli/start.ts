/** Starts the command line in this process: signals, what nobody catches, the exit code. */
import process from 'node:process';
import {exitCodes} from './exit-codes.ts';
import {endWithReader} from './output.ts';
import {reportUncaught, run} from './run.ts';
import {tellWarnings} from './warnings.ts';

export async function start(args: readonly string[]): Promise<void> {
	// Through `exit`, so that whoever shows a spinner or writes a file can clean up.
	process.on('SIGINT', () => process.exit(exitCodes.interrupted));
	process.on('SIGTERM', () => process.exit(exitCodes.terminated));
	process.on('uncaughtException', error => process.exit(reportUncaught(error, args)));
	endWithReader();
	tellWarnings();
	// A question whose input ends (Ctrl-D) is never answered, and leaves nothing to wait for: that is no success.
	const endUnanswered = (): void => {
		// The question hid the cursor.
		if (process.stderr.isTTY) process.stderr.write('\u001B[?25h');
		process.exit(exitCodes.interrupted);
	};
	process.once('beforeExit', endUnanswered);
	const code = await run(args);
	process.off('beforeExit', endUnanswered);
	process.exitCode = code;
}
