/** A trust store whose CA certificates are the bundles that a SPIFFE Workload API pushes: new ones hold at once. */
import {X509Certificate} from 'node:crypto';
import {checkServerIdentity, type PeerCertificate} from 'node:tls';
import type {TrustEntry} from '../config/configuration.ts';
import {type Diagnostic, warning} from '../diagnostics/diagnostic.ts';
import {CertificateError} from '../errors.ts';
import {toPem, type X509Response} from '../spiffe/response.ts';
import type {WorkloadApi} from '../spiffe/workload-api.ts';
import {canonicalNames} from '../x509/canonical-name.ts';
import type {TrustPurpose} from '../x509/trust-settings.ts';
import {bySubject} from './authorities.ts';
import {followChain} from './chain.ts';
import {
	type ChainVerdict,
	type CheckNames,
	chainOfPeer,
	type TrustOptions,
	type TrustStore,
} from './trust-store.ts';

interface Bundles {
	/** The push that they are of. */
	readonly of: X509Response;
	readonly number: number;
	readonly pem: readonly string[];
	/** Fingerprints of the CA certificates of each trust domain: none vouches for another one's. */
	readonly byDomain: ReadonlyMap<string, ReadonlySet<string>>;
}

export class SpiffeTrustStore implements TrustStore {
	readonly source: string;
	readonly files: readonly string[];
	readonly checksChains = true;
	readonly fetchesLists = false;
	readonly #api: WorkloadApi;
	readonly #ids: readonly string[] | undefined;
	#bundles: Bundles | undefined;

	constructor({source, spiffeIds}: Pick<TrustEntry, 'source' | 'spiffeIds'>, api: WorkloadApi) {
		this.source = source;
		this.files = [`the Workload API at ${api.address}`];
		this.#api = api;
		this.#ids = spiffeIds;
	}

	/** Wait until the bundles are there, for a while. Never rejects. */
	async ready(): Promise<void> {
		await this.#api.get().catch(() => {});
	}

	version(): number {
		return this.#current().number;
	}

	certificates(): readonly string[] {
		return this.#current().pem;
	}

	/** Takes the place of Node's check, which knows no SPIFFE IDs. */
	readonly checkNames: CheckNames = (host, peer) => {
		if (this.#ids === undefined) return checkServerIdentity(host, peer);
		const [leaf] = chainOfPeer(peer);
		const id = leaf && spiffeIdOf(leaf);
		if (id !== undefined && this.#ids.some(wanted => isWithin(id, wanted))) return undefined;
		return new CertificateError({
			code: 'server-certificate-for-another-name',
			what: `${host} cannot be trusted: it is ${id ?? 'nobody with a SPIFFE ID'}, and the entry asks for ${this.#ids.join(' or ')} (trust: ${this.source})`,
			hint: "Check the server, or add its ID to 'spiffeIds'",
		});
	};

	tlsOptions(callers?: CheckNames): TrustOptions {
		// got names Node's own check where its caller names none.
		const checkNames = callers === undefined || callers === checkServerIdentity ? this.checkNames : callers;
		const checkPeer = (host: string, peer: PeerCertificate): Error | undefined => {
			const [leaf, ...others] = chainOfPeer(peer);
			if (leaf === undefined)
				return new CertificateError({
					code: 'server-shows-no-certificate',
					what: `${host} showed no certificate`,
					hint: 'Check the server',
				});
			return this.checkServer(host, leaf, others);
		};
		return {
			ca: [...this.certificates()],
			checkServerIdentity: (host, peer) => checkNames(host, peer) ?? checkPeer(host, peer),
		};
	}

	async prepare(): Promise<void> {}

	checkServer(
		host: string,
		leaf: X509Certificate,
		others: readonly X509Certificate[],
	): CertificateError | undefined {
		const id = spiffeIdOf(leaf);
		const domain = id && domainOf(id);
		const root = this.verifyChain([leaf, ...others]).path.at(-1);
		const authorities = domain === undefined ? undefined : this.#current().byDomain.get(domain);
		if (root !== undefined && authorities?.has(root.fingerprint256) === true) return undefined;
		const what =
			id === undefined
				? 'its certificate is no X.509-SVID'
				: `no CA certificate of the trust domain ${domain} vouches for ${id}`;
		return new CertificateError({
			code: 'server-untrusted',
			what: `${host} cannot be trusted: ${what} (trust: ${this.source})`,
			hint: 'Check the server, or have the agent federate with its trust domain',
		});
	}

	verifyChain(
		[leaf, ...others]: readonly X509Certificate[],
		{purpose}: {ownOnly?: boolean; purpose?: TrustPurpose} = {},
	): ChainVerdict {
		if (leaf === undefined) return {path: [], end: 'incomplete', revocation: 'unknown', faults: []};
		const own = bySubject(this.#current().pem);
		const followed = followChain(leaf, others, name => [own.get(name) ?? []], purpose);
		return {...followed, revocation: 'unknown', faults: []};
	}

	holds(certificate: X509Certificate): boolean {
		const own = bySubject(this.#current().pem).get(canonicalNames(certificate).subject) ?? [];
		return own.some(({fingerprint256}) => fingerprint256 === certificate.fingerprint256);
	}

	problems(): readonly Diagnostic[] {
		const {complaint, address} = this.#api;
		return complaint === undefined
			? []
			: [
					warning({
						code: 'credential-doubtful',
						what: `No new CA certificates can come from the Workload API at ${address}: ${complaint}`,
						hint: 'See to the agent',
					}),
				];
	}

	#current(): Bundles {
		this.#api.open();
		const {latest, address, complaint} = this.#api;
		if (latest === undefined) {
			throw new CertificateError({
				code: 'server-untrusted',
				what: `There are no CA certificates yet from the Workload API at ${address} (trust: ${this.source})${complaint === undefined ? '' : `: ${complaint}`}`,
				hint: 'See whether the agent runs, and whether this workload is registered',
			});
		}
		const before = this.#bundles;
		if (before?.of === latest) return before;
		const made = bundlesOf(latest);
		// Where only the SVID is new, so is no context and no session.
		const isSame = before !== undefined && before.pem.join() === made.pem.join();
		const number = (before?.number ?? 0) + (isSame ? 0 : 1);
		this.#bundles = {...made, of: latest, number, pem: isSame ? before.pem : made.pem};
		return this.#bundles;
	}
}

function bundlesOf({svids, federated}: X509Response): Pick<Bundles, 'pem' | 'byDomain'> {
	const pem = new Set<string>();
	const byDomain = new Map<string, Set<string>>();
	const own = svids.map(({spiffeId, bundle}) => [spiffeId, bundle] as const);
	for (const [id, bundle] of [...own, ...federated]) {
		const domain = domainOf(id);
		const known = byDomain.get(domain) ?? new Set();
		byDomain.set(domain, known);
		for (const der of bundle) {
			pem.add(toPem('CERTIFICATE', der));
			known.add(new X509Certificate(der).fingerprint256);
		}
	}
	return {pem: [...pem], byDomain};
}

/** An X.509-SVID has one URI, and that is its SPIFFE ID (X509-SVID section 2). */
function spiffeIdOf({subjectAltName = ''}: X509Certificate): string | undefined {
	const uris = subjectAltName.split(', ').filter(name => name.startsWith('URI:'));
	const id = uris[0]?.slice('URI:'.length);
	return uris.length === 1 && id !== undefined && /^spiffe:\/\/[a-z\d._-]+\/[\w./-]+$/.test(id)
		? id
		: undefined;
}

/** `spiffe://example.org` of `spiffe://example.org/reports`. */
const domainOf = (id: string): string => /^spiffe:\/\/[^/]*/.exec(id)?.[0] ?? '';

/** `wanted`: an ID, or a trust domain, and then any ID in it. */
const isWithin = (id: string, wanted: string): boolean => id === wanted || domainOf(id) === wanted;
