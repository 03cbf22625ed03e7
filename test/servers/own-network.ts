/** A network of a process's own, with any address: for what must not be asked, and would answer there. */
import {spawnSync} from 'node:child_process';
import {findProgram, type RealServer} from './availability.ts';

export const ownNetwork: RealServer = {
	name: 'a network namespace',
	install: 'apt-get install util-linux iproute2',
	// Some containers give none, even to root.
	isOptional: true,
	whyUnavailable() {
		const missing = ['unshare', 'ip', 'sh'].find(program => findProgram(program) === undefined);
		if (missing !== undefined) return `there is no program ${missing}`;
		const {status} = spawnSync(findProgram('unshare') as string, ['--net', 'true'], {stdio: 'ignore'});
		return status === 0 ? undefined : 'this user may make none';
	},
};

/** The command that runs another one in a network that has nothing but itself and these addresses. */
export function inOwnNetwork(addresses: readonly string[], command: readonly string[]): string[] {
	const ip = findProgram('ip') ?? 'ip';
	const lines = [`${ip} link set lo up`, ...addresses.map(address => `${ip} address add ${address} dev lo`)];
	const script = `set -e\n${lines.join('\n')}\nexec "$@"`;
	return [findProgram('unshare') ?? 'unshare', '--net', 'sh', '-c', script, 'sh', ...command];
}
