/** Goes on with the conversation of another strategy. */
import type {Conversation} from '../../src/strategy/index.ts';

/** `yield*` for a conversation that has been begun already. */
export async function* resume(conversation: Conversation, begun: IteratorResult<void, void>): Conversation {
	let step = begun;
	try {
		while (step.done !== true) step = await conversation.next(yield);
	} finally {
		if (step.done !== true) await conversation.return();
	}
}
