/** Loads `node:sqlite` without the warning that Node 22 prints for it: the module is used on purpose, and tested. */
import process from 'node:process';

export function loadSqlite(): typeof import('node:sqlite') {
	const {emitWarning} = process;
	process.emitWarning = () => {};
	try {
		return process.getBuiltinModule('node:sqlite');
	} finally {
		process.emitWarning = emitWarning;
	}
}
