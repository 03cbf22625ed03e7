import {execFile} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {expect} from 'vitest';
import {inOwnNetwork, ownNetwork} from '../servers/own-network.ts';
import {fault} from './harness.ts';

/** Of AWS, Azure, Google and others; of AWS's containers; of Alibaba; of AWS by IPv6. */
const addresses = ['169.254.169.254', '169.254.170.2', '169.254.170.23', '100.100.100.200', 'fd00:ec2::254'];

fault('metadata-address-probed', ownNetwork, () => async () => {
	const child = fileURLToPath(new URL('metadata-child.ts', import.meta.url));
	const [program = '', ...rest] = inOwnNetwork(addresses, [process.execPath, child, ...addresses]);
	// Whoever asked there would wait for ever: the time is over only then.
	const {stdout} = await promisify(execFile)(program, rest, {timeout: 80_000});
	const {seen, connected, failed} = JSON.parse(stdout);
	expect(seen).toBe(addresses.length);
	expect(connected).toEqual([]);
	// All but those that show nothing until a server asks.
	expect(failed).toContain('aws-sigv4');
	expect(failed).toContain('chain');
	expect(failed.length).toBeGreaterThan(8);
	return undefined;
});
