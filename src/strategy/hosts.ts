/** What can be said of a host's name alone. */

/** A host as patterns keep it; `hostname` comes from a `URL`, which has done all but the trailing dot. */
export function withoutTrailingDot(hostname: string): string {
	return hostname.endsWith('.') ? hostname.slice(0, -1) : hostname;
}

/**
 * Whether only this machine can answer for the host, so that plain http to it is safe: `localhost` and names below
 * it (RFC 6761 section 6.3), 127.0.0.0/8 and `::1`.
 *
 * @param hostname as `URL.hostname` gives it: lower case, an IPv6 address in brackets.
 */
export function isLoopback(hostname: string): boolean {
	const host = withoutTrailingDot(hostname);
	return (
		host === 'localhost' ||
		host.endsWith('.localhost') ||
		host === '[::1]' ||
		/^127(?:\.\d{1,3}){3}$/.test(host)
	);
}
