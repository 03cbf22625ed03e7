/** What can be read off a bearer token without a key. */
import {claimsOf} from './claims.ts';

/** When the token ends, in milliseconds since 1970, where it is a JWT that says so (RFC 7519 section 4.1.4). */
export function jwtExpiry(token: string): number | undefined {
	const exp = claimsOf(token)?.exp;
	return typeof exp === 'number' && Number.isFinite(exp) ? exp * 1000 : undefined;
}

/** What can stand behind `Bearer` (RFC 6750 section 2.1, `b64token`). */
export const bearerToken = /^[\w.~+/-]+=*$/;
