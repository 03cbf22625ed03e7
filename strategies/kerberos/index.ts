/** `kerberos`: Negotiate (RFC 4559) with tickets, over the system's GSS-API. */
import {
	type AuthRequest,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	type CredentialStatus,
	Environment,
	inject,
	RuleInfo,
	resolvePath,
	StrategyOptions,
} from '../../src/strategy/index.ts';
import {credentialSource} from './credential-source.ts';
import type {CredentialSource} from './gss-messages.ts';
import {KnownServers} from './known-servers.ts';
import {KoffiProvider} from './koffi-provider.ts';
import {negotiate} from './negotiate.ts';
import {type KerberosOptions, kerberosOptions} from './options.ts';
import {servicesOf} from './service-names.ts';
import {credentialStatus} from './status.ts';

/**
 * Fails with a `CredentialUnavailableError` where there is no ticket to be had, with a `KerberosExchangeError` where
 * the library makes no token, and with a `MutualAuthenticationError` where the server has to prove itself and does
 * not (RFC 4559 section 5).
 */
@authStrategy<typeof kerberosOptions>({
	name: 'kerberos',
	options: kerberosOptions,
	endpoints: ({proxy}) => (typeof proxy === 'string' ? [proxy] : []),
})
export class KerberosStrategy implements AuthStrategy {
	readonly #options: KerberosOptions;
	readonly #rule: RuleInfo;
	readonly #source: CredentialSource;
	readonly #provider: KoffiProvider;
	readonly #known = new KnownServers();

	constructor(
		@inject(StrategyOptions) options: KerberosOptions,
		@inject(RuleInfo) rule: RuleInfo,
		@inject(Environment) environment: Environment,
	) {
		this.#options = options;
		this.#rule = rule;
		this.#source = credentialSource(options, environment, path =>
			resolvePath(path, rule.folder, environment),
		);
		this.#provider = new KoffiProvider({
			library: options.library,
			source: this.#source,
			timeout: options.timeout,
			rule: `${rule.match} (${rule.source})`,
		});
	}

	authenticate(request: AuthRequest): Conversation {
		return negotiate(request, {
			options: this.#options,
			provider: this.#provider,
			rule: this.#rule,
			known: this.#known,
		});
	}

	async status({verify = false}: {verify?: boolean} = {}): Promise<CredentialStatus> {
		const {canonicalizeHostname} = this.#options;
		const services = verify ? servicesOf(this.#options, this.#rule) : [];
		return credentialStatus(
			this.#provider,
			this.#source,
			verify,
			services.map(target => ({target, canonicalizeHostname})),
		);
	}

	async dispose(): Promise<void> {
		await this.#provider.close();
	}
}
