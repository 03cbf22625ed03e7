/** `gatepass serve` as a process. */
import type {ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {expect} from 'vitest';
import type {Workspace} from '../cli/command-line.ts';

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
	return untilServing(workspace.start(['serve', ...args], {env}));
}

/** The same for a process that was started in another way. */
export async function untilServing(child: ChildProcess): Promise<StartedService> {
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
	await said(/gatepass serves \S+/);
	const [, place = ''] = /gatepass serves (\S+)/.exec(stderr) ?? [];
	return {child, place, stderr: () => stderr, stdout: () => stdout, said};
}

export async function stop(child: ChildProcess): Promise<number | null> {
	child.kill('SIGTERM');
	const [code] = await once(child, 'close');
	return code;
}
