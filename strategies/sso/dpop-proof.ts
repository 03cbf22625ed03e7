/** Shows a token that is bound to a key (RFC 9449): a proof beside it, for each request anew, with the server's nonce. */
import * as oauth from 'oauth4webapi';
import type {AuthRequest, AuthResponse} from '../../src/strategy.ts';

/** Show the token, a second time where the server wants its nonce in the proof. Returns the status of the last answer. */
export async function* showBoundToken(
	handle: oauth.DPoPHandle,
	token: string,
	request: AuthRequest,
): AsyncGenerator<void, number, AuthResponse> {
	const proof = new DpopProof(handle, token, request);
	await proof.add();
	let response = yield;
	const wantsNonce = await proof.answered(response);
	if (wantsNonce && request.replayable) {
		await proof.add();
		response = yield;
		await proof.answered(response);
	}
	return response.status;
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
		// A body of its own kind would be read nowhere; 1xx cannot be constructed.
		this.#exchange?.answer(new Response(null, {status: Math.max(200, status), headers: relevant}));
		return oauth.isDPoPNonceError(await this.#exchange?.outcome);
	}
}
