/**
 * Parts a request from the connections that others use, too: it hangs on responses and errors, which get kept and
 * printed, and by its agent and its connection one would come to the headers of whatever is sent later.
 */
import type {ClientRequest, IncomingMessage} from 'node:http';
import {PlainAgent} from '../tls/plain-agent.ts';
import {TrustingAgent} from '../tls/verifying-agent.ts';

interface Inside {
	agent?: unknown;
	socket?: {destroyed: boolean} | null;
	res?: {socket?: unknown; client?: unknown} | null;
}

/** To be called with each request over an agent of gatepass, when it is made. */
export function detachWhenDone<Request extends ClientRequest>(request: Request): Request {
	const inside = request as unknown as Inside;
	if (!(inside.agent instanceof TrustingAgent || inside.agent instanceof PlainAgent)) return request;
	let answer: IncomingMessage | undefined;
	request.once('response', response => {
		answer = response;
		// It has its connection, so Node needs the agent no more.
		inside.agent = null;
	});
	request.once('close', () => {
		// Right after it, Node gives the connection back.
		process.nextTick(() => {
			inside.agent = null;
			// Over one that is destroyed, nothing is sent any more.
			if (inside.socket?.destroyed !== false) return;
			inside.socket = null;
			for (const message of [answer as Inside['res'], inside.res]) {
				if (message) Object.assign(message, {socket: null, client: null});
			}
		});
	});
	return request;
}
