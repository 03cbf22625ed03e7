/** Warnings of the process, as the command line tells a person. Node's way is for whoever writes a program. */
import process from 'node:process';
import {note, paint} from './output.ts';
import {wrapLines} from './wrap.ts';

/** Codes of warnings that a command tells in its own words. */
const toldByCommand = new Set<string>();

/** Have a command tell these by itself. */
export function tellsItself(code: string): void {
	toldByCommand.add(code);
}

/** Take the place of Node, unless it is told to be silent, or to say more. */
export function tellWarnings(): void {
	const isSilent = process.listenerCount('warning') === 0;
	if (isSilent || process.env.GATEPASS_DEBUG === '1' || process.traceDeprecation) return;
	process.removeAllListeners('warning').on('warning', (warning: Error & {code?: string}) => {
		const {name, message, code} = warning;
		if (code !== undefined && toldByCommand.has(code)) return;
		const what = name === 'GatepassWarning' ? message : `${name}: ${message}`;
		note(wrapLines(what, `${paint('yellow', 'warning:', process.stderr)} `, process.stderr));
	});
}
