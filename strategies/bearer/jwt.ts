/** What can be read off a bearer token without a key. */

/** When the token ends, in milliseconds since 1970, where it is a JWT that says so (RFC 7519 section 4.1.4). */
export function jwtExpiry(token: string): number | undefined {
	const parts = token.split('.');
	if (parts.length !== 3) return undefined;
	try {
		const claims: unknown = JSON.parse(Buffer.from(parts[1] ?? '', 'base64url').toString('utf8'));
		const {exp} = claims as {exp?: unknown};
		return typeof exp === 'number' && Number.isFinite(exp) ? exp * 1000 : undefined;
	} catch {
		return undefined;
	}
}

/** Whether the text can stand behind `Bearer` (RFC 6750 section 2.1, `b64token`). */
export function isBearerToken(text: string): boolean {
	return /^[\w.~+/-]+=*$/.test(text);
}
