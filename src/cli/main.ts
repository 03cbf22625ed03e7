#!/usr/bin/env node
/** The command `gatepass`. */
import process from 'node:process';
import {exitCodes} from './exit-codes.ts';
import {endWithReader} from './output.ts';
import {reportUncaught, run} from './run.ts';

const args = process.argv.slice(2);
// Through `exit`, so that whoever shows a spinner or writes a file can clean up.
process.on('SIGINT', () => process.exit(exitCodes.interrupted));
process.on('SIGTERM', () => process.exit(exitCodes.terminated));
process.on('uncaughtException', error => process.exit(reportUncaught(error, args)));
endWithReader();
process.exitCode = await run(args);
