/** A custom strategy with decorators. */
// #region strategy
import {
	type AuthRequest,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	inject,
	StrategyOptions,
} from 'gatepass';
import {z} from 'zod';

const apiKeyOptions = z.strictObject({
	header: z.string().default('x-api-key'),
	key: z.string().min(1),
});

@authStrategy({name: 'api-key', options: apiKeyOptions})
export class ApiKeyStrategy implements AuthStrategy {
	constructor(@inject(StrategyOptions) private readonly options: z.output<typeof apiKeyOptions>) {}

	async *authenticate(request: AuthRequest): Conversation {
		request.headers.set(this.options.header, this.options.key);
		yield;
	}
}
// #endregion
