/** Runs a strategy's conversation for one hop. Knows no HTTP library: a transport sends and asks what to do next. */
import {StrategyError} from '../errors.ts';
import type {AuthResponse, Conversation, RuleInfo} from '../strategy/index.ts';

/** More legs than any scheme needs; a conversation that goes on is broken. */
const mostYields = 10;

/** What the transport does with a response. */
export type Verdict = 'deliver' | 'send again';

export class ConversationRun {
	readonly #conversation: Conversation;
	readonly #rule: RuleInfo;
	#yields = 0;
	#done = false;

	constructor(conversation: Conversation, rule: RuleInfo) {
		this.#conversation = conversation;
		this.#rule = rule;
	}

	/** Run up to the first `yield`. After this the request is as the strategy wants it sent. */
	async prepare(): Promise<void> {
		const {done} = await this.#conversation.next();
		if (done === true) this.#done = true;
		else this.#yields = 1;
	}

	/** Whether the strategy has nothing more to say, whatever the response is. */
	get isDone(): boolean {
		return this.#done;
	}

	/** Hand over a response. */
	async receive(response: AuthResponse): Promise<Verdict> {
		if (this.#done) return 'deliver';
		const {done} = await this.#conversation.next(response);
		if (done === true) {
			this.#done = true;
			return 'deliver';
		}
		this.#yields += 1;
		if (this.#yields > mostYields) {
			await this.end();
			throw new StrategyError(
				`The strategy '${this.#rule.strategy}' (${this.#rule.source}) sent one request more than ${mostYields} times. It should return once a response is to be accepted`,
			);
		}
		return 'send again';
	}

	/** End the conversation where it stands, so that it can let go of what it holds. */
	async end(): Promise<void> {
		if (this.#done) return;
		this.#done = true;
		await this.#conversation.return();
	}
}
