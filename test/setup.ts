/**
 * For each test file: a connection to `localhost` is given time. Node leaves 127.0.0.1 for ::1, where nobody listens, after
 * 250 ms, which a busy machine needs now and then.
 */
import {setDefaultAutoSelectFamilyAttemptTimeout} from 'node:net';

/** Milliseconds. */
const attemptTimeout = 30_000;

setDefaultAutoSelectFamilyAttemptTimeout(attemptTimeout);

// And in the processes that tests start.
const option = `--network-family-autoselection-attempt-timeout=${attemptTimeout}`;
const {NODE_OPTIONS: options = ''} = process.env;
if (!options.includes(option)) process.env.NODE_OPTIONS = `${options} ${option}`.trim();
