/**
 * Preloaded into the command line by test/lineages/crash.test.ts: kills the process, as `kill -9` does, before the
 * operation on files that GATEPASS_CRASH_AT names; a write that is to fail is done by half. With GATEPASS_CRASH_CODE, such as
 * ENOSPC, it is not killed: from that operation on, whatever needs room on the disk fails so.
 */

import promises from 'node:fs/promises';
import {syncBuiltinESMExports} from 'node:module';

const crashAt = Number(process.env.GATEPASS_CRASH_AT);
let operations = 0;

const code = process.env.GATEPASS_CRASH_CODE;
/** What works on a full disk all the same. */
const needNoRoom = ['rename', 'rm', 'unlink', 'chmod'];

function isLast(name = '') {
	operations++;
	if (code === undefined) return operations === crashAt;
	if (operations >= crashAt && !needNoRoom.includes(name)) {
		throw Object.assign(new Error(`${code}: from the test`), {
			code,
			syscall: name || 'write',
			path: 'of the test',
		});
	}
	return false;
}

function crash() {
	process.kill(process.pid, 'SIGKILL');
	// The signal ends the process before this returns; nothing after it may run.
	for (;;);
}

for (const name of ['mkdir', 'rename', 'rm', 'symlink', 'chmod', 'unlink', 'writeFile', 'copyFile', 'link']) {
	const original = promises[name];
	promises[name] = async (...parameters) => {
		if (isLast(name)) crash();
		return original(...parameters);
	};
}

const {open} = promises;
promises.open = async (file, flags, ...rest) => {
	if (flags === undefined || flags === 'r') return open(file, flags, ...rest);
	if (isLast()) crash();
	const handle = await open(file, flags, ...rest);
	const writeFile = handle.writeFile.bind(handle);
	handle.writeFile = async (content, ...others) => {
		if (isLast()) {
			await writeFile(content.slice(0, content.length / 2), ...others);
			crash();
		}
		return writeFile(content, ...others);
	};
	return handle;
};
syncBuiltinESMExports();
