/** What all strategies do that get a token from an authorization server and show it: cache, show, renew once when refused. */
import {createHash} from 'node:crypto';
import {GatepassError, TokenRequestError} from '../../src/errors.ts';
import type {
	AuthRequest,
	AuthStrategy,
	Conversation,
	CredentialAtHand,
	CredentialStatus,
	Evidence,
	Examination,
	Identity,
	Token,
	TokenCache,
} from '../../src/strategy/index.ts';
import {tokenKey} from '../../src/strategy/index.ts';
import type {Grant} from './grant.ts';
import {type SsoOptions, tokenEndpointOf} from './options.ts';
import type {Preparation, TokenClient} from './token-client.ts';

/** Where the grants of a rule come from that can change. The same object is given as long as nothing in it has changed. */
export interface Grants {
	/** The grant for a request. `fresh`: what it is made of is to be had again, where it can be. */
	for(request: AuthRequest, fresh: boolean): Promise<Grant>;
	/** What the next request's grant will be, as far as it is known without asking any server. */
	known(): Promise<Grant | undefined>;
}

/** A grant with all that is made from it once. */
interface Use {
	readonly grant: Grant;
	readonly preparation: Preparation;
	readonly identity: Identity | undefined;
	readonly tenant: string | undefined;
	readonly key: string;
	readonly issue: (signal: AbortSignal) => Promise<Token>;
	/** What was shown last without a wait. */
	shown?: {readonly token: Token; readonly credential: CredentialAtHand};
}

/** Tokens of more grants than this, such as those of many users, are not remembered for `forget`. */
const mostKeys = 10_000;

export interface TokenConversationSettings {
	/** The name of the strategy: tokens of different strategies are different tokens. */
	readonly strategy: string;
	readonly options: SsoOptions;
	readonly tokens: TokenCache;
	readonly client: TokenClient;
	/** Whose tokens a request uses that does not say. */
	readonly tenant: string | undefined;
	/** The one grant, where it is always the same. */
	readonly grants: Grant | Grants;
}

/** What the strategies extend that get a token by a grant. */
export class TokenConversation implements AuthStrategy {
	readonly #settings: TokenConversationSettings;
	readonly #grants: Grants;
	/** Whether one use serves all requests of a tenant: its grant is always the same, and no certificate can change. */
	readonly #isLasting: boolean;
	/** The last use: for a grant that is always the same, a warm token costs neither a key nor a closure. */
	#last: Use | undefined;
	/** The keys of all tokens that were used here. */
	readonly #keys = new Set<string>();

	constructor(settings: TokenConversationSettings) {
		const {grants, options} = settings;
		this.#settings = settings;
		this.#grants = 'for' in grants ? grants : {for: async () => grants, known: async () => grants};
		this.#isLasting = !('for' in grants) && options.identity === undefined;
	}

	/** End what runs. */
	dispose(): void {
		this.#settings.client.dispose();
	}

	async *authenticate(request: AuthRequest): Conversation {
		const {tokens, client, options} = this.#settings;
		let {token, use} = await this.#obtain(request, request.fresh);
		// A second time with a new token, where the first is refused: the server knows better than the clock, the
		// token may be revoked. No more than that.
		for (let isLast = false; ; isLast = true) {
			if (options.certificateBound) request.identity = use.identity;
			const {dpop} = use.preparation;
			let isRefused: boolean;
			if (token.type === 'DPoP' && dpop !== undefined) {
				const {showBoundToken} = await import('./dpop-proof.ts');
				isRefused = yield* showBoundToken(dpop.handle, token.value, request);
			} else {
				request.headers.set('authorization', `Bearer ${token.value}`);
				isRefused = (yield).status === 401;
			}
			if (!isRefused || isLast) return;
			if (token.type === 'DPoP') client.switchClock();
			await tokens.invalidate(use.key, token);
			if (!request.replayable) return;
			const refused = token.value;
			({token, use} = await this.#obtain(request, false));
			if (token.value === refused) request.refusal = this.#sameTokenAgain();
		}
	}

	/** What was prepared for the last use still holds where neither grant nor tenant is another, and no certificate is asked for. */
	atHand({tenant}: Pick<AuthRequest, 'tenant'>): CredentialAtHand | undefined {
		const {tokens} = this.#settings;
		const last = this.#last;
		if (last === undefined || !this.#isLasting || last.tenant !== tenant) return undefined;
		// A proof is made for each request.
		if (last.preparation.dpop !== undefined) return undefined;
		const token = tokens.atHand?.(last.key);
		if (token === undefined) return undefined;
		if (last.shown?.token !== token) {
			last.shown = {token, credential: {header: ['authorization', `Bearer ${token.value}`], isIssued: true}};
		}
		return last.shown.credential;
	}

	async status(settings?: {verify?: boolean}): Promise<CredentialStatus> {
		const {client, options} = this.#settings;
		const status = await this.#tokenStatus(settings);
		// The API is shown it, too.
		return options.certificateBound ? {...status, identity: await client.identity()} : status;
	}

	async #tokenStatus({verify = false}: {verify?: boolean} = {}): Promise<CredentialStatus> {
		const {tokens, client, tenant} = this.#settings;
		const {client: identified} = await client.prepare();
		const grant = await this.#grants.known();
		const token = grant && (await tokens.peek((await this.#use(grant, tenant)).key));
		const source = `for client ${identified.clientId} from ${this.#server()}`;
		if (token === undefined) {
			return {available: true, detail: `no token yet; one is fetched ${source} at the next request`};
		}
		const expiry = token.expiresAt === undefined ? {} : {expiresAt: token.expiresAt};
		if (!verify) return {available: true, detail: `token ${source}`, ...expiry};
		const active = await client.introspect(token.value, AbortSignal.timeout(10_000));
		if (active === undefined)
			return {available: true, detail: `token ${source}; the server offers no introspection`, ...expiry};
		const verdict = active ? 'the server takes it for valid' : 'the server takes it for invalid';
		return {available: active, detail: `token ${source}; ${verdict}`, ...expiry};
	}

	/** By a real token request, past the cache; what it gives is kept there. */
	async examine(url: URL): Promise<Examination> {
		const {client, tenant, options} = this.#settings;
		const {clientId} = (await client.prepare()).client;
		const asked = {client: clientId, server: this.#server(), ...askedFor(options)};
		try {
			const {unsentRequest} = await import('../bearer/nested-token.ts');
			const request = unsentRequest({method: 'GET', url, tenant}, true);
			const {token} = await this.#obtain(request, true);
			const evidence = {
				...asked,
				token: token.type,
				...client.clockEvidence(),
				...(token.expiresAt !== undefined && {expires: new Date(token.expiresAt).toISOString()}),
			};
			return {of: 'authorization server', evidence, diagnostics: client.clockDoubts()};
		} catch (error) {
			if (!(error instanceof GatepassError)) throw error;
			const isClient = error instanceof TokenRequestError && error.error === 'invalid_client';
			const grant = isClient ? await this.#grants.known() : undefined;
			const encoding = grant === undefined ? [] : await client.encodingDoubts(grant, await client.identity());
			const diagnostics = [...encoding, ...error.diagnostics, ...client.clockDoubts()];
			const evidence = {...asked, ...client.clockEvidence()};
			return {of: 'authorization server', evidence, diagnostics};
		}
	}

	async forget(): Promise<void> {
		const {tokens, client, tenant} = this.#settings;
		// What it is made of may be gone; the tokens are dropped all the same.
		const grant = await this.#grants.known().catch(() => undefined);
		const keys = new Set(this.#keys);
		if (grant !== undefined) keys.add((await this.#use(grant, tenant)).key);
		const dropped: Token[] = [];
		for (const key of keys) {
			const token = await tokens.peek(key);
			if (token !== undefined) dropped.push(token);
			await tokens.delete(key);
		}
		this.#keys.clear();
		this.#last = undefined;
		// Dropped first: whatever becomes of the revocations, no token is used again.
		const failures: unknown[] = [];
		for (const {value} of dropped) {
			await client.revoke(value, AbortSignal.timeout(10_000)).catch(error => failures.push(error));
		}
		if (failures.length > 0) throw failures[0];
	}

	async #obtain(request: AuthRequest, fresh: boolean): Promise<{token: Token; use: Use}> {
		const {tokens} = this.#settings;
		const last = this.#last;
		const use =
			this.#isLasting && last !== undefined && last.tenant === request.tenant
				? last
				: await this.#use(await this.#grants.for(request, fresh), request.tenant);
		try {
			return {use, token: await tokens.get(use.key, use.issue, {fresh})};
		} catch (error) {
			// What the grant is made of may have been revoked: one more try, where it can be had again.
			if (fresh || !isRefusedGrant(error)) throw error;
			const renewed = await this.#use(await this.#grants.for(request, true), request.tenant);
			if (renewed.grant === use.grant) throw error;
			return {use: renewed, token: await tokens.get(renewed.key, renewed.issue)};
		}
	}

	async #use(grant: Grant, tenant: string | undefined): Promise<Use> {
		const {client, options} = this.#settings;
		const preparation = await client.prepare();
		const identity = options.identity === undefined ? undefined : await client.identity();
		const last = this.#last;
		if (
			last?.grant === grant &&
			last.tenant === tenant &&
			last.preparation === preparation &&
			last.identity === identity
		) {
			return last;
		}
		const key = this.#keyFor(grant, tenant, preparation, identity);
		this.#remember(key);
		const issue = (signal: AbortSignal): Promise<Token> => client.request(grant, identity, signal);
		this.#last = {grant, preparation, identity, tenant, key, issue};
		return this.#last;
	}

	#remember(key: string): void {
		this.#keys.delete(key);
		this.#keys.add(key);
		const [oldest] = this.#keys;
		if (this.#keys.size > mostKeys && oldest !== undefined) this.#keys.delete(oldest);
	}

	#keyFor(
		{type, distinguishing}: Grant,
		tenant: string | undefined,
		{client, dpop}: Preparation,
		identity: Identity | undefined,
	): string {
		const {audience, scope, resource, parameters} = this.#settings.options;
		return tokenKey({
			strategy: this.#settings.strategy,
			grant: type,
			tenant,
			server: this.#settings.options.issuer ?? tokenEndpointOf(this.#settings.options),
			client: client.clientId,
			audience,
			scope,
			resource: resource === undefined ? undefined : [resource].flat(),
			// What they are is not known; one may be a secret, and keys are shown.
			parameters: Object.entries(parameters ?? {})
				.sort()
				.flatMap(([name, value]) => [name, hash(value)]),
			identity: identity?.thumbprint,
			dpop: dpop?.thumbprint,
			...Object.fromEntries(
				Object.entries(distinguishing ?? {}).map(([part, text]) => [`grant.${part}`, hash(text)]),
			),
		});
	}

	/** A new one, it should be: what the API has refused once it will refuse again. */
	#sameTokenAgain(): TokenRequestError {
		return new TokenRequestError({
			code: 'issuer-repeats-token',
			what: `${this.#server()} gave the very token again that the API had just refused`,
			hint: "Have whoever runs the authorization server see why it hands out a token that is revoked: mostly a cache of its own. Until then 'gatepass forget', which revokes it there, may help",
		});
	}

	#server(): string {
		return new URL(this.#settings.options.issuer ?? tokenEndpointOf(this.#settings.options)).host;
	}
}

/** RFC 8693 section 2.2.2 has a subject token refused with the one code, RFC 6749 section 5.2 with the other. */
function isRefusedGrant(error: unknown): boolean {
	return (
		error instanceof TokenRequestError &&
		(error.error === 'invalid_grant' || error.error === 'invalid_request')
	);
}

/** The parameters that the options ask for, whatever the grant. */
export function commonParameters({audience, scope, resource, parameters}: SsoOptions): URLSearchParams {
	const form = new URLSearchParams(parameters);
	if (audience !== undefined) form.set('audience', audience);
	if (scope !== undefined) form.set('scope', scope);
	for (const single of resource === undefined ? [] : [resource].flat()) form.append('resource', single);
	return form;
}

/** What a token is to be for, as the rule says it: the stage after tells what it has. */
function askedFor({audience, scope, resource}: SsoOptions): Evidence {
	return {
		...(audience !== undefined && {'audience asked for': audience}),
		...(scope !== undefined && {'scope asked for': scope}),
		...(resource !== undefined && {'resource asked for': resource}),
	};
}

function hash(text: string): string {
	return createHash('sha256').update(text).digest('base64url');
}
