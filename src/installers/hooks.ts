/** Runs the user's commands around a renewal. One that fails is reported, and spoils nothing. */
import {execFile} from 'node:child_process';
import {accessSync, constants} from 'node:fs';
import {readdir} from 'node:fs/promises';
import {join} from 'node:path';
import process from 'node:process';

const largestOutput = 1024 * 1024;
/** Milliseconds for each. */
const timeout = 600_000;

export type HookKind = 'pre' | 'deploy' | 'post';

/** Why a hook failed, in a sentence; `undefined`: it did not. */
export function runHook(
	command: string,
	variables: Readonly<Record<string, string>>,
	signal?: AbortSignal,
): Promise<string | undefined> {
	return new Promise(resolve => {
		const settings = {
			env: {...process.env, ...variables},
			maxBuffer: largestOutput,
			timeout,
			killSignal: 'SIGKILL' as const,
			...(signal !== undefined && {signal}),
		};
		execFile('/bin/sh', ['-c', command], settings, (error, _output, errors) => {
			if (error === null) {
				resolve(undefined);
				return;
			}
			const how =
				signal?.aborted === true
					? 'was interrupted'
					: error.killed === true
						? `did not end within ${timeout} ms`
						: `ended with ${error.code}`;
			const words = errors
				.replace(/\p{Cc}+/gu, ' ')
				.trim()
				.slice(-300);
			resolve(`the hook '${command.slice(0, 80)}' ${how}${words === '' ? '' : `: ${words}`}`);
		});
	});
}

/** The programs in certbot's folder of hooks, in the order of their names. */
export async function hooksIn(folder: string, kind: HookKind): Promise<string[]> {
	const place = join(folder, 'renewal-hooks', kind);
	const files = await readdir(place).catch((): string[] => []);
	return files
		.sort()
		.filter(file => !file.endsWith('~'))
		.map(file => join(place, file))
		.filter(isProgram)
		.map(file => `'${file.replaceAll("'", "'\\''")}'`);
}

function isProgram(file: string): boolean {
	try {
		accessSync(file, constants.X_OK);
		return true;
	} catch {
		return false;
	}
}
