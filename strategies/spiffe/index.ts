/** `spiffe`: shows the X.509-SVID that the SPIFFE Workload API gives this workload. */
import {z} from 'zod';
import {CredentialUnavailableError} from '../../src/errors.ts';
import {
	type AuthRequest,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	type CredentialStatus,
	Environment,
	Identities,
	type Identity,
	inject,
	isWorkloadAddress,
	RuleInfo,
	StrategyOptions,
	toPem,
	type WorkloadApi,
	WorkloadApis,
	type X509Svid,
} from '../../src/strategy/index.ts';

/** The options of `spiffe`. */
export const spiffeOptions = z.strictObject({
	socket: z
		.string()
		.refine(
			isWorkloadAddress,
			'it is no address of a Workload API; write one such as unix:///run/spire/agent.sock',
		)
		.optional()
		.describe('The address of the Workload API. Default: SPIFFE_ENDPOINT_SOCKET'),
	id: z
		.string()
		.regex(
			/^spiffe:\/\/[a-z\d._-]+(?:\/[\w.-]+)+$/,
			'it is no SPIFFE ID; write one such as spiffe://example.org/reports',
		)
		.optional()
		.describe('Which identity to show, where the workload has several. Default: the first'),
});

type SpiffeOptions = z.output<typeof spiffeOptions>;

/**
 * Shows the X.509-SVID that was pushed last on the connection. A new one is shown by the next request; connections of
 * the one before are used no more.
 *
 * Fails with a `CredentialUnavailableError` where the Workload API gives none, or none of the name that is asked for.
 */
@authStrategy({name: 'spiffe', options: spiffeOptions})
export class SpiffeStrategy implements AuthStrategy {
	readonly #options: SpiffeOptions;
	readonly #rule: RuleInfo;
	readonly #identities: Identities;
	readonly #environment: Environment;
	readonly #apis: WorkloadApis;
	/** The identity of a push. */
	#made: {readonly version: number; readonly identity: Promise<Identity>} | undefined;
	#current: Identity | undefined;

	constructor(
		@inject(StrategyOptions) options: SpiffeOptions,
		@inject(RuleInfo) rule: RuleInfo,
		@inject(Identities) identities: Identities,
		@inject(Environment) environment: Environment,
		@inject(WorkloadApis) apis: WorkloadApis,
	) {
		this.#options = options;
		this.#rule = rule;
		this.#identities = identities;
		this.#environment = environment;
		this.#apis = apis;
	}

	async *authenticate(request: AuthRequest): Conversation {
		request.identity = await this.#load();
		yield;
	}

	async status(): Promise<CredentialStatus> {
		const {subject, notAfter} = await this.#load();
		const svid = this.#choose(await this.#api().get());
		const {complaint, address} = this.#api();
		return {
			available: true,
			detail: `${svid.spiffeId} (${subject}) from ${address}`,
			expiresAt: notAfter,
			...(complaint !== undefined && {
				warnings: [`No new one can come from ${address} for now: ${complaint}`],
			}),
		};
	}

	async #load(): Promise<Identity> {
		const api = this.#api();
		const response = await api.get();
		if (this.#made?.version !== api.version) {
			this.#made = {version: api.version, identity: this.#adopt(this.#choose(response), api)};
			this.#made.identity.catch(() => {});
		}
		const identity = await this.#made.identity;
		if (identity.notAfter > Date.now()) return identity;
		throw this.#unavailable(
			`expired on ${new Date(identity.notAfter).toISOString()}, and ${api.address} has pushed no other${api.complaint === undefined ? '' : `: ${api.complaint}`}`,
			'See to the agent',
		);
	}

	async #adopt(svid: X509Svid, {address}: WorkloadApi): Promise<Identity> {
		if (this.#identities.adopt === undefined) {
			throw this.#unavailable('cannot be used by the Identities in the container', "Give them 'adopt'");
		}
		const adopted = await this.#identities.adopt({
			certificate: svid.certificates.map(der => toPem('CERTIFICATE', der)).join(''),
			key: toPem('PRIVATE KEY', svid.key),
			origin: `${svid.spiffeId} from ${address}`,
		});
		const before = this.#current;
		// The same once more, as where only a bundle is new: connections go on.
		if (before?.thumbprint === adopted.thumbprint) return before;
		this.#current = adopted;
		if (before !== undefined) this.#identities.release?.(before);
		return adopted;
	}

	#choose({svids}: {readonly svids: readonly X509Svid[]}): X509Svid {
		const {id} = this.#options;
		const svid = id === undefined ? svids[0] : svids.find(({spiffeId}) => spiffeId === id);
		if (svid !== undefined) return svid;
		const given = svids.map(({spiffeId}) => spiffeId).join(', ') || 'none';
		throw this.#unavailable(
			`is not among those that the Workload API gives (${given})`,
			`Register the workload for ${id ?? 'an identity'}`,
		);
	}

	#api(): WorkloadApi {
		const address = this.#options.socket ?? this.#environment.SPIFFE_ENDPOINT_SOCKET;
		if (!address) {
			throw this.#unavailable(
				"cannot be asked for: neither 'socket' nor SPIFFE_ENDPOINT_SOCKET says where the Workload API is",
				'Set one',
			);
		}
		if (!isWorkloadAddress(address)) {
			throw this.#unavailable(
				'cannot be asked for: SPIFFE_ENDPOINT_SOCKET is no address of a Workload API',
				'Write one such as unix:///run/spire/agent.sock',
			);
		}
		return this.#apis.at(address);
	}

	#unavailable(what: string, hint: string): CredentialUnavailableError {
		const {match, source} = this.#rule;
		return new CredentialUnavailableError({
			code: 'spiffe-unavailable',
			what: `The SPIFFE identity for ${match} (${source}) ${what}`,
			hint,
		});
	}
}
