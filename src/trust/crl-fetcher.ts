/**
 * Fetches revocation lists from where a `.crl_url` says. They are signed, so plain http will do. One that was fetched
 * serves until it is outdated, and is looked for again every few hours.
 */
import type {RevocationList} from './revocation-list.ts';
import {parseRevocationList} from './revocation-list.ts';

/** Fetches a file. Rejects with an error that says why not. */
export type FetchFile = (url: string, signal: AbortSignal) => Promise<Buffer>;

/** Milliseconds after which a list is fetched again: CAs of the grid issue one at least every few days. */
const renewAfter = 6 * 3_600_000;
/** Milliseconds after a failure. */
const tryAgainAfter = 60_000;
/** Milliseconds that somebody is kept waiting for a list. The fetching goes on. */
const patience = 5000;

interface Download {
	list?: {readonly place: string; readonly list: RevocationList};
	failure?: string;
	/** When to look again, as `performance.now()` tells. */
	dueAt: number;
	underWay?: Promise<void> | undefined;
}

export class ListDownloads {
	readonly #fetch: FetchFile;
	readonly #byUrls = new Map<string, Download>();
	readonly #closing = new AbortController();

	constructor(fetch: FetchFile) {
		this.#fetch = fetch;
	}

	/** The list that was fetched from one of these places. */
	kept(urls: readonly string[]): Download['list'] {
		return this.#byUrls.get(urls.join(' '))?.list;
	}

	/** Why there is none; `undefined` where nobody has tried. */
	failureOf(urls: readonly string[]): string | undefined {
		return this.#byUrls.get(urls.join(' '))?.failure;
	}

	/**
	 * See to it that there is a list, if there can be one. Waits for a first list, or one in the place of an outdated
	 * one; a new one for one that still holds comes in the background. So does one that could not be had before: where
	 * nothing answers, only the first connections are kept waiting. Never rejects.
	 */
	async refresh(urls: readonly string[], isRight: (list: RevocationList) => boolean): Promise<void> {
		const key = urls.join(' ');
		let download = this.#byUrls.get(key);
		if (download === undefined) {
			download = {dueAt: Number.NEGATIVE_INFINITY};
			this.#byUrls.set(key, download);
		}
		const current = download;
		if (current.underWay === undefined && performance.now() >= current.dueAt) {
			current.underWay = this.#download(current, urls, isRight).finally(() => {
				current.underWay = undefined;
			});
		}
		const {list, failure, underWay} = current;
		const holds = list !== undefined && (list.list.nextUpdate ?? Number.POSITIVE_INFINITY) > Date.now();
		if (holds || failure !== undefined || underWay === undefined) return;
		let timer: NodeJS.Timeout | undefined;
		const enough = new Promise<void>(resolve => {
			timer = setTimeout(resolve, patience);
		});
		await Promise.race([underWay, enough]);
		clearTimeout(timer);
	}

	/** End what is under way. */
	close(): void {
		this.#closing.abort(new Error('gatepass is closed'));
	}

	async #download(
		download: Download,
		urls: readonly string[],
		isRight: (list: RevocationList) => boolean,
	): Promise<void> {
		const failures: string[] = [];
		for (const url of urls) {
			try {
				const list = parseRevocationList(await this.#fetch(url, this.#closing.signal));
				if (!isRight(list)) throw new Error('holds a revocation list that is not signed by this CA');
				// Whoever is in between may hand out an old one, which does not name what was revoked since.
				if (list.thisUpdate >= (download.list?.list.thisUpdate ?? 0)) download.list = {place: url, list};
				download.dueAt = performance.now() + renewAfter;
				delete download.failure;
				return;
			} catch (error) {
				failures.push(`${url} ${(error as Error).message}`);
			}
		}
		download.failure = failures.join(', ');
		download.dueAt = performance.now() + tryAgainAfter;
	}
}
