/** The options of `static-token`: four ways to show one unchanging secret. */
import {z} from 'zod';

const headerName = z.string().regex(/^[!#$%&'*+.^_`|~\dA-Za-z-]+$/, 'it is no header name');
const headerValue = z
	.string()
	.regex(/^[\t\x20-\x7E\x80-\xFF]+$/, 'it has characters that no header may have');

export const staticTokenOptions = z
	.strictObject({
		token: headerValue.optional().describe('A bearer token (RFC 6750)'),
		header: headerName.optional().describe('The header of an API key, with value'),
		query: z.string().min(1).optional().describe('The query parameter of an API key, with value'),
		value: headerValue.optional().describe('The API key'),
		username: z
			.string()
			.regex(/^[^:\p{Cc}]*$/u, 'a user name has no colon and no control characters')
			.optional()
			.describe('HTTP basic (RFC 7617), with password'),
		password: z.string().optional().describe('The password'),
	})
	.refine(options => formOf(options) !== undefined, {
		error:
			"these options do not make one credential; give either 'token', or 'header' and 'value', or 'query' and 'value', or 'username' and 'password'",
	});

export type StaticTokenOptions = z.output<typeof staticTokenOptions>;

const forms = {
	token: ['token'],
	header: ['header', 'value'],
	query: ['query', 'value'],
	basic: ['password', 'username'],
} as const;

/** Which of the four forms the options have; `undefined` for a mixture or a part. */
export function formOf(options: Readonly<Record<string, unknown>>): keyof typeof forms | undefined {
	const given = Object.keys(options)
		.filter(name => options[name] !== undefined)
		.sort()
		.join();
	return (Object.keys(forms) as (keyof typeof forms)[]).find(form => forms[form].join() === given);
}
