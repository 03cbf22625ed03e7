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
	process.exitCode = await run(args);
}
