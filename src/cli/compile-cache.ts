/**
 * Keeps what V8 has compiled of the command line for the next time: a command mostly loads code, and compiling is a good
 * part of that.
 *
 * What is kept is code that runs as this user, so it lies where nobody else may write, beside the tokens; Node's own
 * default is in the folder for temporary files, which all users share.
 */
import {lstatSync, mkdirSync} from 'node:fs';
import {enableCompileCache, getCompileCacheDir} from 'node:module';
import {homedir} from 'node:os';
import {join} from 'node:path';
import process from 'node:process';

/** What others may write. */
const writableByOthers = 0o022;

/** Where that cannot be, nothing is kept. A folder that NODE_COMPILE_CACHE names is left as it is. */
export function keepCompiled(): void {
	if (getCompileCacheDir() !== undefined) return;
	try {
		const home = homedir();
		// Whoever is somebody else for a moment, by sudo, leaves nothing in the home of the one that he was.
		if (!isOwn(home)) return;
		const folder = join(home, '.cache', 'gatepass', 'compiled');
		mkdirSync(folder, {recursive: true, mode: 0o700});
		if (isOwn(folder) && isOwn(join(folder, '..')) && isOwn(join(folder, '..', '..'))) {
			enableCompileCache(folder);
		}
	} catch {
		// It only takes a little longer.
	}
}

function isOwn(folder: string): boolean {
	const {uid, mode} = lstatSync(folder);
	return uid === process.getuid?.() && (mode & writableByOthers) === 0;
}
