/**
 * Fetches revocation lists from where a `.crl_url` says. They are signed, so plain http will do. One that was fetched
 * serves until it is outdated; the next one is fetched ahead of that, and after some hours at the latest.
 */
import type {X509Certificate} from 'node:crypto';
import type {ListCache} from './list-cache.ts';
import {parseRevocationList, type RevocationList, timelinessOf} from './revocation-list.ts';
import {firstOf, noLongerThan} from './staggered.ts';

/** Fetches a file. Rejects with an error that says why not. */
export type FetchFile = (url: string, signal: AbortSignal) => Promise<Buffer>;

/** Milliseconds after which a list is fetched again: CAs of the grid issue one at least every few days. */
const renewAfter = 6 * 3_600_000;
/** A list that ends sooner is fetched again when so much of the time is over that it still holds. */
const renewAtPart = 0.5;
/** Milliseconds after a failure. */
const tryAgainAfter = 60_000;
/** Milliseconds after which the next address is tried besides one that keeps silent. */
const headStart = 1000;
/** Milliseconds that somebody is kept waiting for a list. The fetching goes on. */
const patience = 5000;

/** A list with the place it came from: an address, or the file where it was kept. */
export interface PlacedList {
	readonly place: string;
	readonly list: RevocationList;
}

/** What is known of the list of one CA. */
interface Fetched {
	held?: PlacedList;
	failure?: string;
	/** Whether the last attempt failed and left nothing that holds: those who wait once more would wait in vain. */
	isHopeless: boolean;
	/** When to look again, as `performance.now()` tells. */
	dueAt: number;
	restored?: Promise<void>;
	underWay?: Promise<void> | undefined;
}

export class CrlFetcher {
	readonly #fetch: FetchFile;
	readonly #cache: ListCache | undefined;
	readonly #fetched = new Map<string, Fetched>();
	readonly #closing = new AbortController();

	/** @param cache absent: the lists are kept in memory alone. */
	constructor(fetch: FetchFile, cache?: ListCache) {
		this.#fetch = fetch;
		this.#cache = cache;
	}

	/** The list of a CA that was fetched from one of these places. */
	held(urls: readonly string[], issuer: X509Certificate): PlacedList | undefined {
		return this.#fetched.get(nameOf(urls, issuer))?.held;
	}

	/** Why there is no newer one; `undefined` where all went well, or nobody has tried. */
	failureOf(urls: readonly string[], issuer: X509Certificate): string | undefined {
		return this.#fetched.get(nameOf(urls, issuer))?.failure;
	}

	/**
	 * See to it that there is a list, if there can be one. Waits for a first list, or one in the place of an outdated
	 * one; a new one for one that still holds comes in the background. So does one that could not be had before: where
	 * nothing answers, only the first connections are kept waiting. Never rejects.
	 */
	async refresh(urls: readonly string[], issuer: X509Certificate): Promise<void> {
		const name = nameOf(urls, issuer);
		let fetched = this.#fetched.get(name);
		if (fetched === undefined) {
			fetched = {dueAt: Number.NEGATIVE_INFINITY, isHopeless: false};
			this.#fetched.set(name, fetched);
		}
		const current = fetched;
		current.restored ??= this.#restore(current, name, issuer);
		await current.restored;
		// One that has become outdated meanwhile, while nobody opened a connection, is due in any case.
		const isDue = performance.now() >= current.dueAt || (!holds(current) && !current.isHopeless);
		if (current.underWay === undefined && isDue && !this.#closing.signal.aborted) {
			current.underWay = this.#download(current, name, urls, issuer).finally(() => {
				current.underWay = undefined;
			});
		}
		if (holds(current) || current.isHopeless || current.underWay === undefined) return;
		await noLongerThan(patience, current.underWay);
	}

	/** End what is under way. */
	close(): void {
		this.#closing.abort(new Error('gatepass is closed'));
	}

	/** What was fetched before a restart. */
	async #restore(fetched: Fetched, name: string, issuer: X509Certificate): Promise<void> {
		const cached = await this.#cache?.read(name);
		if (cached === undefined) return;
		try {
			const list = parseRevocationList(cached.bytes);
			if (!(await list.verify(issuer))) return;
			fetched.held = {place: cached.file, list};
			const age = Math.max(0, Date.now() - cached.fetchedAt);
			fetched.dueAt = performance.now() - age + waitFor(list, cached.fetchedAt);
		} catch {
			// It is damaged, and is fetched again.
		}
	}

	async #download(
		fetched: Fetched,
		name: string,
		urls: readonly string[],
		issuer: X509Certificate,
	): Promise<void> {
		try {
			const ways = urls.map(url => (signal: AbortSignal) => this.#try(fetched, url, issuer, signal));
			const list = await firstOf(ways, headStart, this.#closing.signal);
			fetched.dueAt = performance.now() + waitFor(list, Date.now());
			fetched.isHopeless = false;
			delete fetched.failure;
			await this.#cache?.write(name, list.der);
		} catch (error) {
			const {errors} = error as AggregateError;
			fetched.failure = urls.map((url, at) => `${url} ${(errors[at] as Error).message}`).join(', ');
			fetched.isHopeless = !holds(fetched);
			fetched.dueAt = performance.now() + tryAgainAfter;
		}
	}

	/** The list at one address, once it is in use; else an error that says in half a sentence why it is not. */
	async #try(
		fetched: Fetched,
		url: string,
		issuer: X509Certificate,
		signal: AbortSignal,
	): Promise<RevocationList> {
		const list = parseRevocationList(await this.#fetch(url, signal));
		if (!(await list.verify(issuer))) {
			throw new Error('holds a revocation list that is not signed by this CA');
		}
		const reason = take(fetched, {place: url, list});
		if (reason !== undefined) throw new Error(reason);
		return list;
	}
}

/** Two CAs may name the same addresses. */
function nameOf(urls: readonly string[], {fingerprint256}: X509Certificate): string {
	return [...urls, fingerprint256].join(' ');
}

/** Put a list in the place of the one before, where it is better than that; else why it is no use, in half a sentence. */
function take(fetched: Fetched, found: PlacedList): string | undefined {
	const {list} = found;
	const timeliness = timelinessOf(list);
	if (timeliness === 'early') {
		return `holds a revocation list that begins in the future (${instant(list.thisUpdate)})`;
	}
	// Whoever is in between may hand out an old one, which does not name what was revoked since.
	const isOlder = list.thisUpdate < (fetched.held?.list.thisUpdate ?? Number.NEGATIVE_INFINITY);
	if (!isOlder && (timeliness === 'current' || !holds(fetched))) fetched.held = found;
	if (timeliness === 'outdated') {
		return `holds an outdated revocation list (it was good until ${instant(list.nextUpdate ?? 0)})`;
	}
	return isOlder ? 'holds an older revocation list than the one in use' : undefined;
}

function holds({held}: Fetched): boolean {
	return held !== undefined && timelinessOf(held.list) === 'current';
}

/** Milliseconds from `fetchedAt` until a list is to be fetched again. */
function waitFor({nextUpdate}: RevocationList, fetchedAt: number): number {
	if (nextUpdate === undefined) return renewAfter;
	return Math.min(renewAfter, Math.max(0, nextUpdate - fetchedAt) * renewAtPart);
}

function instant(time: number): string {
	return new Date(time).toISOString();
}
