/**
 * Which cache of a collection holds the tickets for a service, and whose they are: the library's choice where it makes
 * one, and the rule's principal where it names one.
 */
import {readdirSync} from 'node:fs';
import {join} from 'node:path';
import type {CredentialSource} from './gss-messages.ts';
import type {CacheCalls} from './krb5-library.ts';
import {type Pointer, place} from './native.ts';

export interface Choice {
	/** The name of the very cache; `undefined`: there is none of the principal. */
	readonly cache: string | undefined;
	/** With its realm. */
	readonly principal: string;
}

export class CacheChoice {
	readonly #calls: CacheCalls;
	readonly #source: CredentialSource;

	constructor(calls: CacheCalls, source: CredentialSource) {
		this.#calls = calls;
		this.#source = source;
	}

	/**
	 * `undefined`: there is no ticket at all, as far as this can tell.
	 *
	 * @param server the service's principal; `undefined`: no particular one.
	 */
	choose(server: Pointer): Choice | undefined {
		const {context, setDefaultCache} = this.#calls;
		const {principal, credentialCache} = this.#source;
		// Also where the rule names none: the environment and the configuration may have changed.
		if (setDefaultCache(context, credentialCache ?? null) !== 0) return undefined;
		if (principal !== undefined) return this.#ofPrincipal(principal);
		return this.#selected(server) ?? this.#primary() ?? this.#firstOfDaemon();
	}

	#ofPrincipal(name: string): Choice | undefined {
		const {context, parseName, freePrincipal, nameOf} = this.#calls;
		const wanted = place();
		if (parseName(context, name, wanted) !== 0) return undefined;
		const principal = nameOf(wanted[0]);
		freePrincipal(context, wanted[0]);
		const primary = this.#primary();
		if (primary?.principal === principal) return primary;
		return this.#others().find(other => other.principal === principal) ?? {cache: undefined, principal};
	}

	#selected(server: Pointer): Choice | undefined {
		const {context, selectCache, closeCache, freePrincipal, nameOf, nameOfCache} = this.#calls;
		if (selectCache === undefined || server === null) return undefined;
		const [cache, client] = [place(), place()];
		selectCache(context, server, cache, client);
		try {
			if (client[0] === null) return undefined;
			const name = cache[0] === null ? undefined : nameOfCache(cache[0]);
			// A principal without a cache here may have a client key table, which goes with the default cache only.
			if (name === undefined && this.#source.credentialCache !== undefined) return undefined;
			return {cache: name, principal: nameOf(client[0])};
		} finally {
			if (cache[0] !== null) closeCache(context, cache[0]);
			if (client[0] !== null) freePrincipal(context, client[0]);
		}
	}

	#primary(): Choice | undefined {
		const {context, defaultCache} = this.#calls;
		const cache = place();
		return defaultCache(context, cache) === 0 ? this.#describe(cache[0]) : undefined;
	}

	/** Heimdal knows a primary cache by its own name only: of 'KCM:', as MIT writes the collection, it finds none. */
	#firstOfDaemon(): Choice | undefined {
		const {selectCache, defaultCacheName} = this.#calls;
		return selectCache === undefined && defaultCacheName() === 'KCM:' ? this.#others()[0] : undefined;
	}

	/** All that the collection has. */
	#others(): Choice[] {
		const {context, iteration, defaultCacheName, selectCache} = this.#calls;
		const name = defaultCacheName();
		const isHeimdal = selectCache === undefined;
		if (isHeimdal && name.startsWith('DIR:')) return this.#inFolder(name.slice('DIR:'.length));
		const [cursor, found]: [[Pointer], Choice[]] = [place(), []];
		if (iteration.begin(name.replace(/:.*$/s, ''), cursor) !== 0) return [];
		try {
			for (;;) {
				const cache = place();
				if (iteration.next(context, cursor[0], cache) !== 0 || cache[0] === null) return found;
				const choice = this.#describe(cache[0]);
				if (choice !== undefined) found.push(choice);
			}
		} finally {
			iteration.end(cursor);
		}
	}

	/** By itself Heimdal finds the primary cache alone. */
	#inFolder(folder: string): Choice[] {
		// One cache of a folder is no collection.
		if (folder.startsWith(':')) return [];
		const {context, resolveCache} = this.#calls;
		return filesIn(folder).flatMap(file => {
			const cache = place();
			if (resolveCache(context, `DIR::${join(folder, file)}`, cache) !== 0) return [];
			return this.#describe(cache[0]) ?? [];
		});
	}

	/** Closes the cache. */
	#describe(cache: Pointer): Choice | undefined {
		const {context, cachePrincipal, closeCache, freePrincipal, nameOf, nameOfCache} = this.#calls;
		const principal = place();
		try {
			if (cachePrincipal(context, cache, principal) !== 0) return undefined;
			return {cache: nameOfCache(cache), principal: nameOf(principal[0])};
		} finally {
			if (principal[0] !== null) freePrincipal(context, principal[0]);
			closeCache(context, cache);
		}
	}
}

/** Both libraries name them like that. */
function filesIn(folder: string): string[] {
	try {
		return readdirSync(folder)
			.filter(name => name.startsWith('tkt'))
			.sort();
	} catch {
		return [];
	}
}
