/** What is told where a server refuses the user name or password in the URL of a store. */
import {TokenCacheError} from '../../errors.ts';
import {bareError} from '../bare-error.ts';

export function loginRefused(cause: unknown): TokenCacheError {
	return new TokenCacheError(
		{
			code: 'token-store-password-wrong',
			what: "The server of the token store refuses the user name or password in 'cache.url'",
			hint: 'Correct them there; a % that stands before two hexadecimal digits is written %25',
		},
		{cause: bareError(cause)},
	);
}
