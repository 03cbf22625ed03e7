/** Finds the CA certificates against which each server is verified. */
import type {X509Certificate} from 'node:crypto';
import {join} from 'node:path';
import type {TrustEntry} from '../config/configuration.ts';
import {Matcher, type Place} from '../host-rules/matcher.ts';
import type {Events} from '../observability/events.ts';
import type {WorkloadApis} from '../spiffe/workload-api.ts';
import {homeFolder} from '../strategy/paths.ts';
import type {Environment} from '../strategy/services.ts';
import {CrlFetcher, type FetchFile} from './crl-fetcher.ts';
import {createTrustSet} from './file-trust-store.ts';
import {ListCache} from './list-cache.ts';
import {SpiffeTrustStore} from './spiffe-trust-store.ts';
import type {TrustStore} from './trust-store.ts';

export {createTrustSet} from './file-trust-store.ts';
export type {TrustStore} from './trust-store.ts';

/** What the trust stores together say of the chain of an identity; `detail` is a sentence without its full stop. */
export interface IdentityVerdict {
	/** `unknown`: none of them holds the certificates to tell. */
	readonly outcome: 'complete' | 'incomplete' | 'refused' | 'unknown';
	readonly detail?: string;
	/** The set that says so. */
	readonly by?: TrustStore;
	readonly revocation?: 'good' | 'revoked' | 'unknown';
}

/** What the trust stores of one gatepass need. */
export interface TrustSettings {
	/** Fetches a revocation list. Absent: those that are on disk have to do. */
	readonly fetchList?: FetchFile;
	/** Where fetched lists are kept over restarts. Absent: nowhere. */
	readonly listFolder?: string;
	readonly events?: Events;
	readonly workloadApis?: WorkloadApis;
}

/** The folder of fetched revocation lists, beside that of the tokens. */
export function usualListFolder(environment: Environment): string {
	return join(homeFolder(environment), '.cache', 'gatepass', 'revocation-lists');
}

/** Finds the trust store of a URL. */
export class TrustStores {
	readonly #matcher: Matcher<TrustStore>;
	readonly #sets: readonly TrustStore[];
	readonly #fetcher: CrlFetcher | undefined;
	/** Whether there is any entry at all; spares the look-up where there is none. */
	readonly isEmpty: boolean;

	constructor(
		entries: readonly TrustEntry[],
		{fetchList, listFolder, events, workloadApis}: TrustSettings = {},
	) {
		this.isEmpty = entries.length === 0;
		const cache = listFolder === undefined ? undefined : new ListCache(listFolder);
		this.#fetcher = fetchList === undefined ? undefined : new CrlFetcher(fetchList, cache);
		this.#sets = entries.map(entry =>
			createTrustSet(entry, {
				fetcher: this.#fetcher,
				workloadApis,
				warn: error => events?.publish('gatepass:trust:error', {source: entry.source, error}),
			}),
		);
		this.#matcher = new Matcher(
			entries.flatMap(({patterns}, index) =>
				patterns.map(pattern => ({pattern, value: this.#sets[index] as TrustStore})),
			),
		);
	}

	/** Wait until what is pushed from elsewhere is there, for a while. Never rejects. */
	async ready(): Promise<void> {
		await Promise.all(this.#sets.map(set => (set instanceof SpiffeTrustStore ? set.ready() : undefined)));
	}

	/** One for each entry, in the order of the configuration. */
	get all(): readonly TrustStore[] {
		return this.#sets;
	}

	/** The most specific entry for the URL; `undefined`: the system's roots. */
	find(url: Place): TrustStore | undefined {
		return this.isEmpty ? undefined : this.#matcher.find(url, 'GET')?.value;
	}

	/** What {@link find} gives for every path of the URL's origin; `undefined` where that differs. */
	findForAll(url: Place): {readonly store: TrustStore | undefined} | undefined {
		const found = this.isEmpty ? {entry: undefined} : this.#matcher.findForAll(url);
		return found && {store: found.entry?.value};
	}

	/** Judge the chain of an identity, leaf first. A trust store that cannot be read says nothing. */
	judgeIdentity(chain: readonly X509Certificate[]): IdentityVerdict {
		let best: IdentityVerdict = {outcome: 'unknown'};
		for (const set of this.#sets) {
			const verdict = judgeBy(set, chain);
			if (verdict.outcome === 'complete') return verdict;
			if (verdict.outcome !== 'unknown' && best.outcome !== 'refused') best = verdict;
		}
		return best;
	}

	/** End what is under way. */
	close(): void {
		this.#fetcher?.close();
	}
}

function judgeBy(set: TrustStore, chain: readonly X509Certificate[]): IdentityVerdict {
	try {
		const {path, end, faults, revocation} = set.verifyChain(chain, {ownOnly: true, purpose: 'client'});
		// Of other CAs, a trust store knows nothing; and whom it does not trust, servers may.
		if (end === 'rejected') return {outcome: 'unknown'};
		if (!path.slice(1).some(certificate => set.holds(certificate))) return {outcome: 'unknown'};
		// That a list is missing or outdated says nothing against a certificate; the server has lists of its own.
		const fault = faults.find(({kind}) => kind === 'revoked' || kind === 'outside namespace');
		if (fault !== undefined) {
			return {outcome: 'refused', detail: `${fault.what}. ${fault.hint}`, by: set, revocation};
		}
		if (end === 'complete') return {outcome: 'complete', by: set, revocation};
		const last = path.at(-1);
		const detail = `nobody among ${set.files.join(', ')} has issued ${last?.subject.replaceAll('\n', ', ')}`;
		return {outcome: 'incomplete', detail, by: set, revocation};
	} catch {
		return {outcome: 'unknown'};
	}
}
