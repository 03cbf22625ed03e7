/** `gatepass serve` as a process. */
import type {ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {expect} from 'vitest';
import type {Workspace} from '../cli/command-line.ts';
import {untilServing} from '../servers/process.ts';

export interface StartedService {
	readonly child: ChildProcess;
	/** `http://HOST:PORT` or `unix:PATH`. */
	readonly place: string;
	stderr(): string;
	stdout(): string;
	/** Wait until it has told this, whatever the blanks and line breaks. */
	said(pattern: RegExp): Promise<void>;
}

/** Start one in a workspace, and wait until it listens. */
export async function serveIn(
	workspace: Workspace,
	args: readonly string[],
	env: Record<string, string>,
): Promise<StartedService> {
	return follow(workspace.start(['serve', ...args], {env}));
}

/** The same for a process that was started in another way. */
export async function follow(child: ChildProcess): Promise<StartedService> {
	let stderr = '';
	let stdout = '';
	child.stderr?.on('data', data => {
		stderr += data;
	});
	child.stdout?.on('data', data => {
		stdout += data;
	});
	const said = (pattern: RegExp): Promise<void> =>
		expect.poll(() => stderr.replaceAll(/\s+/g, ' ')).toMatch(pattern) as unknown as Promise<void>;
	return {child, place: await untilServing(child), stderr: () => stderr, stdout: () => stdout, said};
}

export async function stop(child: ChildProcess): Promise<number | null> {
	child.kill('SIGTERM');
	const [code] = await once(child, 'close');
	return code;
}
