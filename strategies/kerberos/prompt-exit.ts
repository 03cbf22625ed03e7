/**
 * Lets a process end although a call of the library hangs. Node waits for its threads, and one in the middle of such a
 * call can neither be asked to end nor be ended: that took up to a minute.
 */
import {createRequire} from 'node:module';
import process from 'node:process';
import {isMainThread, type Worker} from 'node:worker_threads';
import type {Koffi} from './native.ts';

/** Threads with a call under way. */
const busy = new Set<Worker>();

/** A call begins. */
export function noteBusy(thread: Worker): void {
	// The end of any other thread is not that of the process.
	if (!isMainThread) return;
	busy.add(thread);
	if (process.listenerCount('exit', leave) === 0) process.on('exit', leave);
}

/** No call is under way any more, or the thread has ended. */
export function noteIdle(thread: Worker): void {
	busy.delete(thread);
}

function leave(code: number): void {
	if (busy.size === 0) return;
	const {default: koffi} = createRequire(import.meta.url)('koffi') as {default: Koffi};
	// This is the end, also for those that would hear of it after this listener.
	const listeners = process.listeners('exit');
	for (const listener of listeners.slice(listeners.indexOf(leave) + 1)) listener.call(process, code);
	koffi.load(null).func('_exit', 'void', ['int'])(Number(process.exitCode ?? code));
}
