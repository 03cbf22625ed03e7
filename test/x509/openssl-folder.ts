/** A folder in which the `openssl` program makes keys and certificates for a test. */
import {execFile} from 'node:child_process';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {findProgram} from '../servers/availability.ts';

export interface OpensslFolder {
	readonly folder: string;
	file(name: string): string;
	/** Run `openssl` in the folder; gives what it prints. */
	openssl(...parameters: string[]): Promise<string>;
	close(): Promise<void>;
}

export async function openOpensslFolder(): Promise<OpensslFolder> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-openssl-'));
	const program = findProgram('openssl') as string;
	return {
		folder,
		file: name => join(folder, name),
		async openssl(...parameters) {
			return (await promisify(execFile)(program, parameters, {cwd: folder})).stdout;
		},
		close: () => rm(folder, {recursive: true, force: true}),
	};
}
