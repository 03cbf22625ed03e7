/** Runs a strategy's conversation for one hop. Knows no HTTP library: a transport sends and asks what to do next. */
import {GatepassError, StrategyError} from '../errors.ts';
import {nameCommand} from '../name-command.ts';
import type {AuthRequest, AuthStrategy, Conversation, CredentialAtHand, RuleInfo} from '../strategy/index.ts';
import {type ReadableAnswer, withBody} from './response-body.ts';

/** More legs than any scheme needs; a conversation that goes on is broken. */
const mostYields = 10;

/** The answer to one leg. */
export interface Leg extends ReadableAnswer {
	/** Nobody wants it: read it to its end, or break it off. */
	discard(): void | Promise<void>;
}

/** The request of a hop, as the loop needs it. */
export interface LoopRequest extends AuthRequest {
	/** @throws {StrategyError} where the strategy has changed where the request goes. */
	checkUrl(rule: RuleInfo): void;
	/** Use a connection that is for this credential alone. */
	bindConnection(): void;
}

/** A rule, as the loop needs it. */
export interface LoopRule {
	readonly info: RuleInfo;
	readonly strategy: AuthStrategy;
	/** Whether the server takes a connection for its first user's. */
	readonly isConnectionBound?: boolean | undefined;
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
	rule: LoopRule,
	request: Request,
	transport: Transport<Request, Answer>,
): Promise<Answer> {
	if (rule.strategy.requiresRequestBody === true) await request.readBody();
	const conversation = conversationOf(rule, request);
	const readsAnswers = rule.strategy.requiresResponseBody === true;
	let answer: Answer | undefined;
	let isOver = false;
	try {
		for (let legs = 0; ; legs += 1) {
			const response = answer !== undefined && readsAnswers ? await withBody(answer) : answer?.response;
			const {done} = await (response === undefined ? conversation.next() : conversation.next(response));
			isOver = done === true;
			request.checkUrl(rule.info);
			if (rule.isConnectionBound === true) request.bindConnection();
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
		throw error instanceof GatepassError ? nameCommand(error, request.url) : error;
	} finally {
		if (!isOver) await conversation.return();
	}
}

/**
 * What the first leg is to show, where its strategy has that at hand. Such a
 * leg may be sent right away; only where it is answered with a {@link wantsConversation 401}, the conversation begins,
 * and its first leg is the one that was sent (docs/decisions/0018-first-leg-ahead.md).
 */
export function credentialAtHand(
	{info, strategy, isConnectionBound}: LoopRule,
	{fresh, method, tenant}: Pick<AuthRequest, 'fresh' | 'method' | 'tenant'>,
): CredentialAtHand | undefined {
	// Whose connection a bound one is, is said by the conversation.
	if (fresh || isConnectionBound === true) return undefined;
	return strategy.atHand?.({method, tenant: tenant ?? info.tenant});
}

/** Whether the answer to a leg that was sent ahead is one that the conversation is there for. */
export function wantsConversation(status: number | undefined): boolean {
	return status === 401;
}

/** Whatever a strategy returns that nobody can talk to is its own fault, and said so. */
function conversationOf(
	{strategy, info}: {readonly info: RuleInfo; readonly strategy: AuthStrategy},
	request: AuthRequest,
): Conversation {
	const conversation: unknown = strategy.authenticate(request);
	const {next, return: end} = (conversation ?? {}) as Partial<Conversation>;
	if (typeof next === 'function' && typeof end === 'function') return conversation as Conversation;
	// What an `async` function without the star would throw is not the fault that is told.
	if (conversation instanceof Promise) conversation.catch(() => {});
	throw new StrategyError({
		code: 'strategy-broken',
		what: `'authenticate' of the strategy '${info.strategy}' (${info.source}) is no generator`,
		hint: "Write 'async *authenticate(request) { …; yield; }', with the star",
	});
}

function tooManyLegs({strategy, source}: RuleInfo): StrategyError {
	return new StrategyError({
		code: 'strategy-never-ends',
		what: `The strategy '${strategy}' (${source}) sent one request more than ${mostYields} times`,
		hint: 'It should return once a response is to be accepted',
	});
}
