/** `chain`: strategies tried in order while their credential is unavailable. */
import {z} from 'zod';
import {CredentialUnavailableError} from '../../src/errors.ts';
import {
	type AuthRequest,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	type CredentialStatus,
	inject,
	RuleInfo,
	Strategies,
	StrategyOptions,
} from '../../src/strategy/index.ts';
import {nestedStrategy} from './nested-strategy.ts';

/** The options of `chain`. */
export const chainOptions = z.strictObject({
	of: z.array(nestedStrategy).min(1).describe('The strategies, the first choice first'),
});

type ChainOptions = z.output<typeof chainOptions>;

interface Link {
	readonly name: string;
	readonly strategy: AuthStrategy;
	/** Why it was passed over when it was tried last. */
	passedOver: string | undefined;
	hasServed: boolean;
}

/**
 * Uses the first strategy whose credential is available: it goes on to the next one at a
 * `CredentialUnavailableError`, and only before anything was sent. Fails with that error where none has one.
 */
@authStrategy<typeof chainOptions>({
	name: 'chain',
	options: chainOptions,
	nested: ({of}) => of.map((_, index) => ['of', index]),
})
export class ChainStrategy implements AuthStrategy {
	readonly #links: readonly Link[];
	readonly #rule: RuleInfo;

	constructor(
		@inject(StrategyOptions) {of}: ChainOptions,
		@inject(Strategies) strategies: Strategies,
		@inject(RuleInfo) rule: RuleInfo,
	) {
		this.#links = of.map(nested => ({
			name: nested.strategy,
			strategy: strategies.build(nested),
			passedOver: undefined,
			hasServed: false,
		}));
		this.#rule = rule;
	}

	async *authenticate(request: AuthRequest): Conversation {
		for (const link of this.#links) {
			if (link.strategy.requiresRequestBody === true) await request.readBody();
			const conversation = link.strategy.authenticate(request);
			const begun = await this.#begin(link, conversation);
			if (begun === undefined) continue;
			yield* resume(conversation, begun);
			return;
		}
		const reasons = this.#links.map(({name, passedOver}) => `  ${name}: ${passedOver}`);
		const {match, source} = this.#rule;
		throw new CredentialUnavailableError(
			`No strategy of the chain for ${match} (${source}) has a credential:\n${reasons.join('\n')}`,
		);
	}

	async status(settings?: {verify?: boolean}): Promise<CredentialStatus> {
		const warnings: string[] = [];
		for (const {name, strategy} of this.#links) {
			try {
				const status = (await strategy.status?.(settings)) ?? {
					available: true,
					detail: 'the strategy does not say',
				};
				if (status.available) {
					return {
						...status,
						detail: `${name}: ${status.detail}`,
						warnings: [...warnings, ...(status.warnings ?? [])],
					};
				}
				warnings.push(`${name} is passed over: ${status.detail}`);
			} catch (error) {
				if (!(error instanceof CredentialUnavailableError)) throw error;
				warnings.push(`${name} is passed over: ${error.message}`);
			}
		}
		return {available: false, detail: 'no strategy of the chain has a credential', warnings};
	}

	explain(): string[] {
		return this.#links.flatMap(({name, strategy, hasServed, passedOver}) => {
			const own = strategy.explain?.().map(note => `  ${note}`) ?? [];
			if (passedOver !== undefined) return [`${name}: passed over: ${passedOver}`, ...own];
			return [`${name}: ${hasServed ? 'serves' : 'not tried yet'}`, ...own];
		});
	}

	async forget(): Promise<void> {
		// One that fails keeps no other from forgetting.
		const results = await Promise.allSettled(this.#links.map(async ({strategy}) => strategy.forget?.()));
		for (const result of results) if (result.status === 'rejected') throw result.reason;
	}

	async #begin(link: Link, conversation: Conversation): Promise<IteratorResult<void, void> | undefined> {
		try {
			const begun = await conversation.next();
			link.passedOver = undefined;
			link.hasServed = true;
			return begun;
		} catch (error) {
			if (!(error instanceof CredentialUnavailableError)) throw error;
			link.passedOver = error.message;
			return undefined;
		}
	}
}

/** `yield*` for a conversation that has been begun already. */
async function* resume(conversation: Conversation, begun: IteratorResult<void, void>): Conversation {
	let step = begun;
	try {
		while (step.done !== true) step = await conversation.next(yield);
	} finally {
		if (step.done !== true) await conversation.return();
	}
}
