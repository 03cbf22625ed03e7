/** Gets credentials from the library: from a credential cache, a key table or a password that the rule names. */
import {statSync} from 'node:fs';
import type {Choice} from './cache-choice.ts';
import {generalFailure, minorOf, ticketExpired} from './codes.ts';
import {displayName, GssFailure, importName, succeed} from './gss-failure.ts';
import {bufferOf, type GssCalls, oids} from './gss-library.ts';
import type {CredentialSource} from './gss-messages.ts';
import {entriesIn, isSamePrincipal, type KeyEntry, unusualTypesOf} from './keytab-file.ts';
import type {Krb5Calls} from './krb5-library.ts';
import {memoryCache} from './memory-cache.ts';
import {type Pointer, place} from './native.ts';

/** A credential of the library: NULL means its default. */
export interface Acquired {
	readonly handle: Pointer;
	/** The name of the cache with its tickets, where it is known. */
	readonly cache: string | undefined;
	/** Seconds. */
	readonly lifetime: number;
	/** Let go of it, and of the tickets that are kept for it alone. */
	readonly destroy: () => void;
}

const initiate = 1;
const indefinite = 0xffff_ffff;
/** MIT makes no SPNEGO of a credential that was acquired for krb5 alone. */
const mechanisms = {count: 2, elements: [oids.krb5, oids.spnego]};

export class Acquisition {
	readonly #calls: GssCalls;
	readonly #source: CredentialSource;

	constructor(calls: GssCalls, source: CredentialSource) {
		this.#calls = calls;
		this.#source = source;
	}

	/** @param choice the cache; without one the library looks for the tickets by itself, and says what is missing. */
	fromCache(choice: Pick<Choice, 'cache'> | undefined): Acquired {
		const {krb5} = this.#calls;
		const {handle, lifetime} =
			krb5 === undefined
				? this.#acquireChosen(choice?.cache)
				: this.#acquireFromThreadCache(krb5, this.#chosenOfHeimdal(choice?.cache));
		return {handle, cache: choice?.cache, lifetime, destroy: () => this.#release(handle)};
	}

	#acquireChosen(cache: string | undefined): {handle: Pointer; lifetime: number} {
		if (cache !== undefined) return this.#acquireFrom(null, {ccache: cache});
		const {principal, credentialCache} = this.#source;
		return this.#withName(principal, name =>
			this.#acquireFrom(name, credentialCache === undefined ? {} : {ccache: credentialCache}),
		);
	}

	/** Never by the name of a principal: looking for that, Heimdal ends the process at a collection of folders. */
	#chosenOfHeimdal(cache: string | undefined): string | undefined {
		const {principal, credentialCache} = this.#source;
		if (cache !== undefined || principal === undefined) return cache ?? credentialCache;
		const where = credentialCache ?? this.#calls.krb5?.defaultCacheName();
		throw new GssFailure({
			phase: 'credential',
			text: `There is no credential cache of ${principal} in ${where}`,
		});
	}

	fromPassword(password: string): Acquired {
		const calls = this.#calls;
		const {krb5} = calls;
		if (krb5 !== undefined) {
			return this.#fetchInitial(krb5, this.#source.principal ?? '', (credential, client) =>
				krb5.initialCredentialsFromPassword(
					...[krb5.context, credential, client, password, null, null, 0, null, null],
				),
			);
		}
		return this.#withName(this.#source.principal, name => {
			const [minor, handle, lifetime]: [[number], [Pointer], [number]] = [[0], place(), [0]];
			const secret = bufferOf(Buffer.from(password));
			const major = calls.acquireCredentialWithPassword(
				...[minor, name, secret, indefinite, mechanisms, initiate, handle, null, lifetime],
			);
			succeed(calls, 'credential', major, minor);
			return this.#own(handle[0]);
		});
	}

	/** Throws a `KeytabUnusable` where the file is none. */
	fromKeytab(keytab: string): Acquired {
		const entries = entriesIn(keytab);
		const client = this.#clientIn(entries, keytab);
		this.#prepareCache(client);
		try {
			return this.#fetchByKeytab(keytab, client);
		} catch (error) {
			const types = unusualTypesOf(entries, client);
			if (!(error instanceof GssFailure) || types === undefined) throw error;
			const text = `${error.failure.text}; the key table ${keytab} has only unusual keys of ${client}: ${types}`;
			throw new GssFailure({...error.failure, text});
		}
	}

	#fetchByKeytab(keytab: string, client: string): Acquired {
		const {krb5} = this.#calls;
		if (krb5 !== undefined) {
			const table = place();
			this.#check(krb5.resolveKeytab(krb5.context, `FILE:${keytab}`, table));
			try {
				return this.#fetchInitial(krb5, client, (credential, name) =>
					krb5.initialCredentialsFromKeytab(...[krb5.context, credential, name, table[0], 0, null, null]),
				);
			} finally {
				krb5.closeKeytab(krb5.context, table[0]);
			}
		}
		return this.#withName(client, name => {
			const ccache = this.#source.credentialCache ?? memoryCache();
			const {handle} = this.#acquireFrom(name, {client_keytab: `FILE:${keytab}`, ccache});
			return this.#own(handle);
		});
	}

	/** The rule's principal as the key table has it; where the rule names none, the first one. */
	#clientIn(entries: readonly KeyEntry[], keytab: string): string {
		const {principal} = this.#source;
		const names = [...new Set(entries.map(entry => entry.principal))];
		const client = principal === undefined ? names[0] : names.find(name => isSamePrincipal(name, principal));
		if (client !== undefined) return client;
		throw new GssFailure({
			phase: 'credential',
			text: `The key table ${keytab} has keys of ${names.slice(0, 5).join(', ')}, and none of ${principal}`,
		});
	}

	/** The cache that the rule has its fetched tickets in: not another principal's; and an empty file is taken for none. */
	#prepareCache(client: string): void {
		const {caches} = this.#calls;
		const {credentialCache} = this.#source;
		if (caches === undefined || credentialCache === undefined) return;
		const {context, resolveCache, closeCache, cachePrincipal, initializeCache, parseName} = caches;
		const [cache, owner, wanted] = [place(), place(), place()];
		try {
			if (resolveCache(context, credentialCache, cache) !== 0) return;
			if (parseName(context, client, wanted) !== 0) return;
			if (cachePrincipal(context, cache[0], owner) === 0) {
				const name = caches.nameOf(owner[0]);
				if (name === caches.nameOf(wanted[0])) return;
				throw new GssFailure({
					phase: 'credential',
					text: `The credential cache ${credentialCache} holds tickets of ${name}, and the key table is for ${client}`,
				});
			}
			if (isEmptyFile(credentialCache)) initializeCache(context, cache[0], wanted[0]);
		} finally {
			for (const principal of [owner[0], wanted[0]]) {
				if (principal !== null) caches.freePrincipal(context, principal);
			}
			if (cache[0] !== null) closeCache(context, cache[0]);
		}
	}

	/** MIT gets the ticket when it is first asked for something that depends on it, such as its lifetime. */
	#own(handle: Pointer): Acquired {
		const destroy = (): void => this.#release(handle);
		try {
			return {handle, cache: undefined, lifetime: this.facts(handle).lifetime, destroy};
		} catch (error) {
			destroy();
			throw error;
		}
	}

	/** Heimdal has no `gss_acquire_cred_from`: get the ticket as kinit does, into a cache in memory. */
	#fetchInitial(
		krb5: Krb5Calls,
		principal: string,
		fetch: (credential: Uint8Array, client: Pointer) => number,
	): Acquired {
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
			const {handle, lifetime} = this.#acquireFromThreadCache(krb5, name);
			return {
				handle,
				cache: name,
				lifetime,
				destroy: () => {
					this.#release(handle);
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

	/** Heimdal takes its default cache, and which one that is can be said for a thread. */
	#acquireFromThreadCache(krb5: Krb5Calls, cache: string | undefined): {handle: Pointer; lifetime: number} {
		const calls = this.#calls;
		const [minor, handle, lifetime]: [[number], [Pointer], [number]] = [[0], place(), [0]];
		// A name that is NULL ends the process.
		const name = cache ?? krb5.defaultCacheName();
		succeed(calls, 'credential', krb5.setThreadCache(minor, name, null), minor);
		const major = calls.acquireCredential(
			...[minor, null, indefinite, mechanisms, initiate, handle, null, lifetime],
		);
		if (isNoCredential(major)) this.#checkExpiry(krb5, cache);
		succeed(calls, 'credential', major, minor);
		return {handle: handle[0], lifetime: lifetime[0]};
	}

	/** Heimdal says of an expired ticket only that there is no credential. */
	#checkExpiry(krb5: Krb5Calls, name: string | undefined): void {
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
		const text = this.#calls.krb5?.errorMessage(code | 0) ?? '';
		throw new GssFailure({phase: 'credential', text, major: generalFailure, minor: code >>> 0});
	}

	/** MIT: everything that the library would take from the environment is given. */
	#acquireFrom(name: Pointer, store: Readonly<Record<string, string>>): {handle: Pointer; lifetime: number} {
		const calls = this.#calls;
		const [minor, handle, seconds]: [[number], [Pointer], [number]] = [[0], place(), [0]];
		// To be asked for its lifetime would settle a credential without a cache on the primary one.
		const lifetime = 'ccache' in store ? seconds : null;
		const elements = Object.entries(store).map(([key, value]) => ({key, value}));
		const acquire = calls.acquireCredentialFrom as NonNullable<GssCalls['acquireCredentialFrom']>;
		const given = elements.length === 0 ? null : {count: elements.length, elements};
		const major = acquire(minor, name, indefinite, mechanisms, initiate, given, handle, null, lifetime);
		succeed(calls, 'credential', major, minor);
		return {handle: handle[0], lifetime: seconds[0]};
	}

	/** Whose the credential is and how long it lasts; MIT finds both out only now. */
	facts(handle: Pointer): {principal: string; lifetime: number} {
		const {name, lifetime} = this.#inquire(handle);
		try {
			return {principal: name === null ? '' : displayName(this.#calls, name), lifetime};
		} finally {
			if (name !== null) this.#calls.releaseName([0], [name]);
		}
	}

	#inquire(handle: Pointer): {name: Pointer; lifetime: number} {
		const [minor, name, lifetime]: [[number], [Pointer], [number]] = [[0], place(), [0]];
		const major = this.#calls.inquireCredential(minor, handle, name, lifetime, null, null);
		succeed(this.#calls, 'credential', major, minor);
		return {name: name[0], lifetime: lifetime[0]};
	}

	#release(handle: Pointer): void {
		this.#calls.releaseCredential([0], [handle]);
	}

	#withName<Result>(principal: string | undefined, use: (name: Pointer) => Result): Result {
		if (principal === undefined) return use(null);
		const name = importName(this.#calls, principal, oids.user);
		try {
			return use(name);
		} finally {
			this.#calls.releaseName([0], [name]);
		}
	}
}

/** A name that makes a file of no bytes, as mktemp does. */
function isEmptyFile(cache: string): boolean {
	const path = /^FILE:(.*)$/s.exec(cache)?.[1];
	return path !== undefined && statSync(path, {throwIfNoEntry: false})?.size === 0;
}

/** GSS_S_NO_CRED */
const isNoCredential = (major: number): boolean => ((major >>> 16) & 0xff) === 7;
