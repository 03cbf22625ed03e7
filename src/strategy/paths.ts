/** Paths as people write them in a configuration. */
import {homedir} from 'node:os';
import {resolve} from 'node:path';
import type {Environment} from './services.ts';

/**
 * An absolute path from one in a rule's options: `~/` is the home folder (`HOME`, else the operating system's word),
 * the rest starts at `folder`, which for a strategy is `RuleInfo.folder`.
 */
export function resolvePath(written: string, folder: string, environment: Environment): string {
	if (written === '~' || written.startsWith('~/')) return resolve(homeFolder(environment), written.slice(2));
	return resolve(folder, written);
}

/** The home folder of the user. */
export function homeFolder(environment: Environment): string {
	return environment.HOME || homedir();
}
