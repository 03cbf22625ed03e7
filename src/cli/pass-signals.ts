/** Lets a command have the signals that its parent gets, as if it had been started without one. */
import type {ChildProcess} from 'node:child_process';
import {readFileSync} from 'node:fs';
import process from 'node:process';

/** Signals that are somebody's to send. */
const passed = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGINT', 'SIGQUIT', 'SIGALRM'] as const;
/** What a terminal sends, it sends to the command as well: twice would be once too often. */
const ofTerminal: ReadonlySet<string> = new Set(['SIGINT', 'SIGQUIT']);

export function passSignals(command: ChildProcess): void {
	for (const signal of passed) {
		process.removeAllListeners(signal);
		process.on(signal, () => {
			if (!(ofTerminal.has(signal) && isInForeground())) command.kill(signal);
		});
	}
	passSuspension(command);
}

/** Whoever suspends this process means the command, which could do nothing without its proxy anyway. */
function passSuspension(command: ChildProcess): void {
	let isPassed = false;
	const suspend = (): void => {
		isPassed = !isInForeground();
		if (isPassed) command.kill('SIGTSTP');
		// By its own action, so that a shell sees by which signal, and goes on from here when it is continued.
		process.off('SIGTSTP', suspend);
		process.kill(process.pid, 'SIGTSTP');
		process.on('SIGTSTP', suspend);
	};
	process.on('SIGTSTP', suspend);
	process.on('SIGCONT', () => {
		if (isPassed) command.kill('SIGCONT');
		isPassed = false;
	});
}

/** Whether a terminal's keys reach this process, and with it the command: both are of the foreground group. */
function isInForeground(): boolean {
	try {
		// proc(5): behind the name in brackets come state, parent, group, session, terminal, and its foreground group.
		const stat = readFileSync('/proc/self/stat', 'latin1');
		const [, , group, , terminal, foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
		return terminal !== '0' && group === foreground;
	} catch {
		return [process.stdin, process.stdout, process.stderr].some(({isTTY}) => isTTY);
	}
}
