/** Debian's k5start, which keeps a ticket file fresh with a key table. */
import {execFile} from 'node:child_process';
import {promisify} from 'node:util';
import {findProgram, type RealServer} from './availability.ts';

export const k5start: RealServer = {
	name: 'k5start',
	install: 'apt-get install kstart',
	whyUnavailable: () => (findProgram('k5start') === undefined ? 'there is no program k5start' : undefined),
};

/** Have it write the file again, for the first principal of the key table. */
export async function runK5start(keytab: string, cache: string, configuration: string): Promise<void> {
	await promisify(execFile)(findProgram('k5start') as string, ['-q', '-U', '-f', keytab, '-k', cache], {
		env: {...process.env, KRB5_CONFIG: configuration},
	});
}
