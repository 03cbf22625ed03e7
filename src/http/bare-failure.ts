/** Failures of gatepass's own requests as they are passed on. */
import {CertificateError} from '../errors.ts';
import {sameFailure} from '../tls/peer-certificates.ts';

/**
 * The error of an HTTP client may hold the request, its options and the connection. What is passed on has the name, code
 * and message alone.
 */
export function bareFailure(error: Error & {code?: string}, url: URL): Error {
	const [ours] = [error, error.cause].filter(one => one instanceof CertificateError);
	const [found] = ours?.diagnostics ?? [];
	if (found !== undefined) {
		const what = `${url.origin}${url.pathname}: ${found.what}`;
		return new CertificateError({...found, what}, {diagnostics: [found]});
	}
	const reason = error.name === 'AbortError' && error.cause instanceof Error ? error.cause : error;
	const message = reason.name === 'TimeoutError' ? 'it did not answer in time' : reason.message;
	const bare = new Error(`${url.origin}${url.pathname}: ${message}`);
	Object.defineProperty(bare, 'name', {value: error.name, configurable: true});
	return sameFailure(Object.assign(bare, {code: error.code}), error);
}
