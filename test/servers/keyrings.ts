/** The kernel's keyrings, in which MIT's library keeps tickets. Containers often forbid them. */
import {spawnSync} from 'node:child_process';
import {findProgram, type RealServer} from './availability.ts';

export const keyrings: RealServer = {
	name: "the kernel's keyrings",
	install:
		'apt-get install krb5-user, on a kernel with keyrings and outside of a container that forbids them',
	whyUnavailable() {
		const klist = findProgram('klist');
		if (klist === undefined) return 'there is no program klist';
		const {stderr} = spawnSync(klist, ['-c', 'KEYRING:process:probe:probe'], {encoding: 'utf8'});
		// A cache that is looked for and not there is one that could be.
		return stderr.includes('not found') ? undefined : `klist says: ${stderr.trim()}`;
	},
};
