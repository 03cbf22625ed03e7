/** Heimdal waits for KDCs with select(2), which knows descriptors below 1024 only. */
import {readdirSync} from 'node:fs';

/** From here on the next descriptors may be beyond. */
const nearlyAll = 1000;

/** What that means, where a failure that looks like a KDC that is away is due to it. */
export function reachesNoSocket(text: string): readonly [meaning: string, hint: string] | undefined {
	// Heimdal's words; MIT uses poll(2).
	if (!/unable to reach any KDC/i.test(text)) return undefined;
	const count = openDescriptors();
	return count < nearlyAll
		? undefined
		: [
				`Most likely no KDC is at fault: this process has ${count} files and connections open, and with 1,024 Heimdal's library reaches no KDC`,
				"Use MIT's ('library: mit'), or have fewer open at once",
			];
}

/** Files, connections and all else that this process has open, as far as the system tells. */
function openDescriptors(): number {
	try {
		return readdirSync(process.platform === 'linux' ? '/proc/self/fd' : '/dev/fd').length;
	} catch {
		return 0;
	}
}
