/** What all strategies do that get a token from an authorization server and show it: cache, show, renew once when refused. */
import {createHash} from 'node:crypto';
import type {
	AuthRequest,
	AuthStrategy,
	Conversation,
	CredentialStatus,
	Token,
	TokenCache,
} from '../../src/strategy.ts';
import {tokenKey} from '../../src/strategy.ts';
import {showBoundToken} from './dpop-proof.ts';
import {type SsoOptions, tokenEndpointOf} from './options.ts';
import type {Preparation, TokenClient} from './token-client.ts';

/** A token request, and what makes its token different from others. */
export interface Grant {
	readonly type: string;
	readonly parameters: URLSearchParams;
	/** Texts that make the token different; secrets among them are hashed. */
	readonly distinguishing?: Readonly<Record<string, string>>;
}

interface Use {
	readonly grant: Grant;
	readonly preparation: Preparation;
	readonly key: string;
	readonly issue: (signal: AbortSignal) => Promise<Token>;
}

export interface TokenConversationSettings {
	/** The name of the strategy: tokens of different strategies are different tokens. */
	readonly strategy: string;
	readonly options: SsoOptions;
	readonly tokens: TokenCache;
	readonly client: TokenClient;
	/** The grant for a request; without one, for `status`. The same object each time where it does not change. */
	grant(request?: AuthRequest): Grant | Promise<Grant>;
}

export class TokenConversation implements AuthStrategy {
	readonly #settings: TokenConversationSettings;
	/** The last use: for a grant that is always the same, a warm token costs neither a key nor a closure. */
	#last: Use | undefined;

	constructor(settings: TokenConversationSettings) {
		this.#settings = settings;
	}

	async *authenticate(request: AuthRequest): Conversation {
		const {key, issue, preparation} = await this.#use(request);
		if (this.#settings.options.certificateBound) request.identity = preparation.identity;
		let token = await this.#settings.tokens.get(key, issue, request);
		// A second time with a new token, where the first is refused: the server knows better than the clock, the
		// token may be revoked. No more than that.
		for (let isLast = false; ; isLast = true) {
			let status: number;
			if (token.type === 'DPoP' && preparation.dpop !== undefined) {
				status = yield* showBoundToken(preparation.dpop.handle, token.value, request);
			} else {
				request.headers.set('authorization', `Bearer ${token.value}`);
				({status} = yield);
			}
			if (status !== 401 || isLast) return;
			await this.#settings.tokens.invalidate(key, token);
			if (!request.replayable) return;
			token = await this.#settings.tokens.get(key, issue);
		}
	}

	async status({verify = false}: {verify?: boolean} = {}): Promise<CredentialStatus> {
		const {key, preparation} = await this.#use();
		const token = await this.#settings.tokens.peek(key);
		const source = `for client ${preparation.client.clientId} from ${this.#server()}`;
		if (token === undefined) {
			return {available: true, detail: `no token yet; one is fetched ${source} at the next request`};
		}
		const expiry = token.expiresAt === undefined ? {} : {expiresAt: token.expiresAt};
		if (!verify) return {available: true, detail: `token ${source}`, ...expiry};
		const active = await this.#settings.client.introspect(token.value, AbortSignal.timeout(10_000));
		if (active === undefined)
			return {available: true, detail: `token ${source}; the server offers no introspection`, ...expiry};
		const verdict = active ? 'the server takes it for valid' : 'the server takes it for invalid';
		return {available: active, detail: `token ${source}; ${verdict}`, ...expiry};
	}

	async forget(): Promise<void> {
		const {key} = await this.#use();
		const token = await this.#settings.tokens.peek(key);
		// Dropped first: whatever becomes of the revocation, the token is not used again.
		await this.#settings.tokens.delete(key);
		if (token !== undefined) await this.#settings.client.revoke(token.value, AbortSignal.timeout(10_000));
	}

	async #use(request?: AuthRequest): Promise<Use> {
		const preparation = await this.#settings.client.prepare();
		const grant = await this.#settings.grant(request);
		if (this.#last?.grant === grant && this.#last.preparation === preparation) return this.#last;
		const issue = (signal: AbortSignal): Promise<Token> =>
			this.#settings.client.request(grant.type, grant.parameters, signal);
		this.#last = {grant, preparation, key: this.#keyFor(grant, preparation), issue};
		return this.#last;
	}

	#keyFor({type, distinguishing}: Grant, {client, identity, dpop}: Preparation): string {
		const {audience, scope, resource, parameters, certificateBound} = this.#settings.options;
		return tokenKey({
			strategy: this.#settings.strategy,
			grant: type,
			server: this.#settings.options.issuer ?? tokenEndpointOf(this.#settings.options),
			client: client.clientId,
			audience,
			scope,
			resource: resource === undefined ? undefined : [resource].flat(),
			parameters: parameters === undefined ? undefined : Object.entries(parameters).sort().flat(),
			identity: certificateBound ? identity?.thumbprint : undefined,
			dpop: dpop?.thumbprint,
			...Object.fromEntries(
				Object.entries(distinguishing ?? {}).map(([part, text]) => [`grant.${part}`, hash(text)]),
			),
		});
	}

	#server(): string {
		return new URL(this.#settings.options.issuer ?? tokenEndpointOf(this.#settings.options)).host;
	}
}

/** The parameters that the options ask for, whatever the grant. */
export function commonParameters({audience, scope, resource, parameters}: SsoOptions): URLSearchParams {
	const form = new URLSearchParams(parameters);
	if (audience !== undefined) form.set('audience', audience);
	if (scope !== undefined) form.set('scope', scope);
	for (const single of resource === undefined ? [] : [resource].flat()) form.append('resource', single);
	return form;
}

function hash(text: string): string {
	return createHash('sha256').update(text).digest('base64url');
}
