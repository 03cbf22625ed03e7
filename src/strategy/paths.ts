/** Paths as people write them in a configuration. */
import {homedir} from 'node:os';
import {resolve} from 'node:path';
import {CredentialUnavailableError} from '../errors.ts';
import type {Environment} from './services.ts';

/**
 * An absolute path from one in a rule's options: `~/` is the home folder (`HOME`, else the operating system's word),
 * the rest starts at `folder`, which for a strategy is `RuleInfo.folder`.
 *
 * @throws {CredentialUnavailableError} where it is what should be in the file, such as a key in PEM: it is not repeated.
 */
export function resolvePath(written: string, folder: string, environment: Environment): string {
	if (isFileContent(written)) {
		throw new CredentialUnavailableError(
			`Text of ${written.length} characters is given where the name of a file belongs. Write it into a file, and name that`,
		);
	}
	if (written === '~' || written.startsWith('~/')) return resolve(homeFolder(environment), written.slice(2));
	return resolve(folder, written);
}

/** The longest name that a file has, in bytes, on any system of today. */
const longestName = 255;

/** Whether a text is no name of a file, but what somebody meant to be in it: PEM, or base64 of it. */
export function isFileContent(written: string): boolean {
	if (/[\r\n\0]|-----BEGIN/.test(written)) return true;
	return written.split(/[\\/]/).some(part => Buffer.byteLength(part) > longestName);
}

/** The home folder of the user. */
export function homeFolder(environment: Environment): string {
	return environment.HOME || homedir();
}
