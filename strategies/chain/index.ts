/** `chain`: strategies tried in order while their credential is unavailable. */
import {z} from 'zod';
import {CredentialUnavailableError, GatepassError} from '../../src/errors.ts';
import {
	type AuthRequest,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	type CredentialStatus,
	type Examination,
	inject,
	RuleInfo,
	Strategies,
	StrategyOptions,
} from '../../src/strategy/index.ts';
import {describeState, type Link, stateAfter} from './link.ts';
import {nestedStrategy} from './nested-strategy.ts';
import {resume} from './resume.ts';

/** The options of `chain`. */
export const chainOptions = z.strictObject({
	of: z.array(nestedStrategy).min(1).describe('The strategies, the first choice first'),
	goOnAfter: z
		.enum(['unavailable', 'failure'])
		.default('unavailable')
		.describe('Whether the next one is tried only where a credential is not there, or also where one failed'),
});

type ChainOptions = z.output<typeof chainOptions>;

/**
 * Uses the first strategy whose credential is available: it goes on to the next one at a
 * `CredentialUnavailableError`, and only before anything was sent. Fails with that error where none has one. Any other
 * error, such as a refused token request or an expired certificate, ends the chain, unless `goOnAfter` says otherwise.
 */
@authStrategy<typeof chainOptions>({
	name: 'chain',
	options: chainOptions,
	nested: ({of}) => of.map((_, index) => ['of', index]),
})
export class ChainStrategy implements AuthStrategy {
	/** Whether any of them does: which one serves is known only in the conversation. */
	readonly requiresResponseBody: boolean;
	readonly #links: readonly Link[];
	readonly #goesOn: boolean;
	readonly #rule: RuleInfo;

	constructor(
		@inject(StrategyOptions) {of, goOnAfter}: ChainOptions,
		@inject(Strategies) strategies: Strategies,
		@inject(RuleInfo) rule: RuleInfo,
	) {
		this.#links = of.map(nested => ({
			name: nested.strategy,
			strategy: strategies.build(nested),
			state: {kind: 'not tried'},
		}));
		this.requiresResponseBody = this.#links.some(({strategy}) => strategy.requiresResponseBody === true);
		this.#goesOn = goOnAfter === 'failure';
		this.#rule = rule;
	}

	async *authenticate(request: AuthRequest): Conversation {
		const reasons: string[] = [];
		const failures: Error[] = [];
		for (const link of this.#links) {
			if (link.strategy.requiresRequestBody === true) await request.readBody();
			const conversation = link.strategy.authenticate(request);
			let begun: IteratorResult<void, void>;
			try {
				begun = await conversation.next();
			} catch (error) {
				link.state = stateAfter(error, this.#goesOn);
				const isFailure = !(error instanceof CredentialUnavailableError);
				// What is no error of gatepass is a mistake in a program, for which no other link is a remedy.
				if (isFailure && !(this.#goesOn && error instanceof GatepassError)) throw error;
				if (isFailure) failures.push(error);
				reasons.push(
					`  ${link.name}: ${isFailure ? 'failed' : 'not available'}: ${(error as Error).message}`,
				);
				continue;
			}
			this.#noteServing(link);
			yield* resume(conversation, begun);
			return;
		}
		const {match, source} = this.#rule;
		throw new CredentialUnavailableError(
			{
				code: 'chain-exhausted',
				what: `No strategy of the chain for ${match} (${source}) has a credential:\n${reasons.join('\n')}`,
				hint: '',
			},
			failures.length === 0 ? {} : {cause: failures[0]},
		);
	}

	async status(settings?: {verify?: boolean}): Promise<CredentialStatus> {
		const warnings: string[] = [];
		for (const {name, strategy} of this.#links) {
			let status: CredentialStatus;
			try {
				status = (await strategy.status?.(settings)) ?? {
					available: true,
					detail: 'the strategy does not say',
				};
			} catch (error) {
				if (!(error instanceof GatepassError)) throw error;
				const state = stateAfter(error, this.#goesOn);
				if (state.kind === 'failed' && state.stopped) {
					const detail = `${name} failed, and the chain stops there: ${error.message}`;
					return {available: false, detail, warnings, notes: this.explain()};
				}
				warnings.push(`${name} is ${describeState(state)}`);
				continue;
			}
			const notes = [...(status.notes ?? []), ...this.#asked()];
			if (status.available) {
				return {
					...status,
					detail: `${name}: ${status.detail}`,
					warnings: [...warnings, ...(status.warnings ?? [])],
					...(notes.length > 0 && {notes}),
				};
			}
			warnings.push(`${name} is passed over, as it is not available: ${status.detail}`);
		}
		return {available: false, detail: 'no strategy of the chain has a credential', warnings};
	}

	/** Of the first one whose credential is available, as far as this machine can tell. */
	async examine(url: URL, settings: {signal: AbortSignal}): Promise<Examination | undefined> {
		for (const {strategy} of this.#links) {
			const status = await strategy.status?.().catch(() => ({available: false}));
			if (status?.available !== false) return strategy.examine?.(url, settings);
		}
		return undefined;
	}

	explain(): string[] {
		return this.#links.flatMap(({name, strategy, state}) => {
			const own = strategy.explain?.().map(note => `  ${note}`) ?? [];
			return [`${name}: ${describeState(state)}`, ...own];
		});
	}

	async forget(): Promise<void> {
		// One that fails keeps no other from forgetting.
		const results = await Promise.allSettled(this.#links.map(async ({strategy}) => strategy.forget?.()));
		for (const result of results) if (result.status === 'rejected') throw result.reason;
	}

	/** How each link fared when a request was made last; nothing where none was. */
	#asked(): string[] {
		if (this.#links.every(({state}) => state.kind === 'not tried')) return [];
		return this.#links.map(({name, state}) => `At the last request, ${name}: ${describeState(state)}`);
	}

	#noteServing(serving: Link): void {
		serving.state = {kind: 'serves'};
		for (const link of this.#links.slice(this.#links.indexOf(serving) + 1)) {
			if (link.state.kind === 'not needed' && link.state.server === serving.name) continue;
			link.state = {kind: 'not needed', server: serving.name};
		}
	}
}
