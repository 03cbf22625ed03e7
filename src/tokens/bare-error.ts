/** What a driver failed with, fit to be shown. */
import {GatepassError} from '../errors.ts';
import {redact} from '../observability/redact.ts';

/**
 * The error without what may hang on it, such as a statement with its values, a URL with a password or the connection,
 * and without the secrets in its message. Its name and codes stay.
 */
export function bareError(error: unknown, secrets: readonly string[] = []): Error {
	// Ours hold no secret.
	if (error instanceof GatepassError) return error;
	const {name = 'Error', message = '', code, errcode, errstr} = Object(error) as DriverError;
	const bare = new Error(redact(message || String(code ?? name), secrets));
	Object.defineProperty(bare, 'name', {value: name, configurable: true, writable: true});
	return Object.assign(
		bare,
		code !== undefined && {code},
		errcode !== undefined && {errcode},
		errstr !== undefined && {errstr},
	);
}

/** The last two are of Node's sqlite. */
interface DriverError extends Partial<Error> {
	readonly code?: unknown;
	readonly errcode?: unknown;
	readonly errstr?: unknown;
}
