/** Errors of a request name the command that finds out what they do not know. */
/** Have an error of a request name the command that finds out the rest. The first request that it is about counts. */
export function nameCommand<Failure extends Error & {readonly command?: string}>(
	error: Failure,
	url: URL,
): Failure {
	if (error.command !== undefined) return error;
	// Enumerable: who prints the error that nobody caught sees what to do next.
	Object.assign(error, {command: doctorOf(url)});
	return error;
}

/** For a shell; no query, which may hold a secret. */
export function doctorOf({origin, pathname}: URL): string {
	const url = origin + pathname;
	return `gatepass doctor ${/^[\w:/.~%[\]-]+$/.test(url) ? url : `'${url.replaceAll("'", '%27')}'`}`;
}
