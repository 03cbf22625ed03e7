/** Is this machine's clock right? Certificates, tokens and tickets all depend on it. */
import {statSync} from 'node:fs';
import {type Finding, failed, ok, warning} from './finding.ts';

/** gatepass was not there before this: a clock that says so is wrong. */
const firstRelease = Date.UTC(2026, 10, 22);

/** Milliseconds. Kerberos allows five minutes (RFC 4120 section 8.2), and so do most token servers at best. */
const tolerated = 300_000;
/** Milliseconds: what the whole seconds of a Date header and a slow network explain. */
const unremarkable = 30_000;

const hint = "Set the clock, for example with 'timedatectl set-ntp true'";

/** What can be judged without a network: the release of gatepass, and files that were written later than now. */
export function checkClock(files: readonly string[], now: number): Finding {
	const here = new Date(now).toISOString();
	if (now < firstRelease) {
		return failed('clock', `it says ${here}, which is before gatepass was released`, hint);
	}
	for (const file of new Set(files)) {
		const written = statSync(file, {throwIfNoEntry: false})?.mtimeMs;
		if (written === undefined || written - now <= tolerated) continue;
		const what = `it says ${here}, but the file was written at ${new Date(written).toISOString()}`;
		return warning('clock', what, `${hint}, or touch the file if the clock is right`, file);
	}
	return ok('clock', `it says ${here}, and nothing speaks against it`);
}

/** Compare with the `Date` header (RFC 9110 section 6.6.1) of an answer. */
export function compareClocks(date: string, now: number, url: string): Finding | undefined {
	const theirs = Date.parse(date);
	if (Number.isNaN(theirs)) return undefined;
	const seconds = Math.round(Math.abs(now - theirs) / 1000);
	const what = `it is ${seconds} s ${now > theirs ? 'ahead of' : 'behind'} the server's`;
	if (seconds * 1000 > tolerated) return failed('clock', what, hint, url);
	if (seconds * 1000 > unremarkable) return warning('clock', what, hint, url);
	return ok('clock', "it agrees with the server's", url);
}
