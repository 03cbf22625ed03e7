/** `command`: a credential that a program prints. */
import {CredentialUnavailableError} from '../../src/errors.ts';
import {
	type AuthRequest,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	type CredentialAtHand,
	type CredentialStatus,
	Environment,
	Identities,
	type Identity,
	inject,
	Notices,
	RuleInfo,
	StrategyOptions,
	type Token,
	TokenCache,
	tokenKey,
} from '../../src/strategy/index.ts';
import {KeptCredential} from './kept-credential.ts';
import {type CommandOptions, commandOptions} from './options.ts';
import {ProgramSource} from './program-source.ts';
import {readExecCredential, readJson, readText} from './read-output.ts';

/** What is shown: a text in a header, a client certificate, or both. */
interface Shown {
	readonly text: string | undefined;
	readonly identity: Identity | undefined;
	readonly expiresAt: number | undefined;
}

/** What kubectl tells such programs, of which some refuse to work without. */
const kubernetesVariables = {
	KUBERNETES_EXEC_INFO: JSON.stringify({
		apiVersion: 'client.authentication.k8s.io/v1',
		kind: 'ExecCredential',
		spec: {interactive: false},
	}),
};

/**
 * Shows what a program prints: a token, another text in a header, or kubectl's ExecCredential. One run serves all
 * callers; what it printed is kept until it expires and renewed ahead of that. After a 401 it is dropped, and the program
 * run once more.
 *
 * Fails with a `CredentialUnavailableError` where there is no such program, and with a `TokenRequestError` where it gives
 * no credential.
 */
@authStrategy({name: 'command', options: commandOptions})
export class CommandStrategy implements AuthStrategy {
	readonly #options: CommandOptions;
	readonly #program: ProgramSource;
	readonly #tokens: TokenCache;
	readonly #identities: Identities;
	readonly #kept: KeptCredential<Shown>;
	/** The last client certificate that was printed. */
	#identity: Identity | undefined;
	/** Made once for each tenant: a warm credential costs no hash. */
	readonly #keys = new Map<string | undefined, string>();
	readonly #tenant: string | undefined;
	/** What was made last of what is kept. */
	#atHand: {readonly of: Token | Shown; readonly credential: CredentialAtHand} | undefined;

	constructor(
		@inject(StrategyOptions) options: CommandOptions,
		@inject(TokenCache) tokens: TokenCache,
		@inject(Identities) identities: Identities,
		@inject(Environment) environment: Environment,
		@inject(Notices) notices: Notices,
		@inject(RuleInfo) rule: RuleInfo,
	) {
		this.#options = options;
		const variables = options.format === 'exec-credential' ? kubernetesVariables : {};
		this.#program = new ProgramSource(options, {environment, rule, notices}, variables);
		this.#tokens = tokens;
		this.#identities = identities;
		this.#tenant = rule.tenant;
		this.#kept = new KeptCredential(
			() => this.#fetchExecCredential(),
			({identity}) => {
				if (identity !== undefined && identity !== this.#identity) identities.release?.(identity);
			},
		);
	}

	authenticate(request: AuthRequest): Conversation {
		return this.#options.format === 'exec-credential'
			? this.#showExecCredential(request)
			: this.#showText(request);
	}

	/** What is kept and not yet due for renewal: a 401 is the only answer that a conversation does anything about. */
	atHand({tenant}: Pick<AuthRequest, 'tenant'>): CredentialAtHand | undefined {
		const kept =
			this.#options.format === 'exec-credential'
				? this.#kept.atHand
				: this.#tokens.atHand?.(this.#keyFor(tenant));
		if (kept === undefined) return undefined;
		if (this.#atHand?.of !== kept) this.#atHand = {of: kept, credential: this.#credentialOf(kept)};
		return this.#atHand.credential;
	}

	#credentialOf(kept: Token | Shown): CredentialAtHand {
		const {header = 'authorization'} = this.#options;
		const isText = 'value' in kept;
		const bearer = isText ? kept.value : kept.text;
		const text = this.#options.header === undefined && bearer !== undefined ? `Bearer ${bearer}` : bearer;
		const identity = isText ? undefined : kept.identity;
		return {
			...(text !== undefined && {header: [header.toLowerCase(), text] as const}),
			...(identity !== undefined && {identity}),
			isIssued: true,
		};
	}

	async status(): Promise<CredentialStatus> {
		const {name, isThere} = this.#program;
		const known =
			this.#options.format === 'exec-credential'
				? this.#kept.peek()
				: await this.#tokens.peek(this.#keyFor(this.#tenant));
		if (known !== undefined) {
			const {expiresAt} = known;
			return {
				available: true,
				detail: `credential from ${name}`,
				...(expiresAt !== undefined && {expiresAt}),
			};
		}
		return isThere
			? {available: true, detail: `no credential yet; ${name} is run at the next request`}
			: {available: false, detail: `there is no program ${name}`};
	}

	async forget(): Promise<void> {
		this.#kept.clear();
		const keys = new Set([this.#keyFor(this.#tenant), ...this.#keys.values()]);
		for (const key of keys) await this.#tokens.delete(key);
	}

	dispose(): void {
		this.#program.dispose();
	}

	async *#showText(request: AuthRequest): Conversation {
		const {header} = this.#options;
		const key = this.#keyFor(request.tenant);
		let token = await this.#tokens.get(key, this.#issue, {fresh: request.fresh});
		for (let isLast = false; ; isLast = true) {
			if (header === undefined) request.headers.set('authorization', `Bearer ${token.value}`);
			else request.headers.set(header, token.value);
			const {status} = yield;
			if (status !== 401 || isLast) return;
			await this.#tokens.invalidate(key, token);
			if (!request.replayable) return;
			const next = await this.#tokens.get(key, this.#issue);
			// A program with a cache of its own prints the same again.
			if (next.value === token.value) return;
			token = next;
		}
	}

	async *#showExecCredential(request: AuthRequest): Conversation {
		let shown = await this.#kept.get(request.fresh);
		for (let isLast = false; ; isLast = true) {
			if (shown.identity !== undefined) request.identity = shown.identity;
			if (shown.text !== undefined) request.headers.set('authorization', `Bearer ${shown.text}`);
			const {status} = yield;
			if (status !== 401 || isLast || !this.#kept.drop(shown) || !request.replayable) return;
			const next = await this.#kept.get();
			const isSame = next.text === shown.text && next.identity?.thumbprint === shown.identity?.thumbprint;
			if (isSame) return;
			shown = next;
		}
	}

	readonly #issue = async (signal: AbortSignal): Promise<Token> => {
		const {format, header} = this.#options;
		const askedAt = Date.now();
		const read = (output: string) =>
			format === 'json' ? readJson(output, askedAt) : readText(output, header === undefined);
		return {...(await this.#program.run(read, signal)), type: 'Bearer'};
	};

	async #fetchExecCredential(): Promise<Shown> {
		const {token, certificate, expiresAt} = await this.#program.run(readExecCredential);
		if (certificate === undefined) return {text: token, identity: undefined, expiresAt};
		const origin = `the output of ${this.#program.name}`;
		if (this.#identities.adopt === undefined) {
			throw new CredentialUnavailableError({
				code: 'token-source-unusable',
				what: `${origin} is a client certificate, and the Identities in the container take none that is in no file`,
				hint: "Give them 'adopt', or have the program print a token",
			});
		}
		const adopted = await this.#identities.adopt({...certificate, origin});
		// The same once more: connections go on.
		const identity = this.#identity?.thumbprint === adopted.thumbprint ? this.#identity : adopted;
		this.#identity = identity;
		// Some programs leave the time to the certificate.
		return {text: token, identity, expiresAt: Math.min(expiresAt ?? identity.notAfter, identity.notAfter)};
	}

	#keyFor(tenant: string | undefined): string {
		let key = this.#keys.get(tenant);
		if (key === undefined) {
			const {format, header} = this.#options;
			key = tokenKey({strategy: 'command', tenant, format, header, program: this.#program.key});
			this.#keys.set(tenant, key);
		}
		return key;
	}
}
