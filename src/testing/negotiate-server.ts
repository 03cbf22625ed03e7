/** A server that demands Negotiate (RFC 4559), for the strategy `kerberos-stub`. */
import {openStubToken, replyTo} from '../../strategies/kerberos-stub/stub-provider.ts';
import {answerJson, startServer, type TestServer} from './server.ts';

/** How the server behaves. */
export interface NegotiateServerSettings {
	/** What it proves of itself: a right token, a wrong one, or none. Default: `valid`. */
	readonly proof?: 'valid' | 'invalid' | 'none';
	/** The status of an answer to an authenticated request. Default: 200. */
	readonly status?: number;
}

/** A server that demands Negotiate. */
export type NegotiateServer = TestServer;

/** Start a server that challenges each request, and answers one with a stub's token with the principal in it. */
export async function startNegotiateServer({
	proof = 'valid',
	status = 200,
}: NegotiateServerSettings = {}): Promise<NegotiateServer> {
	return startServer((request, response) => {
		const token = /^Negotiate (\S+)$/.exec(String(request.headers.authorization))?.[1];
		const ticket = token === undefined ? undefined : openStubToken(Buffer.from(token, 'base64'));
		if (ticket === undefined) {
			answerJson(response, 401, {error: 'no ticket'}, {'www-authenticate': 'Negotiate'});
			return;
		}
		const reply = proof === 'valid' ? replyTo(ticket) : Buffer.from('not the right answer');
		const headers =
			proof === 'none' ? {} : {'www-authenticate': `Negotiate ${Buffer.from(reply).toString('base64')}`};
		answerJson(
			response,
			status,
			{path: request.url, principal: ticket.principal, service: ticket.target},
			headers,
		);
	});
}
