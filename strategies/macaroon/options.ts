/** The options of `macaroon`. */
import {z} from 'zod';
import {nestedStrategy} from '../chain/nested-strategy.ts';

export const macaroonOptions = z.strictObject({
	activities: z
		.array(z.string().regex(/^[A-Z][A-Z_]*$/, 'it is no activity; write one such as DOWNLOAD'))
		.min(1)
		.describe('What it may be used for, such as DOWNLOAD, UPLOAD, LIST, DELETE, MANAGE'),
	validity: z
		.int()
		.min(60_000)
		.max(604_800_000)
		.default(3_600_000)
		.describe('Milliseconds that it is asked for'),
	path: z
		.string()
		.regex(/^\/[^?#]*$/, 'it is no path; write one that starts with /')
		.optional()
		.describe('The path that it is for, with all below. Default: that of each request'),
	of: nestedStrategy.describe('The strategy that it is asked for with, such as grid-certificate'),
});

export type MacaroonOptions = z.output<typeof macaroonOptions>;
