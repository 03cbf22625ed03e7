/**
 * The credential of one rule, from what the rule says and nothing else.
 *
 * Tickets that come from a key table or a password are the rule's own and stay in memory. A cache is looked at again for
 * each request, so that a `kinit` in between counts.
 */
import {statSync} from 'node:fs';
import {Acquisition} from './acquisition.ts';
import {CacheCopy} from './cache-copy.ts';
import type {GssCalls} from './gss-library.ts';
import type {CredentialSource} from './gss-messages.ts';
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
	readonly #copy: CacheCopy | undefined;
	#kept: Kept | undefined;
	/** When one was renewed last because a server refused it. */
	#refusedAt = Number.NEGATIVE_INFINITY;

	constructor(calls: GssCalls, source: CredentialSource) {
		this.#source = source;
		this.#acquisition = new Acquisition(calls, source);
		this.#copy = this.#copyFor(calls);
	}

	/** The credential for one context with a service. `renew`: not the one that is kept. */
	acquire(renew: boolean, service?: string): Credential {
		const {keytab, password, credentialCache} = this.#source;
		if (keytab !== undefined || password !== undefined) return this.#own(renew);
		if (renew) this.#copy?.drop();
		const copied = service === undefined ? undefined : this.#copy?.use(service);
		if (copied !== undefined) return copied;
		const {handle, lifetime, destroy} = this.#acquisition.fromCache(credentialCache);
		return {handle, lifetime, isCopy: false, release: destroy};
	}

	/** A context with the service was begun by this credential. */
	hasTicketFor(service: string, {isCopy}: Credential): void {
		if (!isCopy) this.#copy?.add(service);
	}

	/** Whose a credential is and how long it lasts. */
	facts(credential: Credential): {principal: string; lifetime: number} {
		return this.#acquisition.facts(credential.handle);
	}

	/** Let go of what is kept, once no context uses it any more. */
	close(): void {
		this.#copy?.drop();
		this.#kept?.credential.retire();
		this.#kept = undefined;
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
				// What is still good goes on while the KDC is away.
				const isGood = kept !== undefined && kept.version === version && now < kept.credential.endsAt;
				if (renew || !isGood) throw error;
			}
		}
		return (this.#kept as Kept).credential.use();
	}

	#keep(version: string): void {
		const {keytab, password} = this.#source;
		const before = this.#kept;
		const acquired =
			keytab === undefined
				? this.#acquisition.fromPassword(password as string)
				: this.#acquisition.fromKeytab(keytab);
		// After three quarters of its time: early enough for a KDC that is away for a while.
		const renewAt = Date.now() + acquired.lifetime * 750;
		this.#kept = {credential: new SharedCredential(acquired), version, renewAt};
		before?.credential.retire();
	}

	/** Of a file only: which cache of a collection counts is the library's to choose. */
	#copyFor({caches}: GssCalls): CacheCopy | undefined {
		const {keytab, password, credentialCache} = this.#source;
		if (caches === undefined || keytab !== undefined || password !== undefined) return undefined;
		const name = (credentialCache ?? caches.defaultCacheName()).replace(/^(?=\/)/, 'FILE:');
		return name.startsWith('FILE:')
			? new CacheCopy(caches, name, cache => this.#acquisition.fromCache(cache))
			: undefined;
	}
}

/** Tells a key table that was replaced from the one before. One that is gone is found out when it is read. */
function versionOf(keytab: string): string {
	const facts = statSync(keytab, {throwIfNoEntry: false});
	return facts === undefined ? 'gone' : `${facts.ino} ${facts.size} ${facts.mtimeMs}`;
}
