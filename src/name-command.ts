/** Errors of a request name the command that finds out what they do not know. */
import type {GatepassError} from './errors.ts';

/** Have an error of a request name the command that finds out the rest. The first request that it is about counts. */
export function nameCommand<Failure extends GatepassError>(error: Failure, {origin, pathname}: URL): Failure {
	if (error.command !== undefined) return error;
	const url = origin + pathname;
	// For a shell; no query, which may hold a secret.
	const quoted = /^[\w:/.~%[\]-]+$/.test(url) ? url : `'${url.replaceAll("'", '%27')}'`;
	// Enumerable: who prints the error that nobody caught sees what to do next.
	Object.assign(error, {command: `gatepass doctor ${quoted}`});
	return error;
}
