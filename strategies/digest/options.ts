/** The options of `digest`. */
import {z} from 'zod';

export const digestOptions = z.strictObject({
	username: z
		.string()
		.min(1)
		.regex(/^\P{Cc}*$/u, 'a user name has no control characters')
		.describe('The user'),
	password: z.string().describe('The password. It is never sent'),
});

export type DigestOptions = z.output<typeof digestOptions>;
