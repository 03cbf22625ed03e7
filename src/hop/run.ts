/** Runs a strategy's conversation for one hop. Knows no HTTP library: a transport sends and asks what to do next. */
import {StrategyError} from '../errors.ts';
import type {AuthRequest, AuthResponse, AuthStrategy, Conversation, RuleInfo} from '../strategy/index.ts';

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
			throw tooManyLegs(this.#rule);
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

/** The answer to one leg. */
export interface Leg {
	readonly response: AuthResponse;
	/** Nobody wants it: read it to its end, or break it off. */
	discard(): void | Promise<void>;
}

/** The request of a hop, as the loop needs it. */
export interface LoopRequest extends AuthRequest {
	/** @throws {StrategyError} where the strategy has changed where the request goes. */
	checkUrl(rule: RuleInfo): void;
}

/** What sends the legs of a hop. */
export interface Transport<Request extends LoopRequest, Answer extends Leg> {
	/** Send one leg, and give its answer. */
	send(request: Request): Promise<Answer>;
}

/**
 * Hold the conversation for one hop: send a leg for each `yield` of the strategy, until it returns. Gives the answer
 * that the conversation accepts. The generator is finished in every case.
 */
export async function runHop<Request extends LoopRequest, Answer extends Leg>(
	rule: {readonly info: RuleInfo; readonly strategy: AuthStrategy},
	request: Request,
	transport: Transport<Request, Answer>,
): Promise<Answer> {
	if (rule.strategy.requiresRequestBody === true) await request.readBody();
	const conversation = rule.strategy.authenticate(request);
	let answer: Answer | undefined;
	let isOver = false;
	try {
		for (let legs = 0; ; legs += 1) {
			const {done} = await (answer === undefined ? conversation.next() : conversation.next(answer.response));
			isOver = done === true;
			request.checkUrl(rule.info);
			// A strategy that never yields has prepared the request all the same.
			if (isOver) return answer ?? (await transport.send(request));
			// A body that is used up cannot be sent again, so the answer in hand is the last one.
			if (answer !== undefined && !request.replayable) return answer;
			if (legs === mostYields) throw tooManyLegs(rule.info);
			await answer?.discard();
			answer = await transport.send(request);
		}
	} catch (error) {
		await answer?.discard();
		throw error;
	} finally {
		if (!isOver) await conversation.return();
	}
}

function tooManyLegs({strategy, source}: RuleInfo): StrategyError {
	return new StrategyError(
		`The strategy '${strategy}' (${source}) sent one request more than ${mostYields} times. It should return once a response is to be accepted`,
	);
}
