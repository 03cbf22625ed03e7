/** Is this machine's clock right? Certificates, tokens and tickets all depend on it. */
import {statSync} from 'node:fs';
import {diagnostic, warning} from '../diagnostics/diagnostic.ts';
import {type Finding, ok, told} from './finding.ts';

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
		const what = `It says ${here}, which is before gatepass was released`;
		return told('clock', diagnostic({code: 'clock-wrong', what, hint}));
	}
	for (const file of new Set(files)) {
		const written = statSync(file, {throwIfNoEntry: false})?.mtimeMs;
		if (written === undefined || written - now <= tolerated) continue;
		const what = `It says ${here}, but the file was written at ${new Date(written).toISOString()}`;
		const orElse = `${hint}, or touch the file if the clock is right`;
		return told('clock', warning({code: 'clock-wrong', what, hint: orElse, where: file}));
	}
	return ok('clock', `it says ${here}, and nothing speaks against it`);
}

/** Compare with the `Date` header (RFC 9110 section 6.6.1) of an answer. */
export function compareClocks(date: string, now: number, url: string): Finding | undefined {
	const theirs = Date.parse(date);
	if (Number.isNaN(theirs)) return undefined;
	const seconds = Math.round(Math.abs(now - theirs) / 1000);
	const isAhead = now > theirs;
	const found = {
		code: isAhead ? 'clock-ahead-of-server' : 'clock-behind-server',
		what: `It is ${seconds} s ${isAhead ? 'ahead of' : 'behind'} the server's`,
		hint,
		where: url,
	} as const;
	if (seconds * 1000 > tolerated) return told('clock', diagnostic(found));
	if (seconds * 1000 > unremarkable) return told('clock', warning(found));
	return ok('clock', "it agrees with the server's", url);
}
