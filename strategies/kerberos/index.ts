/** `kerberos`: Negotiate (RFC 4559) with tickets, over the system's GSS-API. */

import {GatepassError} from '../../src/errors.ts';
import {
	type AuthRequest,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	type CredentialStatus,
	Environment,
	type Evidence,
	type Examination,
	inject,
	RuleInfo,
	resolvePath,
	StrategyOptions,
} from '../../src/strategy/index.ts';
import {credentialSource} from './credential-source.ts';
import type {CredentialSource} from './gss-messages.ts';
import {KnownServers} from './known-servers.ts';
import {KoffiProvider} from './koffi-provider.ts';
import {negotiate, serviceOf} from './negotiate.ts';
import {type KerberosOptions, kerberosOptions} from './options.ts';
import {kdcsOf} from './realm-kdcs.ts';
import {servicesOf} from './service-names.ts';
import {credentialStatus, evidenceOf} from './status.ts';

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

	/** By a real ticket for the service of the URL. */
	async examine(url: URL): Promise<Examination> {
		const evidence = evidenceOf(this.#source, this.#options);
		const {proxy} = this.#options;
		const server = typeof proxy === 'string' ? new URL(proxy) : url;
		const service = serviceOf({url: server}, this.#options);
		const asked = {...evidence, 'service asked for': service.target.replace('@', '/')};
		try {
			const {principal, library} = await this.#provider.inquire();
			const ticket = await this.#provider.ticketFor(service);
			const kdc = await kdcEvidence(realmIn(ticket['ticket for']) ?? realmIn(principal));
			const evidence = {...asked, principal, library, ...kdc, ...ticket};
			return {of: 'kerberos', evidence, diagnostics: []};
		} catch (error) {
			if (!(error instanceof GatepassError)) throw error;
			const known = this.#source.principal ?? evidence['principals of the key table'];
			const kdc = await kdcEvidence(realmIn(known));
			return {of: 'kerberos', evidence: {...asked, ...kdc}, diagnostics: error.diagnostics};
		}
	}

	async dispose(): Promise<void> {
		await this.#provider.close();
	}
}

async function kdcEvidence(realm: string | undefined): Promise<Evidence> {
	const kdcs = await kdcsOf(realm);
	return kdcs.length === 0 ? {} : {KDC: kdcs};
}

/** `EXAMPLE.ORG`, of the principal or of the first of them. */
function realmIn(names: Evidence[string] | undefined): string | undefined {
	const [name] = [names ?? []].flat();
	return typeof name === 'string' ? /@([^@]+)$/.exec(name)?.[1] : undefined;
}
