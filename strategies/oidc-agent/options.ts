/** The options of `oidc-agent`. */
import {z} from 'zod';

export const oidcAgentOptions = z
	.strictObject({
		account: z.string().min(1).optional().describe('The short name of the account in the agent'),
		issuer: z.url().optional().describe('The provider; the agent chooses the account'),
		scope: z
			.string()
			.min(1)
			.optional()
			.describe('Scopes, separated by spaces. Default: those of the account'),
		audience: z.string().min(1).optional().describe('Whom the token is for'),
		minimumValidity: z
			.int()
			.min(0)
			.max(86_400_000)
			.default(60_000)
			.describe('Milliseconds that a token lives at least, where the provider gives such'),
		timeout: z
			.int()
			.min(1)
			.max(600_000)
			.default(15_000)
			.describe('Milliseconds that the agent may take for an answer'),
	})
	.superRefine(({account, issuer}, context) => {
		if ((account === undefined) !== (issuer === undefined)) return;
		const message =
			account === undefined
				? "neither 'account' nor 'issuer' is there; name one of them"
				: "'account' and 'issuer' both name an account; keep one of them";
		context.addIssue({code: 'custom', path: ['account'], message});
	});

export type OidcAgentOptions = z.output<typeof oidcAgentOptions>;
