/** The options of `sso-jwt-bearer`. */
import {z} from 'zod';
import {sourceForms} from '../bearer/source.ts';
import {refuseMistakes, ssoShape} from '../sso/options.ts';

/** Milliseconds. Some servers take no more than an hour. */
const longestLifetime = 3_600_000;

const claims = z
	.record(z.string(), z.unknown())
	.describe('More claims of the assertion, or others in the place of the usual ones');
const subject = z.string().min(1).describe('On whose behalf the token is wanted. Default: the client');

/** An assertion that is made here, with a key of one's own. */
const ownAssertion = z.strictObject({
	privateKey: z.string().min(1).describe('The private key to sign it with, as PEM text'),
	keyId: z.string().min(1).optional().describe('The name of that key at the server'),
	algorithm: z.string().min(1).optional().describe('The algorithm to sign with. Default: what suits the key'),
	issuer: z
		.string()
		.min(1)
		.optional()
		.describe('Who vouches for it, such as a service account. Default: the client'),
	subject: subject.optional(),
	audience: z
		.string()
		.min(1)
		.optional()
		.describe('Whom it is for. Default: the issuer of the server, or else its token endpoint'),
	lifetime: z.int().min(1000).max(longestLifetime).default(300_000).describe('Milliseconds that it lives'),
	claims: claims.optional(),
});

export type OwnAssertion = z.output<typeof ownAssertion>;

export const jwtBearerOptions = z
	.strictObject({
		...ssoShape,
		assertion: z
			.union([...sourceForms, ownAssertion])
			.optional()
			.describe(
				"Where the assertion comes from, or what it is made of. Default: it is made with 'privateKey'",
			),
		subject: subject.optional(),
		claims: claims.optional(),
	})
	.superRefine(refuseMistakes)
	.superRefine(({assertion, privateKey, subject, claims}, context) => {
		const refuse = (path: string, message: string): void =>
			context.addIssue({code: 'custom', path: [path], message});
		if (assertion === undefined && privateKey === undefined) {
			refuse('assertion', "there is none; say where it comes from, or give a 'privateKey' to make it with");
		}
		for (const [name, value] of Object.entries({subject, claims})) {
			if (value === undefined || assertion === undefined) continue;
			refuse(
				name,
				"it is for an assertion that is made with the rule's 'privateKey'; put it into 'assertion'",
			);
		}
	});

export type JwtBearerOptions = z.output<typeof jwtBearerOptions>;
