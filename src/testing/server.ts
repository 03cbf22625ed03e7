/** What the servers for tests have in common: an ephemeral port on 127.0.0.1, a record of requests, a clean end. */
import {createServer, type IncomingMessage, type Server, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';

/** A request that a server for tests has received. */
export interface RecordedRequest {
	readonly method: string;
	/** Path and query. */
	readonly url: string;
	/** By lower-case name. */
	readonly headers: Readonly<Record<string, string | string[] | undefined>>;
	readonly body: string;
}

/** A server for tests, with a record of what it was sent. */
export interface TestServer {
	/** Scheme, host and port, without a slash at the end. */
	readonly url: string;
	/** Every request so far, in the order of arrival. */
	readonly requests: readonly RecordedRequest[];
	/** End all connections and free the port. */
	close(): Promise<void>;
}

/** Answers a request that was read whole. */
export type Answer = (
	request: RecordedRequest,
	response: ServerResponse,
	incoming: IncomingMessage,
) => void | Promise<void>;

/** Start a server that records each request before it is answered. */
export async function startServer(
	answer: Answer,
	server: Server = createServer(),
	scheme = 'http',
): Promise<TestServer> {
	const requests: RecordedRequest[] = [];
	server.on('request', async (incoming: IncomingMessage, response: ServerResponse) => {
		try {
			const chunks: Buffer[] = [];
			for await (const chunk of incoming) chunks.push(chunk);
			const {method = 'GET', url = '/', headers} = incoming;
			const request = {method, url, headers, body: Buffer.concat(chunks).toString()};
			requests.push(request);
			await answer(request, response, incoming);
		} catch {
			// The client went away, or the answer could not be made: either way there is nobody to tell but the client.
			response.destroy();
		}
	});
	await new Promise<void>((resolve, reject) => {
		server.once('error', reject);
		server.listen(0, '127.0.0.1', resolve);
	});
	const {port} = server.address() as AddressInfo;
	return {
		url: `${scheme}://127.0.0.1:${port}`,
		requests,
		async close() {
			const closed = new Promise<void>(resolve => server.close(() => resolve()));
			server.closeAllConnections();
			await closed;
		},
	};
}

/** Answer with JSON. */
export function answerJson(
	response: ServerResponse,
	status: number,
	body: unknown,
	headers: Record<string, string> = {},
): void {
	response.writeHead(status, {'content-type': 'application/json', ...headers}).end(JSON.stringify(body));
}
