/**
 * The query of a URL as it may be recorded: names stay, and so do values, but for those that sign or authenticate the
 * request. Those of OpenTelemetry's semantic conventions are among them (`AWSAccessKeyId`, `Signature`, `sig`,
 * `X-Goog-Signature`), which list the least of what is secret.
 */

/** In the place of a value, as the conventions have it. */
const redacted = 'REDACTED';

/** Parts of names under which credentials are written. */
const secretNames =
	/sig|token|secret|passw|passphrase|pwd|auth|cred|api[-_.]?key|access[-_.]?key|^key|session|jwt|assertion|ticket|hmac|^code$|^state$|nonce|otp|policy/i;

/** What looks like a token, a key or a digest, under whatever name. */
const secretValues = /eyJ[\w-]{6}|[\w+/=.~-]{32}/;

/** @param search as `URL.search` gives it: with its question mark, or empty. */
export function redactQuery(search: string): string {
	if (search === '') return '';
	return `?${search.slice(1).split('&').map(redactPair).join('&')}`;
}

function redactPair(pair: string): string {
	const equals = pair.indexOf('=');
	// A value without a name: it may be anything, as in `?TOKEN`.
	if (equals === -1) return pair === '' ? '' : redacted;
	const name = pair.slice(0, equals);
	const value = pair.slice(equals + 1);
	const isSecret = secretNames.test(decode(name)) || secretValues.test(decode(value));
	return isSecret && value !== '' ? `${name}=${redacted}` : pair;
}

/** Names may be written in any way. */
function decode(text: string): string {
	try {
		return decodeURIComponent(text);
	} catch {
		return text.replace(/%[\da-f]{2}/gi, '');
	}
}
