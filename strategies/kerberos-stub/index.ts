/** `kerberos-stub`: the Negotiate conversation without a realm, for development and tests. It proves nothing. */
import {
	type AuthRequest,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	type CredentialStatus,
	inject,
	RuleInfo,
	StrategyOptions,
} from '../../src/strategy/index.ts';
import {KnownServers} from '../kerberos/known-servers.ts';
import {negotiate} from '../kerberos/negotiate.ts';
import {type KerberosOptions, kerberosOptions} from '../kerberos/options.ts';
import {StubProvider} from './stub-provider.ts';

/**
 * Takes the options that a strategy with a real library needs too, so that a rule changes over by its strategy's name.
 *
 * Fails with a `MutualAuthenticationError` where the server has to prove itself and does not (RFC 4559 section 5).
 */
@authStrategy<typeof kerberosOptions>({
	name: 'kerberos-stub',
	options: kerberosOptions,
	endpoints: ({proxy}) => (typeof proxy === 'string' ? [proxy] : []),
})
export class KerberosStubStrategy implements AuthStrategy {
	readonly #options: KerberosOptions;
	readonly #rule: RuleInfo;
	readonly #provider: StubProvider;
	readonly #known = new KnownServers();

	constructor(@inject(StrategyOptions) options: KerberosOptions, @inject(RuleInfo) rule: RuleInfo) {
		this.#options = options;
		this.#rule = rule;
		this.#provider = new StubProvider(options.principal);
	}

	authenticate(request: AuthRequest): Conversation {
		return negotiate(request, {
			options: this.#options,
			provider: this.#provider,
			rule: this.#rule,
			known: this.#known,
		});
	}

	async status(): Promise<CredentialStatus> {
		return {
			available: true,
			detail: this.#provider.description,
			warnings: [
				"The rule uses a stub that proves nothing to a real server. Outside development use the strategy 'kerberos'",
			],
		};
	}
}
