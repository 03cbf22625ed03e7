/**
 * Suites that need a real server which may not be installed: they are skipped where it is missing, and the reporter
 * (test/reporter.ts) names them. With GATEPASS_REQUIRE_SERVERS=1 (`.ci/run`) a missing server is a failure.
 */
import {accessSync, constants, statSync} from 'node:fs';
import {delimiter, join} from 'node:path';
import {describe, test} from 'vitest';

/** A server from the operating system's packages. */
export interface RealServer {
	/** As its makers write it. */
	readonly name: string;
	/** Why it cannot be started here; `undefined`: it can. */
	whyUnavailable(): string | undefined;
	/** The command that brings it. */
	readonly install: string;
	/** Where it cannot be had, its suites are skipped in CI, too. */
	readonly isOptional?: true;
}

/** Why a suite was skipped, as the reporter finds it at the suite. */
export interface Unavailable {
	readonly server: string;
	readonly reason: string;
	readonly install: string;
}

declare module 'vitest' {
	interface TaskMeta {
		unavailable?: Unavailable;
	}
}

/** `describe`, for a suite that needs the servers. */
export function describeWith(
	servers: RealServer | readonly RealServer[],
	title: string,
	suite: () => void,
): void {
	const missing = [servers].flat().flatMap(({name, install, isOptional, whyUnavailable}) => {
		const reason = whyUnavailable();
		return reason === undefined ? [] : [{server: name, reason, install, isOptional}];
	});
	const isDemanded = missing.some(({isOptional}) => isOptional !== true);
	const [first] = missing;
	if (first === undefined) {
		describe(title, suite);
	} else if (isDemanded && process.env.GATEPASS_REQUIRE_SERVERS === '1') {
		describe(title, () => {
			test.for(missing)('needs $server', ({server, reason, install}) => {
				throw new Error(`${server}: ${reason}. It is brought by '${install}'`);
			});
		});
	} else {
		describe.skip(title, {meta: {unavailable: first}}, suite);
	}
}

/** Where programs are looked for. Debian leaves the second two out of an ordinary user's PATH. */
function searchPath(): string[] {
	const path = process.env.GATEPASS_SERVERS_PATH ?? `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin`;
	return path.split(delimiter).filter(folder => folder !== '');
}

/**
 * The absolute path of a program, or `undefined`. GATEPASS_SERVERS_PATH takes the place of PATH, to use servers from
 * another place or to hide them.
 */
export function findProgram(name: string): string | undefined {
	return searchPath()
		.map(folder => join(folder, name))
		.find(isProgram);
}

function isProgram(file: string): boolean {
	try {
		accessSync(file, constants.X_OK);
		return statSync(file).isFile();
	} catch {
		return false;
	}
}
