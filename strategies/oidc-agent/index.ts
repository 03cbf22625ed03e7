/** `oidc-agent`: a token from the agent that keeps a person's logins on this machine (https://github.com/indigo-dc/oidc-agent). */
import {hostname} from 'node:os';
import {CredentialUnavailableError} from '../../src/errors.ts';
import {
	type AuthRequest,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	type CredentialStatus,
	Environment,
	inject,
	RuleInfo,
	StrategyOptions,
	type Token,
	TokenCache,
	tokenKey,
} from '../../src/strategy/index.ts';
import {AgentIsSilent, askAgent} from './ask-agent.ts';
import {type OidcAgentOptions, oidcAgentOptions} from './options.ts';
import {type AgentQuestion, describeSilence, readAnswer} from './read-answer.ts';

interface Use {
	readonly key: string;
	readonly issue: (signal: AbortSignal) => Promise<Token>;
}

/**
 * Shows a token that oidc-agent gives, asked over its own socket, which the variable OIDC_SOCK names. After a 401 the
 * agent is asked for a new one, and the request sent once more.
 *
 * Fails with a `CredentialUnavailableError` where there is no agent, it is locked, or has no such account; with a
 * `TokenRequestError` where it gets no token, or does not answer in time.
 */
@authStrategy({name: 'oidc-agent', options: oidcAgentOptions})
export class OidcAgentStrategy implements AuthStrategy {
	readonly #options: OidcAgentOptions;
	readonly #tokens: TokenCache;
	readonly #environment: Environment;
	readonly #rule: RuleInfo;
	/** By tenant and socket: a warm token costs neither a key nor a closure. */
	readonly #uses = new Map<string, Use>();
	/** A token that a server refused: the agent, which keeps it, is asked for one that lasts longer. */
	#refused: Token | undefined;

	constructor(
		@inject(StrategyOptions) options: OidcAgentOptions,
		@inject(TokenCache) tokens: TokenCache,
		@inject(Environment) environment: Environment,
		@inject(RuleInfo) rule: RuleInfo,
	) {
		this.#options = options;
		this.#tokens = tokens;
		this.#environment = environment;
		this.#rule = rule;
	}

	async *authenticate(request: AuthRequest): Conversation {
		const {key, issue} = this.#useFor(request.tenant);
		if (request.fresh) this.#refused = await this.#tokens.peek(key);
		let token = await this.#tokens.get(key, issue, {fresh: request.fresh});
		for (let isLast = false; ; isLast = true) {
			request.headers.set('authorization', `Bearer ${token.value}`);
			const {status} = yield;
			if (status !== 401 || isLast) return;
			this.#refused = token;
			await this.#tokens.invalidate(key, token);
			if (!request.replayable) return;
			const next = await this.#tokens.get(key, issue);
			if (next.value === token.value) return;
			token = next;
		}
	}

	async status(): Promise<CredentialStatus> {
		const {account, issuer} = this.#options;
		const name = account === undefined ? `for ${issuer}` : `for the account ${account}`;
		if (!this.#environment.OIDC_SOCK) {
			return {available: false, detail: 'there is no oidc-agent: OIDC_SOCK is not set'};
		}
		const token = await this.#tokens.peek(this.#useFor(this.#rule.tenant).key);
		if (token === undefined)
			return {available: true, detail: `no token yet; oidc-agent is asked ${name} at the next request`};
		const {expiresAt} = token;
		return {
			available: true,
			detail: `token from oidc-agent ${name}`,
			...(expiresAt !== undefined && {expiresAt}),
		};
	}

	async forget(): Promise<void> {
		const own = this.#environment.OIDC_SOCK ? [this.#useFor(this.#rule.tenant).key] : [];
		const keys = new Set([...own, ...[...this.#uses.values()].map(({key}) => key)]);
		for (const key of keys) await this.#tokens.delete(key);
	}

	#useFor(tenant: string | undefined): Use {
		const socket = this.#environment.OIDC_SOCK;
		if (!socket) {
			const {match, source} = this.#rule;
			throw new CredentialUnavailableError({
				code: 'token-source-unusable',
				what: `There is no oidc-agent for the rule for ${match} (${source}): OIDC_SOCK is not set`,
				hint: "Start the agent with 'eval $(oidc-agent)', and give OIDC_SOCK to this process",
			});
		}
		const name = JSON.stringify([tenant, socket]);
		let use = this.#uses.get(name);
		if (use === undefined) {
			const {account, issuer, scope, audience} = this.#options;
			const agent = [hostname(), String(process.geteuid?.()), socket];
			const key = tokenKey({strategy: 'oidc-agent', tenant, agent, account, issuer, scope, audience});
			use = {key, issue: signal => this.#ask(socket, signal)};
			this.#uses.set(name, use);
		}
		return use;
	}

	async #ask(socket: string, signal: AbortSignal): Promise<Token> {
		const {account, issuer, scope, audience, timeout} = this.#options;
		const question: AgentQuestion = {
			socket,
			account: account ?? issuer ?? '',
			isIssuer: account === undefined,
			timeout,
			rule: this.#rule,
		};
		const request = {
			request: 'access_token',
			...(account === undefined ? {issuer} : {account}),
			min_valid_period: Math.ceil(this.#wantedValidity() / 1000),
			application_hint: 'gatepass',
			scope,
			audience,
		};
		try {
			const answer = readAnswer(await askAgent(socket, request, timeout, signal), question);
			if (answer.value !== this.#refused?.value) this.#refused = undefined;
			return {...answer, type: 'Bearer'};
		} catch (error) {
			throw error instanceof AgentIsSilent ? describeSilence(error.reason, question) : error;
		}
	}

	/** Longer than a refused token lives: the agent then asks its provider. */
	#wantedValidity(): number {
		const {minimumValidity} = this.#options;
		const refused = this.#refused;
		if (refused === undefined) return minimumValidity;
		return Math.max(minimumValidity, (refused.expiresAt ?? Date.now()) - Date.now() + 3_600_000);
	}
}
