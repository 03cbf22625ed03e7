/** A trust store whose CA certificates, policies and revocation lists are files that may change. */

import type {X509Certificate} from 'node:crypto';
import {checkServerIdentity, type PeerCertificate} from 'node:tls';
import type {TrustEntry} from '../config/configuration.ts';
import {type Diagnostic, warning} from '../diagnostics/diagnostic.ts';
import {CertificateError} from '../errors.ts';
import type {FileStamp} from '../files/stamp.ts';
import {WorkloadApis} from '../spiffe/workload-api.ts';
import {canonicalNames} from '../x509/canonical-name.ts';
import {rfc2253Subject} from '../x509/names.ts';
import {type TrustPurpose, toTrustedPem, trustSettingsOf} from '../x509/trust-settings.ts';
import {
	type Authorities,
	bySubject,
	commonRoots,
	pemOf,
	readAuthorities,
	stampOfAuthorities,
} from './authorities.ts';
import {type FindTrusted, type FollowedChain, followChain, isSound} from './chain.ts';
import type {CrlFetcher} from './crl-fetcher.ts';
import {type ChainFault, faultCodes} from './fault.ts';
import {NameRules} from './name-rules.ts';
import {Revocation, type RevocationMode} from './revocation.ts';
import {SpiffeTrustStore} from './spiffe-trust-store.ts';
import {
	type ChainVerdict,
	type CheckNames,
	chainOfPeer,
	type TrustOptions,
	type TrustStore,
} from './trust-store.ts';

/** Milliseconds for which a look at the files holds. */
const lookAgainAfter = 1000;
/** The same for each file of a folder: that of the grid has 150, perhaps on another machine. */
const lookInsideAfter = 60_000;

/** The trust store of one entry. Its files are read when the certificates are asked for. */
export function createTrustSet(entry: TrustEntry, services: TrustServices = {}): TrustStore {
	if (entry.workloadApi === undefined) return new FileTrustStore(entry, services);
	return new SpiffeTrustStore(entry, (services.workloadApis ?? new WorkloadApis()).at(entry.workloadApi));
}

/** What the trust stores of one gatepass share. */
export interface TrustServices {
	/** Subscriptions that others have, too. */
	readonly workloadApis?: WorkloadApis | undefined;
	/** Absent: the revocation lists that are on disk have to do. */
	readonly fetcher?: CrlFetcher | undefined;
	/** Told, once, of each file that cannot be used and is left out. */
	readonly warn?: (fault: CertificateError) => void;
}

interface Loaded {
	/** How files and folders stood; `undefined`: they may have changed since without a trace. */
	readonly stamp: string | undefined;
	/** Likewise, with each file of the folders. */
	readonly inside: string | undefined;
	readonly number: number;
	readonly authorities: Authorities;
	readonly bySubject: ReadonlyMap<string, X509Certificate[]>;
	pem?: {readonly roots: readonly string[]; readonly all: readonly string[]};
}

class FileTrustStore implements TrustStore {
	readonly source: string;
	readonly files: readonly string[];
	readonly only: boolean;
	readonly #mode: RevocationMode;
	readonly #rules = new NameRules();
	readonly #revocation: Revocation;
	readonly #fetches: boolean;
	readonly #warn: (fault: CertificateError) => void;
	/** What {@link #warn} was told. */
	#warned = new Set<string>();
	#loaded: Loaded | undefined;
	#failure: CertificateError | undefined;
	#lookedAt = Number.NEGATIVE_INFINITY;
	#lookedInsideAt = Number.NEGATIVE_INFINITY;

	constructor({source, files, only, crl = 'check'}: TrustEntry, {fetcher, warn = () => {}}: TrustServices) {
		this.source = source;
		this.files = files;
		this.only = only;
		this.#mode = crl;
		this.#revocation = new Revocation(fetcher);
		this.#fetches = fetcher !== undefined;
		this.#warn = warn;
	}

	version(): number {
		return this.#load().number;
	}

	certificates(): readonly string[] {
		const loaded = this.#load();
		const roots = this.#roots();
		if (loaded.pem?.roots !== roots) loaded.pem = {roots, all: pemOf(loaded.authorities, roots)};
		return loaded.pem.all;
	}

	get checksChains(): boolean {
		return this.#mode === 'require' || this.#folders().length > 0;
	}

	get fetchesLists(): boolean {
		return this.#fetches && this.#load().authorities.hasListUrls;
	}

	tlsOptions(checkNames: CheckNames = checkServerIdentity): TrustOptions {
		const ca = [...this.certificates()];
		if (!this.checksChains) return {ca};
		return {ca, checkServerIdentity: (host, peer) => checkNames(host, peer) ?? this.#checkPeer(host, peer)};
	}

	async prepare(leaf: X509Certificate, others: readonly X509Certificate[]): Promise<void> {
		const {path} = followChain(leaf, others, name => this.#findTrusted(name));
		const folders = this.#folders();
		const issuers = path.slice(1).filter(issuer => this.#isAuthority(issuer));
		await Promise.all(issuers.map(issuer => this.#revocation.fetchFor(folders, issuer)));
	}

	checkServer(
		host: string,
		leaf: X509Certificate,
		others: readonly X509Certificate[],
	): CertificateError | undefined {
		const verdict = this.#judge(followChain(leaf, others, name => this.#findTrusted(name)));
		const {path, faults} = verdict;
		const [fault] = faults;
		if (fault === undefined) {
			if (isSound(verdict, certificate => this.#isAuthority(certificate))) return undefined;
			return new CertificateError({
				code: 'server-chain-misleading',
				what: `${host} cannot be trusted: with its certificate it sent others that lead nowhere, so that revocation and policies cannot be checked (trust: ${this.source})`,
				hint: 'Have it send the certificates of the CAs above its own, and no others',
			});
		}
		const isLeaf = fault.certificate === path[0];
		const which = isLeaf ? '' : `of the CA certificate ${rfc2253Subject(fault.certificate)} in its chain: `;
		return new CertificateError({
			code: faultCodes[fault.kind],
			what: `${host} cannot be trusted: ${which}${fault.what} (trust: ${this.source})`,
			hint: fault.hint,
		});
	}

	verifyChain(
		[leaf, ...others]: readonly X509Certificate[],
		{ownOnly = false, purpose = 'server'}: {ownOnly?: boolean; purpose?: TrustPurpose} = {},
	): ChainVerdict {
		if (leaf === undefined) return {path: [], end: 'incomplete', revocation: 'unknown', faults: []};
		const find: FindTrusted = ownOnly
			? name => [this.#load().bySubject.get(name) ?? []]
			: name => this.#findTrusted(name);
		return this.#judge(followChain(leaf, others, find, purpose), purpose);
	}

	holds(certificate: X509Certificate): boolean {
		const own = this.#load().bySubject.get(canonicalNames(certificate).subject) ?? [];
		return own.some(({fingerprint256}) => fingerprint256 === certificate.fingerprint256);
	}

	problems(): readonly Diagnostic[] {
		const {authorities} = this.#load();
		const {certificates, folders, leftOut} = authorities;
		const faults = [
			...this.#rules.problems(folders, certificates),
			...this.#revocation.problems(folders, certificates),
		].map(({kind, what, hint}) =>
			warning({code: faultCodes[kind], what: `${what.slice(0, 1).toUpperCase()}${what.slice(1)}`, hint}),
		);
		return [...(this.#failure?.diagnostics ?? []), ...leftOut, ...faults];
	}

	#checkPeer(host: string, peer: PeerCertificate): Error | undefined {
		const [leaf, ...others] = chainOfPeer(peer);
		if (leaf === undefined)
			return new CertificateError({
				code: 'server-shows-no-certificate',
				what: `${host} showed no certificate`,
				hint: 'Check the server',
			});
		// Nobody waits for it here; the next connection finds the list.
		void this.prepare(leaf, others);
		return this.checkServer(host, leaf, others);
	}

	#judge(followed: FollowedChain, purpose: TrustPurpose = 'server'): ChainVerdict {
		const {path, end} = followed;
		const folders = this.#folders();
		const faults: ChainFault[] = end === 'rejected' ? [explainRejected(path, purpose)] : [];
		let revocation: ChainVerdict['revocation'] = 'good';
		for (const [index, certificate] of path.entries()) {
			const issuer = path[index + 1];
			// A proxy is made by its user, whom neither policies nor lists are about.
			if (issuer === undefined || !this.#isAuthority(issuer)) continue;
			const outside = this.#rules.check(folders, path.slice(index));
			if (outside !== undefined) faults.push(outside);
			const answer = this.#revocation.check(folders, certificate, issuer, this.#mode);
			if (answer === 'good') continue;
			if (answer !== 'unknown') faults.push(answer);
			if (answer !== 'unknown' && answer.kind === 'revoked') revocation = 'revoked';
			else if (revocation === 'good') revocation = 'unknown';
		}
		return {
			...followed,
			revocation: path.length < 2 && revocation === 'good' ? 'unknown' : revocation,
			faults,
		};
	}

	/** A CA of the first version of X.509 does not say that it is one, but stands among the trusted. */
	#isAuthority(certificate: X509Certificate): boolean {
		return certificate.ca || this.holds(certificate);
	}

	*#findTrusted(subject: string): Generator<readonly X509Certificate[]> {
		const {bySubject: own, authorities} = this.#load();
		yield own.get(subject) ?? [];
		for (const roots of [authorities.system, this.#roots()]) {
			yield roots.length === 0 ? [] : (bySubject(roots).get(subject) ?? []);
		}
	}

	#roots(): readonly string[] {
		return this.only ? [] : commonRoots();
	}

	#folders(): readonly string[] {
		return this.#load().authorities.folders;
	}

	#load(): Loaded {
		const now = performance.now();
		if (this.#loaded !== undefined && now - this.#lookedAt < lookAgainAfter) return this.#loaded;
		this.#lookedAt = now;
		try {
			const stamp = stampOfAuthorities(this.files, false);
			const loaded = this.#loaded;
			if (loaded?.stamp === stamp.text && now - this.#lookedInsideAt < lookInsideAfter) return loaded;
			const inside = stampOfAuthorities(this.files, true);
			// What was changed just now is looked at again soon.
			this.#lookedInsideAt = inside.isSettled ? now : Number.NEGATIVE_INFINITY;
			if (loaded === undefined || loaded.inside !== inside.text) this.#loaded = this.#read(stamp, inside);
			else this.#loaded = {...loaded, stamp: textOf(stamp)};
			this.#failure = undefined;
		} catch (error) {
			if (this.#loaded === undefined) throw error;
			this.#failure = error as CertificateError;
		}
		this.#warnOfFaults();
		return this.#loaded as Loaded;
	}

	#warnOfFaults(): void {
		const faults = [...(this.#loaded?.authorities.leftOut ?? [])];
		faults.push(...(this.#failure?.diagnostics ?? []));
		for (const fault of faults) if (!this.#warned.has(fault.what)) this.#warn(new CertificateError(fault));
		// What was set right and goes wrong again is told again.
		this.#warned = new Set(faults.map(({what}) => what));
	}

	#read(stamp: FileStamp, inside: FileStamp): Loaded {
		const read = readAuthorities(this.files);
		const before = this.#loaded;
		// A new revocation list changes a folder, too, but none of its certificates.
		const isSame = before !== undefined && areSame(before.authorities.certificates, read.certificates);
		const authorities = isSame ? {...read, certificates: before.authorities.certificates} : read;
		return {
			stamp: textOf(stamp),
			inside: textOf(inside),
			number: (before?.number ?? 0) + (isSame ? 0 : 1),
			authorities,
			bySubject: isSame
				? before.bySubject
				: Map.groupBy(authorities.certificates, certificate => canonicalNames(certificate).subject),
		};
	}
}

/** What a stamp is to be compared with later; nothing equals the one of a file that was changed just now. */
function textOf({text, isSettled}: FileStamp): string | undefined {
	return isSettled ? text : undefined;
}

/** What the trust settings of the last certificate say. */
function explainRejected(path: readonly X509Certificate[], purpose: TrustPurpose): ChainFault {
	const authority = path.at(-1) as X509Certificate;
	const name = rfc2253Subject(authority);
	const file = trustSettingsOf(authority)?.file;
	const place = file === undefined ? 'its trust settings' : `the trust settings in ${file}`;
	return {
		kind: 'not to vouch',
		certificate: path[0] as X509Certificate,
		...(file !== undefined && {file}),
		what: `the CA ${name} is not to vouch for ${purpose}s, say ${place}`,
		hint: 'Trust another CA, or change the settings, if the CA is to be believed',
	};
}

function areSame(some: readonly X509Certificate[], others: readonly X509Certificate[]): boolean {
	const known = new Set(some.map(toTrustedPem));
	return known.size === others.length && others.every(other => known.has(toTrustedPem(other)));
}
