/** The same custom strategy as a plain object, in JavaScript. */
// #region strategy
import {defineStrategy} from 'gatepass';
import {z} from 'zod';

export default defineStrategy({
	name: 'api-key',
	options: z.strictObject({
		header: z.string().default('x-api-key'),
		key: z.string().min(1),
	}),
	async *authenticate(request, {options}) {
		request.headers.set(options.header, options.key);
		yield;
	},
});
// #endregion
