/**
 * A copy in memory of the file with a rule's tickets. To read them from the file for each request takes the libraries
 * two to ten times as long as all the rest.
 *
 * The file stays what counts: a look at its state goes before each use, and a ticket that is not in the copy is
 * fetched with the file itself, so that it is there for other programs too, as always.
 */
import {statSync} from 'node:fs';
import type {Acquired} from './acquired.ts';
import {hasClockOffset} from './cache-file.ts';
import type {CacheCalls} from './krb5-library.ts';
import {memoryCache} from './memory-cache.ts';
import {place} from './native.ts';
import {type Credential, SharedCredential} from './shared-credential.ts';

/** Milliseconds: a file that was written just now may be written again without its time telling. */
const settlingTime = 100;
/** Milliseconds before the end of a ticket from which on the file is asked: somebody will renew it. */
const lastMoments = 60_000;

interface Copy {
	readonly version: string;
	readonly credential: SharedCredential;
	/** The services whose tickets are in it. */
	readonly services: Set<string>;
}

export class CacheCopy {
	readonly #calls: CacheCalls;
	/** `FILE:` and a path. */
	readonly name: string;
	readonly #acquire: (cache: string) => Acquired;
	#copy: Copy | undefined;

	/** @param acquire gets a credential from a cache by its name. */
	constructor(calls: CacheCalls, name: string, acquire: (cache: string) => Acquired) {
		this.#calls = calls;
		this.name = name;
		this.#acquire = acquire;
	}

	/** `undefined`: the file itself has to be asked. */
	use(service: string): Credential | undefined {
		const copy = this.#copy;
		if (copy === undefined) return undefined;
		if (copy.version === this.#versionOfFile() && Date.now() < copy.credential.endsAt - lastMoments) {
			return copy.services.has(service) ? copy.credential.use() : undefined;
		}
		this.drop();
		return undefined;
	}

	/** Whose tickets are in the file; `undefined`: it has to be asked. */
	get principal(): string | undefined {
		const copy = this.#copy;
		return copy?.version === this.#versionOfFile() ? copy?.credential.principal : undefined;
	}

	/** A context was begun with the file itself, so the service's ticket is in there. */
	add(service: string, principal: string): void {
		const version = this.#versionOfFile();
		if (version === undefined) return;
		if (this.#copy?.version === version) {
			this.#copy.services.add(service);
			return;
		}
		this.drop();
		try {
			// The libraries keep by how much the machine's clock is off with the file, and not in memory.
			if (hasClockOffset(this.#path)) return;
			const credential = new SharedCredential(this.#copyFile(), {principal, isCopy: true});
			this.#copy = {version, credential, services: new Set([service])};
		} catch {
			// The file was written or taken away just now, and will be asked again.
		}
	}

	drop(): void {
		this.#copy?.credential.retire();
		this.#copy = undefined;
	}

	get #path(): string {
		return this.name.slice('FILE:'.length);
	}

	/** `undefined`: the file is not there, or was written too short a time ago to tell. */
	#versionOfFile(): string | undefined {
		const facts = statSync(this.#path, {throwIfNoEntry: false});
		if (facts === undefined || !facts.isFile() || Date.now() - facts.mtimeMs < settlingTime) return undefined;
		return `${facts.dev} ${facts.ino} ${facts.size} ${facts.mtimeMs}`;
	}

	#copyFile(): Acquired {
		const {context, resolveCache, closeCache, destroyCache} = this.#calls;
		const [file, copy] = [place(), place()];
		const name = memoryCache();
		try {
			check(resolveCache(context, this.name, file));
			check(resolveCache(context, name, copy));
			this.#copyTickets(file[0], copy[0]);
			const acquired = this.#acquire(name);
			return {
				...acquired,
				destroy() {
					acquired.destroy();
					destroyCache(context, copy[0]);
				},
			};
		} catch (error) {
			if (copy[0] !== null) destroyCache(context, copy[0]);
			throw error;
		} finally {
			if (file[0] !== null) closeCache(context, file[0]);
		}
	}

	#copyTickets(from: bigint | null, to: bigint | null): void {
		const {context, cachePrincipal, initializeCache, copyCache, freePrincipal} = this.#calls;
		const principal = place();
		check(cachePrincipal(context, from, principal));
		try {
			check(initializeCache(context, to, principal[0]));
			check(copyCache(context, from, to));
		} finally {
			freePrincipal(context, principal[0]);
		}
	}
}

function check(code: number): void {
	if (code !== 0) throw new Error(`The credential cache cannot be copied (${code})`);
}
