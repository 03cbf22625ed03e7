/** AWS's own command line, version 2, from Debian: it gives keys to other programs. */
import {spawnSync} from 'node:child_process';
import {findProgram, type RealServer} from './availability.ts';

/** The program. A first version, from elsewhere, may stand before it on the path. */
export function awsProgram(): string | undefined {
	return ['/usr/bin/aws', findProgram('aws')].find(program => {
		if (program === undefined) return false;
		const {stdout} = spawnSync(program, ['--version'], {encoding: 'utf8'});
		return stdout?.startsWith('aws-cli/2') === true;
	});
}

export const awsCli: RealServer = {
	name: "AWS's command line",
	install: 'apt-get install awscli',
	whyUnavailable: () => (awsProgram() === undefined ? 'there is no program aws of version 2' : undefined),
};
