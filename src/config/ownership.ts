/**
 * Whether a file that was found, not named, is this user's to trust: a configuration says who gets which credential, and
 * a module beside it is run.
 */
import {type Stats, statSync} from 'node:fs';
import {dirname} from 'node:path';

/** Why it is not loaded by itself: a clause that follows its name. `undefined`: nobody else can have written it. */
export function whyNotTrusted(file: string): string | undefined {
	// Where files have no owners in this sense.
	if (process.geteuid === undefined) return undefined;
	const status = statSync(file, {throwIfNoEntry: false});
	const folder = statSync(dirname(file), {throwIfNoEntry: false});
	// What is no regular file is not read anyway.
	if (!status?.isFile() || folder === undefined) return undefined;
	if (isOthers(status)) return `belongs to another user (number ${status.uid})`;
	if (isWritable(status)) return `may be written to by others (mode ${inOctal(status)})`;
	if (isOthers(folder)) return `lies in a folder that belongs to another user (number ${folder.uid})`;
	if (isWritable(folder)) return `lies in a folder that others may write to (mode ${inOctal(folder)})`;
	return undefined;
}

function isOthers({uid}: Stats): boolean {
	return uid !== 0 && uid !== process.geteuid?.();
}

/** Systems that give each user a group of its own let that group write by default, and nobody else is in it. */
function isWritable({mode, gid}: Stats): boolean {
	return (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== 0 && gid !== process.getegid?.());
}

function inOctal({mode}: Stats): string {
	return (mode & 0o7777).toString(8).padStart(4, '0');
}
