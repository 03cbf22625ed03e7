/**
 * The credential of one rule, from what the rule says and nothing else.
 *
 * Tickets that come from a key table or a password are the rule's own and stay in memory. A cache is looked at again for
 * each request, so that a `kinit` in between counts.
 */
import {statSync} from 'node:fs';
import {Acquisition} from './acquisition.ts';
import {CacheChoice} from './cache-choice.ts';
import {CacheCopy} from './cache-copy.ts';
import {checkCache} from './cache-file.ts';
import {GssFailure} from './gss-failure.ts';
import type {GssCalls} from './gss-library.ts';
import type {CredentialSource} from './gss-messages.ts';
import {KeytabUnusable, principalsIn} from './keytab-file.ts';
import {NoRegularFile} from './regular-file.ts';
import {isBeingReplaced} from './replacement.ts';
import type {ServicePrincipal} from './service-principal.ts';
import {type Credential, SharedCredential} from './shared-credential.ts';

interface Kept {
	readonly credential: SharedCredential;
	/** Of the key table that it came from, if it came from one. */
	readonly version: string;
	/** When to get another one: milliseconds since 1970. */
	readonly renewAt: number;
}

/** Milliseconds between two renewals because of refusals: a server that refuses all tickets is not to keep the KDC busy. */
const leastInterval = 5000;

export class Credentials {
	readonly #source: CredentialSource;
	readonly #acquisition: Acquisition;
	readonly #choice: CacheChoice | undefined;
	readonly #copy: CacheCopy | undefined;
	/** What the library takes where the rule names no cache. */
	readonly #defaultCache: () => string | undefined;
	/** Of the last context for which the library found the tickets by itself, as with a client key table. */
	#lastPrincipal: string | undefined;
	#kept: Kept | undefined;
	/** When one was renewed last because a server refused it. */
	#refusedAt = Number.NEGATIVE_INFINITY;

	constructor(calls: GssCalls, source: CredentialSource) {
		this.#source = source;
		this.#acquisition = new Acquisition(calls, source);
		this.#choice = calls.caches === undefined ? undefined : new CacheChoice(calls.caches, source);
		this.#copy = this.#copyFor(calls);
		this.#defaultCache = () => calls.caches?.defaultCacheName();
	}

	/** The credential for one context with a service, or for none in particular. `renew`: not the one that is kept. */
	acquire(service: ServicePrincipal | undefined, renew: boolean): Credential {
		if (this.#isOwn) return this.#own(renew);
		if (renew) this.#copy?.drop();
		const copied = service === undefined ? undefined : this.#copy?.use(service.text);
		if (copied !== undefined) return copied;
		this.#checkCache();
		const choice = this.#choice?.choose(service?.principal ?? null);
		const {handle, destroy} = this.#acquisition.fromCache(choice);
		return {handle, principal: choice?.principal, cache: choice?.cache, isCopy: false, release: destroy};
	}

	/** As whom a context with a service would be begun; `undefined`: there is no ticket, or the library alone knows. */
	ownerFor({principal}: ServicePrincipal): string | undefined {
		if (this.#isOwn) return this.#ownPrincipal();
		const copied = this.#copy?.principal;
		if (copied !== undefined) return copied;
		this.#checkCache();
		return this.#choice?.choose(principal)?.principal ?? this.#lastPrincipal;
	}

	/**
	 * A context with the service was begun by this credential.
	 *
	 * @returns whose it is.
	 */
	noteUse(service: ServicePrincipal, {isCopy, cache, principal, handle}: Credential): string {
		if (principal === undefined) {
			this.#lastPrincipal = this.#acquisition.facts(handle).principal;
			return this.#lastPrincipal;
		}
		if (!isCopy && cache === this.#copy?.name) this.#copy?.add(service.text, principal);
		return principal;
	}

	/** Whose a credential is and how long it lasts. */
	facts(credential: Credential): {principal: string; lifetime: number} {
		return this.#acquisition.facts(credential.handle);
	}

	/** Whether the key table, or the file with the tickets, was changed just now. */
	get isFileChanging(): boolean {
		const {keytab, credentialCache} = this.#source;
		const file = keytab ?? this.#copy?.name ?? credentialCache ?? '';
		const path = file.replace(/^(?:FILE|DIR)::?/, '');
		return path.startsWith('/') && isBeingReplaced(path);
	}

	/** Let go of what is kept, once no context uses it any more. */
	close(): void {
		this.#copy?.drop();
		this.#kept?.credential.retire();
		this.#kept = undefined;
	}

	/** Before the library opens it: it would wait at a pipe, and read a device without end. */
	#checkCache(): void {
		const {credentialCache} = this.#source;
		const name = credentialCache ?? (this.#isOwn ? undefined : this.#defaultCache());
		if (name === undefined) return;
		try {
			checkCache(name);
		} catch (error) {
			throw asFailure(error);
		}
	}

	get #isOwn(): boolean {
		const {keytab, password} = this.#source;
		return keytab !== undefined || password !== undefined;
	}

	/** Where the rule names none, the first of the key table, as MIT takes it. */
	#ownPrincipal(): string {
		const {principal, keytab = ''} = this.#source;
		return principal ?? principalsIn(keytab)[0] ?? '';
	}

	#own(isRefused: boolean): Credential {
		const {keytab} = this.#source;
		const version = keytab === undefined ? '' : versionOf(keytab);
		const now = Date.now();
		const renew = isRefused && now - this.#refusedAt >= leastInterval;
		if (renew) this.#refusedAt = now;
		const kept = this.#kept;
		if (kept === undefined || renew || kept.version !== version || now >= kept.renewAt) {
			try {
				this.#keep(version);
			} catch (error) {
				// What is still good goes on while the KDC is away, or the key table.
				const isSame = kept?.version === version || error instanceof KeytabUnusable;
				const isGood = kept !== undefined && isSame && now < kept.credential.endsAt;
				if (renew || !isGood) throw asFailure(error);
			}
		}
		return (this.#kept as Kept).credential.use();
	}

	#keep(version: string): void {
		this.#checkCache();
		const {keytab, password} = this.#source;
		const before = this.#kept;
		const acquired =
			keytab === undefined
				? this.#acquisition.fromPassword(password as string)
				: this.#acquisition.fromKeytab(keytab);
		// After three quarters of its time: early enough for a KDC that is away for a while.
		const renewAt = Date.now() + acquired.lifetime * 750;
		const credential = new SharedCredential(acquired, {principal: this.#ownPrincipal()});
		this.#kept = {credential, version, renewAt};
		before?.credential.retire();
	}

	/** Of a file only: which cache of a collection counts is the library's to choose. */
	#copyFor({caches}: GssCalls): CacheCopy | undefined {
		const {keytab, password, credentialCache} = this.#source;
		if (caches === undefined || keytab !== undefined || password !== undefined) return undefined;
		const name = (credentialCache ?? caches.defaultCacheName()).replace(/^(?=\/)/, 'FILE:');
		return name.startsWith('FILE:')
			? new CacheCopy(caches, name, cache => this.#acquisition.fromCache({cache}))
			: undefined;
	}
}

function asFailure(error: unknown): unknown {
	const isFile = error instanceof KeytabUnusable || error instanceof NoRegularFile;
	return isFile ? new GssFailure({phase: 'credential', text: error.message}) : error;
}

/** Tells a key table that was replaced from the one before. One that is gone is found out when it is read. */
function versionOf(keytab: string): string {
	const facts = statSync(keytab, {throwIfNoEntry: false});
	return facts === undefined ? 'gone' : `${facts.ino} ${facts.size} ${facts.mtimeMs}`;
}
