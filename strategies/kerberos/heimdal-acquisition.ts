/** Credentials of Heimdal's library, as its kinit gets them: its GSS-API takes them from a thread's default cache alone. */
import {
	type Acquired,
	indefinite,
	initiate,
	type LibraryAcquisition,
	mechanisms,
	release,
} from './acquired.ts';
import {generalFailure, minorOf, ticketExpired} from './codes.ts';
import {GssFailure, succeed} from './gss-failure.ts';
import type {GssCalls} from './gss-library.ts';
import type {CredentialSource} from './gss-messages.ts';
import type {Krb5Calls} from './krb5-library.ts';
import {memoryCache} from './memory-cache.ts';
import {type Pointer, place} from './native.ts';

export class HeimdalAcquisition implements LibraryAcquisition {
	readonly #calls: GssCalls;
	readonly #krb5: Krb5Calls;
	readonly #source: CredentialSource;

	constructor(calls: GssCalls, krb5: Krb5Calls, source: CredentialSource) {
		this.#calls = calls;
		this.#krb5 = krb5;
		this.#source = source;
	}

	fromCache(cache: string | undefined): {handle: Pointer; lifetime: number} {
		return this.#acquireFromThreadCache(this.#chosen(cache));
	}

	/** Never by the name of a principal: looking for that, Heimdal ends the process at a collection of folders. */
	#chosen(cache: string | undefined): string | undefined {
		const {principal, credentialCache} = this.#source;
		if (cache !== undefined || principal === undefined) return cache ?? credentialCache;
		const where = credentialCache ?? this.#krb5.defaultCacheName();
		this.#checkType(where);
		throw new GssFailure({
			phase: 'credential',
			text: `There is no credential cache of ${principal} in ${where}`,
		});
	}

	/** Of a type that the library does not know, such as KEYRING, nothing can be found. */
	#checkType(name: string): void {
		const {context, resolveCache, closeCache} = this.#krb5;
		const cache = place();
		this.#check(resolveCache(context, name, cache));
		closeCache(context, cache[0]);
	}

	fromPassword(password: string): Acquired {
		const krb5 = this.#krb5;
		return this.#fetchInitial(this.#source.principal ?? '', (credential, client) =>
			krb5.initialCredentialsFromPassword(
				...[krb5.context, credential, client, password, null, null, 0, null, null],
			),
		);
	}

	fromKeytab(keytab: string, client: string): Acquired {
		const krb5 = this.#krb5;
		const table = place();
		this.#check(krb5.resolveKeytab(krb5.context, `FILE:${keytab}`, table));
		try {
			return this.#fetchInitial(client, (credential, name) =>
				krb5.initialCredentialsFromKeytab(...[krb5.context, credential, name, table[0], 0, null, null]),
			);
		} finally {
			krb5.closeKeytab(krb5.context, table[0]);
		}
	}

	/** Get the ticket as kinit does, into a cache in memory or the rule's own. */
	#fetchInitial(principal: string, fetch: (credential: Uint8Array, client: Pointer) => number): Acquired {
		const krb5 = this.#krb5;
		const {context} = krb5;
		const [client, cache] = [place(), place()];
		// `krb5_creds` has some 200 bytes, and the library fills it.
		const credential = Buffer.alloc(1024);
		const name = this.#source.credentialCache ?? memoryCache();
		const close = (): void => {
			if (cache[0] === null) return;
			if (this.#source.credentialCache === undefined) krb5.destroyCache(context, cache[0]);
			else krb5.closeCache(context, cache[0]);
		};
		try {
			this.#check(krb5.parseName(context, principal, client));
			this.#check(fetch(credential, client[0]));
			this.#check(krb5.resolveCache(context, name, cache));
			this.#check(krb5.initializeCache(context, cache[0], client[0]));
			this.#check(krb5.storeCredential(context, cache[0], credential));
			const {handle, lifetime} = this.#acquireFromThreadCache(name);
			return {
				handle,
				cache: name,
				lifetime,
				destroy: () => {
					release(this.#calls, handle);
					close();
				},
			};
		} catch (error) {
			close();
			throw error;
		} finally {
			krb5.freeCredentialContents(context, credential);
			if (client[0] !== null) krb5.freePrincipal(context, client[0]);
		}
	}

	/** The library takes its default cache, and which one that is can be said for a thread. */
	#acquireFromThreadCache(cache: string | undefined): {handle: Pointer; lifetime: number} {
		const [calls, krb5] = [this.#calls, this.#krb5];
		const [minor, handle, lifetime]: [[number], [Pointer], [number]] = [[0], place(), [0]];
		// A name that is NULL ends the process.
		const name = cache ?? krb5.defaultCacheName();
		succeed(calls, 'credential', krb5.setThreadCache(minor, name, null), minor);
		const major = calls.acquireCredential(
			...[minor, null, indefinite, mechanisms, initiate, handle, null, lifetime],
		);
		if (isNoCredential(major)) this.#checkExpiry(cache);
		succeed(calls, 'credential', major, minor);
		return {handle: handle[0], lifetime: lifetime[0]};
	}

	/** The library says of an expired ticket only that there is no credential. */
	#checkExpiry(name: string | undefined): void {
		const krb5 = this.#krb5;
		const {context} = krb5;
		const [cache, lifetime]: [[Pointer], [number | bigint]] = [place(), [0]];
		const failed =
			name === undefined ? krb5.defaultCache(context, cache) : krb5.resolveCache(context, name, cache);
		// Of a type that it does not know, such as KEYRING.
		if (failed !== 0) this.#check(failed);
		const unknown = krb5.cacheLifetime(context, cache[0], lifetime);
		krb5.closeCache(context, cache[0]);
		if (unknown === 0 && Number(lifetime[0]) <= 0) this.#check(minorOf(ticketExpired));
	}

	/** A code of Kerberos is a minor status, with GSS_S_FAILURE for the major one. */
	#check(code: number): void {
		if (code === 0) return;
		const text = this.#krb5.errorMessage(code | 0);
		throw new GssFailure({phase: 'credential', text, major: generalFailure, minor: code >>> 0});
	}
}

/** GSS_S_NO_CRED */
const isNoCredential = (major: number): boolean => ((major >>> 16) & 0xff) === 7;
