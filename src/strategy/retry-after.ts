/** Reads how long a server asks to be left alone. */

/**
 * Milliseconds from a `Retry-After` (RFC 9110 section 10.2.3), which is seconds or a date; some servers send fractions.
 * A date is read against the answer's own `Date`, since this machine's clock may be another. What the server asks for
 * has no bound here: that is for whoever heeds it.
 */
export function readRetryAfter(headers: Pick<Headers, 'get'>): number | undefined {
	const value = headers.get('retry-after');
	if (!value) return undefined;
	const sentAt = Date.parse(headers.get('date') ?? '');
	const now = Number.isNaN(sentAt) ? Date.now() : sentAt;
	const wait = /^\d+(?:\.\d+)?$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
	return Number.isNaN(wait) ? undefined : Math.max(wait, 0);
}
