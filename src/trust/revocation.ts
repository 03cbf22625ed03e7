/** Says of a certificate whether its CA has revoked it, by the revocation lists in a CA folder. */
import type {X509Certificate} from 'node:crypto';
import {join} from 'node:path';
import {KeptFile} from '../files/kept-file.ts';
import {rfc2253Subject} from '../x509/names.ts';
import {hashesOf} from './ca-folder.ts';
import type {CrlFetcher, PlacedList} from './crl-fetcher.ts';
import type {ChainFault} from './fault.ts';
import {largestList} from './list-cache.ts';
import {parseRevocationList, type RevocationList, timelinessOf} from './revocation-list.ts';

const largestUrlFile = 64 * 1024;

/** A CA has one list as a rule, and two or three where its name or hash is shared. */
const mostLists = 16;

export type RevocationMode = 'check' | 'require';

/** What the lists say about one certificate; `unknown` where its CA has none. */
export type RevocationAnswer = 'good' | 'unknown' | ChainFault;

export class Revocation {
	readonly #lists = new Map<string, KeptFile<RevocationList>>();
	readonly #urls = new Map<string, KeptFile<readonly string[]>>();
	readonly #fetcher: CrlFetcher | undefined;

	constructor(fetcher: CrlFetcher | undefined) {
		this.#fetcher = fetcher;
	}

	/** What is known about `certificate`, which `issuer` issued. */
	check(
		folders: readonly string[],
		certificate: X509Certificate,
		issuer: X509Certificate,
		mode: RevocationMode,
		now = Date.now(),
	): RevocationAnswer {
		const {lists, unusable} = this.#listsOf(folders, issuer);
		const naming = lists.find(({list}) => list.revokes(certificate));
		if (naming !== undefined) return explainRevoked(certificate, naming.place);
		if (lists.some(({list}) => list.isComplete && timelinessOf(list, now) === 'current')) return 'good';
		const untimely = explainUntimely(certificate, issuer, lists, now);
		if (untimely !== undefined) return untimely;
		if (unusable !== undefined) return explainUnusable(certificate, issuer, unusable);
		const [partial] = lists;
		if (mode === 'check') return 'unknown';
		return explainMissing(certificate, issuer, folders, partial?.place, this.#whyNotFetched(folders, issuer));
	}

	/** Fetch the list of a CA that has none that is current, but says where there is one. Never rejects. */
	async fetchFor(folders: readonly string[], issuer: X509Certificate): Promise<void> {
		const urls = this.urlsOf(folders, issuer);
		if (urls.length === 0 || this.#hasCurrentFile(folders, issuer)) return;
		await this.#fetcher?.refresh(urls, issuer);
	}

	/** Where a CA's list can be fetched, by its `.crl_url`. */
	urlsOf(folders: readonly string[], issuer: X509Certificate): readonly string[] {
		const files = folders.flatMap(folder => hashesOf(issuer).map(hash => join(folder, `${hash}.crl_url`)));
		const urls = files.flatMap(file => readOrNone(keep(this.#urls, file, largestUrlFile, parseUrls)) ?? []);
		return [...new Set(urls)];
	}

	/** What is wrong with the lists of these CAs as they are now. */
	problems(folders: readonly string[], authorities: readonly X509Certificate[]): ChainFault[] {
		const now = Date.now();
		return authorities.flatMap(authority => {
			const {lists, unusable} = this.#filesOf(folders, authority);
			if (lists.some(({list}) => timelinessOf(list, now) === 'current')) return [];
			const untimely = explainUntimely(authority, authority, lists, now);
			if (untimely !== undefined) return [untimely];
			return unusable === undefined ? [] : [explainUnusable(authority, authority, unusable)];
		});
	}

	#listsOf(folders: readonly string[], issuer: X509Certificate): {lists: PlacedList[]; unusable?: Unusable} {
		const found = this.#filesOf(folders, issuer);
		const fetched = this.#fetcher?.held(this.urlsOf(folders, issuer), issuer);
		return fetched === undefined ? found : {...found, lists: [...found.lists, fetched]};
	}

	#filesOf(folders: readonly string[], issuer: X509Certificate): {lists: PlacedList[]; unusable?: Unusable} {
		const lists: PlacedList[] = [];
		let unusable: Unusable | undefined;
		for (const folder of folders) {
			for (const hash of hashesOf(issuer)) {
				for (let number = 0; number < mostLists; number++) {
					const place = join(folder, `${hash}.r${number}`);
					try {
						const list = keep(this.#lists, place, largestList, parseRevocationList).read();
						if (list === undefined) break;
						if (list.isSignedBy(issuer)) lists.push({place, list});
						else unusable ??= {place, reason: 'is not signed by this CA'};
					} catch (error) {
						unusable ??= {place, reason: (error as Error).message};
					}
				}
			}
		}
		return {lists, ...(unusable !== undefined && {unusable})};
	}

	#hasCurrentFile(folders: readonly string[], issuer: X509Certificate): boolean {
		return this.#filesOf(folders, issuer).lists.some(
			({list}) => list.isComplete && timelinessOf(list) === 'current',
		);
	}

	#whyNotFetched(folders: readonly string[], issuer: X509Certificate): string | undefined {
		return this.#fetcher?.failureOf(this.urlsOf(folders, issuer), issuer);
	}
}

interface Unusable {
	readonly place: string;
	readonly reason: string;
}

function keep<Content>(
	kept: Map<string, KeptFile<Content>>,
	file: string,
	largest: number,
	parse: (bytes: Buffer) => Content,
): KeptFile<Content> {
	let entry = kept.get(file);
	if (entry === undefined) {
		entry = new KeptFile(file, {largest, parse});
		kept.set(file, entry);
	}
	return entry;
}

/** A file of addresses that cannot be read is as good as none. */
function readOrNone<Content>(file: KeptFile<Content>): Content | undefined {
	try {
		return file.read();
	} catch {
		return undefined;
	}
}

/** One URL on each line; other schemes than HTTP, such as ldap, are passed over. */
export function parseUrls(bytes: Buffer): readonly string[] {
	return bytes
		.toString('latin1')
		.split(/\s+/)
		.filter(text => /^https?:\/\//i.test(text) && URL.canParse(text));
}

function explainRevoked(certificate: X509Certificate, place: string): ChainFault {
	return {
		kind: 'revoked',
		certificate,
		file: place,
		what: `it is revoked, says ${place}`,
		hint: 'Do not trust it, and ask whoever it belongs to for its successor',
	};
}

/** A list that is there, but does not count now: whoever trusted it would trust whoever keeps the right one away. */
function explainUntimely(
	certificate: X509Certificate,
	issuer: X509Certificate,
	lists: readonly PlacedList[],
	now: number,
): ChainFault | undefined {
	const untimely = lists.find(({list}) => timelinessOf(list, now) !== 'current');
	if (untimely === undefined) return undefined;
	const {place, list} = untimely;
	const name = rfc2253Subject(issuer);
	const isEarly = timelinessOf(list, now) === 'early';
	const when = new Date(isEarly ? list.thisUpdate : (list.nextUpdate ?? 0)).toISOString();
	return {
		kind: 'unusable revocation list',
		certificate,
		file: place,
		what: isEarly
			? `the revocation list of ${name} begins in the future: ${place} is good from ${when}`
			: `the revocation list of ${name} is outdated: ${place} was good until ${when}`,
		hint: isEarly
			? "Check this machine's clock, or fetch it again, as 'fetch-crl' does"
			: "Fetch it again, as 'fetch-crl' does",
	};
}

function explainUnusable(
	certificate: X509Certificate,
	issuer: X509Certificate,
	{place, reason}: Unusable,
): ChainFault {
	return {
		kind: 'unusable revocation list',
		certificate,
		file: place,
		what: `the revocation list of ${rfc2253Subject(issuer)} cannot be used: ${place} ${reason}`,
		hint: "Fetch it again, as 'fetch-crl' does, or remove the file",
	};
}

function explainMissing(
	certificate: X509Certificate,
	issuer: X509Certificate,
	folders: readonly string[],
	partial: string | undefined,
	failure: string | undefined,
): ChainFault {
	const [hash = ''] = hashesOf(issuer);
	const file = partial ?? join(folders[0] ?? '', `${hash}.r0`);
	const why =
		partial === undefined
			? `there is no revocation list of ${rfc2253Subject(issuer)}, which 'crl: require' demands: ${file} is missing${failure === undefined ? '' : `, and ${failure}`}`
			: `the revocation list of ${rfc2253Subject(issuer)} is for some certificates only, and 'crl: require' demands one for all: ${file}`;
	return {
		kind: 'no revocation list',
		certificate,
		file,
		what: why,
		hint: "Fetch it, as 'fetch-crl' does, or set 'crl: check'",
	};
}
