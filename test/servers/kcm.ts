/**
 * Heimdal's KCM, a daemon that keeps tickets, which MIT's clients ask as well. Heimdal's know one place for its socket
 * alone, so it is started where there is none: as root, on a machine that uses no KCM itself.
 */
import {spawn} from 'node:child_process';
import {existsSync, rmSync} from 'node:fs';
import {setTimeout as pause} from 'node:timers/promises';
import {findProgram, type RealServer} from './availability.ts';
import {stopProcess} from './process.ts';

const socket = '/var/run/.heim_org.h5l.kcm-socket';

export const heimdalKcm: RealServer = {
	name: "Heimdal's KCM",
	install: 'apt-get install heimdal-kcm',
	whyUnavailable() {
		if (findProgram('kcm') === undefined) return 'there is no program kcm';
		if (process.getuid?.() !== 0) return 'it needs root';
		return existsSync(socket) ? `there is ${socket} already` : undefined;
	},
};

export interface Kcm {
	close(): Promise<void>;
}

/** @param configuration the file for KRB5_CONFIG. */
export async function startKcm(configuration: string): Promise<Kcm> {
	const server = spawn(findProgram('kcm') as string, ['--no-name-constraints'], {
		env: {...process.env, KRB5_CONFIG: configuration},
		stdio: 'ignore',
	});
	// It says nothing.
	while (!existsSync(socket)) {
		if (server.exitCode !== null) throw new Error(`kcm ended with ${server.exitCode}`);
		await pause(50);
	}
	return {
		async close() {
			await stopProcess(server, 'SIGTERM');
			rmSync(socket, {force: true});
		},
	};
}
