/** Shows a token that is bound to a key (RFC 9449): a proof beside it, for each request again, with the server's nonce. */
import * as oauth from 'oauth4webapi';
import type {AuthRequest, AuthResponse} from '../../src/strategy/index.ts';

/**
 * Show the token, a second time where the server wants its nonce in the proof.
 * Returns whether the server refused the token itself.
 */
export async function* showBoundToken(
	handle: oauth.DPoPHandle,
	token: string,
	request: AuthRequest,
): AsyncGenerator<void, boolean, AuthResponse> {
	const proof = new DpopProof(handle, token, request);
	for (let isLast = !request.replayable; ; isLast = true) {
		await proof.add();
		const response = yield;
		// Also where the request cannot be sent again: the next one needs the nonce.
		const wantsNonce = await proof.answered(response);
		if (!wantsNonce) return response.status === 401;
		if (isLast) return false;
	}
}

/**
 * The library makes the proof and remembers nonces within a request of its own. Here the request is sent by
 * somebody else, so the library is given a `fetch` that hands over the headers and waits for the answer.
 */
class DpopProof {
	readonly #handle: oauth.DPoPHandle;
	readonly #token: string;
	readonly #request: AuthRequest;
	#exchange: {readonly outcome: Promise<unknown>; readonly answer: (response: Response) => void} | undefined;

	constructor(handle: oauth.DPoPHandle, token: string, request: AuthRequest) {
		this.#handle = handle;
		this.#token = token;
		this.#request = request;
	}

	/** Put token and proof into the request. */
	async add(): Promise<void> {
		const {method, url, headers} = this.#request;
		const sent = Promise.withResolvers<Headers>();
		const answered = Promise.withResolvers<Response>();
		const outcome = oauth
			.protectedResourceRequest(this.#token, method, url, new Headers(), undefined, {
				DPoP: this.#handle,
				[oauth.allowInsecureRequests]: true,
				[oauth.customFetch]: (_, init) => {
					sent.resolve(new Headers(init.headers as Record<string, string>));
					return answered.promise;
				},
			})
			.catch(error => {
				sent.reject(error);
				return error;
			});
		this.#exchange = {outcome, answer: answered.resolve};
		const proven = await sent.promise;
		headers.set('authorization', proven.get('authorization') ?? '');
		headers.set('dpop', proven.get('dpop') ?? '');
	}

	/** Tell the library what was answered. Returns whether the server wants the request again, with its nonce in the proof. */
	async answered({status, headers}: AuthResponse): Promise<boolean> {
		const relevant = new Headers();
		for (const name of ['dpop-nonce', 'www-authenticate']) {
			for (const value of [headers[name] ?? []].flat()) relevant.append(name, value);
		}
		// The body is read nowhere, and servers send statuses that cannot be constructed.
		this.#exchange?.answer(new Response(null, {status: status === 401 ? 401 : 200, headers: relevant}));
		return oauth.isDPoPNonceError(await this.#exchange?.outcome);
	}
}
