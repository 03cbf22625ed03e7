/**
 * A connection that ended before the answer. The error stays the transport's own, which its users know, and gets the
 * diagnostic besides, as gatepass's errors have it.
 */
import {type Diagnostic, diagnostic} from '../diagnostics/diagnostic.ts';

/** Node's, and undici's. */
const codes: readonly unknown[] = ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'];

/** Say at an error that a connection was lost, and why that is most likely so; others are left alone. Gives the error. */
export function noteLostConnection<Failure extends Error>(error: Failure, method: string, url: URL): Failure {
	const {code, diagnostics} = error as {code?: unknown; diagnostics?: unknown};
	if (!codes.includes(code) || diagnostics !== undefined || !Object.isExtensible(error)) return error;
	return Object.assign(error, {diagnostics: [describe(method, url)]});
}

function describe(method: string, {host, origin, pathname}: URL): Diagnostic {
	return diagnostic({
		code: 'connection-lost',
		what: `${host} ended the connection before it answered a ${method}. Most often it was one that was kept from an earlier request, and the server's time for idle connections was over just then`,
		hint: `It was not sent again by itself, as its body cannot be, or as it may have been executed: do so where that does no harm. Have the server keep idle connections longer than its clients do. If it lasts, run 'gatepass doctor ${origin}${pathname}'`,
		where: origin + pathname,
	});
}
