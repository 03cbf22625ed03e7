/** A strategy inside of another one's options. */
import {z} from 'zod';

export const nestedStrategy = z.strictObject({
	strategy: z.string().min(1).describe('The name of a strategy'),
	options: z.record(z.string(), z.unknown()).optional().describe('Its options'),
});
