/**
 * Files that are being replaced: k5start and many an administrator's script take a ticket file or a key table away, and
 * write it again a moment later.
 */
import {statSync} from 'node:fs';
import {dirname} from 'node:path';

/** Milliseconds that it takes at most. */
export const replacementTime = 500;

/** Whether a file was changed, or taken away, so short a time ago that somebody may be about to write it. */
export function isBeingReplaced(path: string): boolean {
	const facts = statOf(path) ?? statOf(dirname(path));
	return facts !== undefined && Math.abs(Date.now() - Number(facts.ctimeMs)) < 2 * replacementTime;
}

function statOf(path: string): ReturnType<typeof statSync> {
	try {
		return statSync(path, {throwIfNoEntry: false});
	} catch {
		return undefined;
	}
}
