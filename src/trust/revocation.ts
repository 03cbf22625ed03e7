/** Says of a certificate whether its CA has revoked it, by the revocation lists in a CA folder. */
import type {X509Certificate} from 'node:crypto';
import {join} from 'node:path';
import {KeptFile} from '../files/kept-file.ts';
import {rfc2253Subject} from '../x509/names.ts';
import {hashesOf} from './ca-folder.ts';
import type {ListDownloads} from './crl-fetcher.ts';
import type {ChainFault} from './fault.ts';
import {parseRevocationList, type RevocationList} from './revocation-list.ts';

/** The largest lists of CAs of the grid have some megabytes. */
export const largestList = 64 * 1024 * 1024;
const largestUrlFile = 64 * 1024;

/** A CA has one list as a rule, and two or three where its name or hash is shared. */
const mostLists = 16;

export type RevocationMode = 'check' | 'require';

/** What the lists say about one certificate; `unknown` where its CA has none. */
export type RevocationAnswer = 'good' | 'unknown' | ChainFault;

/** A list with the place it came from. */
interface PlacedList {
	readonly place: string;
	readonly list: RevocationList;
}

export class Revocation {
	readonly #lists = new Map<string, KeptFile<RevocationList>>();
	readonly #urls = new Map<string, KeptFile<readonly string[]>>();
	readonly #downloads: ListDownloads | undefined;
	readonly #signed = new WeakMap<RevocationList, Map<string, boolean>>();

	constructor(downloads: ListDownloads | undefined) {
		this.#downloads = downloads;
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
		if (lists.some(({list}) => list.isComplete && isCurrent(list, now))) return 'good';
		const [outdated] = lists.filter(({list}) => !isCurrent(list, now));
		if (outdated !== undefined) return explainOutdated(certificate, issuer, outdated);
		if (unusable !== undefined) return explainUnusable(certificate, issuer, unusable);
		const [partial] = lists;
		if (mode === 'check') return 'unknown';
		return explainMissing(certificate, issuer, folders, partial?.place, this.#whyNotFetched(folders, issuer));
	}

	/** Fetch the list of a CA that has none that is current, but says where there is one. Never rejects. */
	async fetchFor(folders: readonly string[], issuer: X509Certificate): Promise<void> {
		const urls = this.urlsOf(folders, issuer);
		if (urls.length === 0 || this.#hasCurrentFile(folders, issuer)) return;
		await this.#downloads?.refresh(urls, list => this.#isSigned(list, issuer));
	}

	/** Where a CA's list can be fetched, by its `.crl_url`. */
	urlsOf(folders: readonly string[], issuer: X509Certificate): readonly string[] {
		for (const folder of folders) {
			for (const hash of hashesOf(issuer)) {
				const urls = readOrNone(keep(this.#urls, join(folder, `${hash}.crl_url`), largestUrlFile, parseUrls));
				if (urls !== undefined && urls.length > 0) return urls;
			}
		}
		return [];
	}

	/** What is wrong with the lists of these CAs as they are now. */
	problems(folders: readonly string[], authorities: readonly X509Certificate[]): ChainFault[] {
		return authorities.flatMap(authority => {
			const {lists, unusable} = this.#filesOf(folders, authority);
			if (lists.some(({list}) => isCurrent(list, Date.now()))) return [];
			const [outdated] = lists;
			if (outdated !== undefined) return [explainOutdated(authority, authority, outdated)];
			return unusable === undefined ? [] : [explainUnusable(authority, authority, unusable)];
		});
	}

	#listsOf(folders: readonly string[], issuer: X509Certificate): {lists: PlacedList[]; unusable?: Unusable} {
		const found = this.#filesOf(folders, issuer);
		const urls = this.urlsOf(folders, issuer);
		const fetched = this.#downloads?.kept(urls);
		if (fetched === undefined || !this.#isSigned(fetched.list, issuer)) return found;
		return {...found, lists: [...found.lists, fetched]};
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
						if (this.#isSigned(list, issuer)) lists.push({place, list});
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
			({list}) => list.isComplete && isCurrent(list, Date.now()),
		);
	}

	#isSigned(list: RevocationList, issuer: X509Certificate): boolean {
		let byIssuer = this.#signed.get(list);
		if (byIssuer === undefined) {
			byIssuer = new Map();
			this.#signed.set(list, byIssuer);
		}
		let isSigned = byIssuer.get(issuer.fingerprint256);
		if (isSigned === undefined) {
			isSigned = list.isSignedBy(issuer);
			byIssuer.set(issuer.fingerprint256, isSigned);
		}
		return isSigned;
	}

	#whyNotFetched(folders: readonly string[], issuer: X509Certificate): string | undefined {
		return this.#downloads?.failureOf(this.urlsOf(folders, issuer));
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

/** A CA that does not say when the next list comes issues it when there is something new. */
export function isCurrent({nextUpdate}: RevocationList, now: number): boolean {
	return nextUpdate === undefined || now <= nextUpdate;
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

function explainOutdated(
	certificate: X509Certificate,
	issuer: X509Certificate,
	{place, list: {nextUpdate = 0}}: PlacedList,
): ChainFault {
	const ended = new Date(nextUpdate).toISOString();
	return {
		kind: 'unusable revocation list',
		certificate,
		file: place,
		what: `the revocation list of ${rfc2253Subject(issuer)} is outdated: ${place} was good until ${ended}`,
		hint: "Fetch it again, as 'fetch-crl' does",
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
