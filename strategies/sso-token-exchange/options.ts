/** The options of `sso-token-exchange`. */
import {z} from 'zod';
import {promptForms} from '../bearer/source.ts';
import {nestedStrategy} from '../chain/nested-strategy.ts';
import {refuseMistakes, ssoShape} from '../sso/options.ts';

/** Where a token comes from that is handed to the authorization server. */
const tokenPlace = z.union([
	...promptForms,
	z.strictObject({rule: nestedStrategy.describe('A strategy that shows it as a bearer token')}),
]);

export type TokenPlace = z.output<typeof tokenPlace>;

/** RFC 8693 section 3. */
const tokenType = z.string().min(1);

export const tokenExchangeOptions = z
	.strictObject({
		...ssoShape,
		subjectToken: tokenPlace.describe('On whose behalf the token is wanted'),
		subjectTokenType: tokenType
			.default('urn:ietf:params:oauth:token-type:access_token')
			.describe('What kind of token that is'),
		actorToken: tokenPlace
			.optional()
			.describe('Who acts for the subject: delegation; without it, impersonation'),
		actorTokenType: tokenType
			.default('urn:ietf:params:oauth:token-type:access_token')
			.describe('What kind of token that is'),
		requestedTokenType: tokenType.optional().describe('What kind of token is wanted'),
	})
	.superRefine(refuseMistakes);

export type TokenExchangeOptions = z.output<typeof tokenExchangeOptions>;
