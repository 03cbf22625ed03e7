/** Debian's faketime: runs a program with another time of day. */
import {execFileSync} from 'node:child_process';
import {findProgram, type RealServer} from './availability.ts';

export const faketime: RealServer = {
	name: 'faketime',
	install: 'apt-get install faketime',
	whyUnavailable: () => (findProgram('faketime') === undefined ? 'there is no program faketime' : undefined),
};

/**
 * The environment of a program whose time of day is what a file says, such as `+1h`, and can be changed while it runs.
 * Durations go on as they are: the monotonic clock is left alone.
 */
export function timeFromFile(file: string): Record<string, string> {
	const library = execFileSync(findProgram('faketime') as string, ['-f', '+0', 'printenv', 'LD_PRELOAD']);
	return {
		LD_PRELOAD: String(library).trim(),
		FAKETIME_TIMESTAMP_FILE: file,
		FAKETIME_NO_CACHE: '1',
		FAKETIME_DONT_FAKE_MONOTONIC: '1',
	};
}
