/** A token endpoint that does as a test says: it holds its answers back, fails, or asks to be left alone. */
import {once} from 'node:events';
import {createServer, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';

/** What is answered instead of a token. */
export interface Failure {
	readonly status: number;
	/** Seconds, or a date. */
	readonly retryAfter?: number | string;
	/** The code of an OAuth error. */
	readonly error?: string;
}

export class TokenEndpoint {
	/** How many token requests there were. The first is given `token-1`, the second `token-2`, and so on. */
	requests = 0;
	/** Whether a request waits until `answer` is called. */
	holdsBack = false;
	/** Answered instead of a token, as long as it is set. */
	failure: Failure | undefined;
	/** Milliseconds that a token lives, in whole seconds. */
	lifetime = 3_600_000;
	/** Milliseconds that its clock is ahead of this machine's. */
	clockAhead = 0;
	/** The same token, again and again, until its end. */
	repeatsItself = false;
	url = '';
	readonly #waiting: (() => void)[] = [];
	#repeated: {readonly value: string; readonly expiresAt: number} | undefined;
	readonly #server = createServer((request, response) => {
		request.resume();
		this.requests += 1;
		const number = this.requests;
		this.#waiting.push(() => this.#answerOne(number, response));
		this.#server.emit('token request');
		if (!this.holdsBack) this.answer();
	});

	static async start(): Promise<TokenEndpoint> {
		const endpoint = new TokenEndpoint();
		const server = endpoint.#server;
		await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
		endpoint.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`;
		return endpoint;
	}

	/** Wait until there were so many requests. */
	async untilRequest(count: number): Promise<void> {
		while (this.requests < count) await once(this.#server, 'token request');
	}

	/** Answer what was held back. */
	answer(): void {
		for (const answerOne of this.#waiting.splice(0)) answerOne();
	}

	/** Refuse connections, until `comeBack`. */
	async goDown(): Promise<void> {
		await this.close();
	}

	async comeBack(): Promise<void> {
		const {port} = new URL(this.url);
		await new Promise<void>(resolve => this.#server.listen(Number(port), '127.0.0.1', resolve));
	}

	async close(): Promise<void> {
		const closed = new Promise(resolve => this.#server.close(resolve));
		this.#server.closeAllConnections();
		await closed;
	}

	#answerOne(number: number, response: ServerResponse): void {
		const now = Date.now();
		response.setHeader('date', new Date(now + this.clockAhead).toUTCString());
		if (this.failure !== undefined) {
			const {status, retryAfter, error} = this.failure;
			if (retryAfter !== undefined) response.setHeader('retry-after', retryAfter);
			if (error !== undefined) response.setHeader('content-type', 'application/json');
			response.writeHead(status).end(error === undefined ? '' : JSON.stringify({error}));
			return;
		}
		if (!this.repeatsItself || this.#repeated === undefined || this.#repeated.expiresAt <= now) {
			this.#repeated = {value: `token-${number}`, expiresAt: now + this.lifetime};
		}
		const {value, expiresAt} = this.#repeated;
		response.setHeader('content-type', 'application/json');
		response.end(
			JSON.stringify({
				access_token: value,
				token_type: 'Bearer',
				expires_in: Math.ceil((expiresAt - now) / 1000),
			}),
		);
	}
}
