/** Gets credentials from the library: from a credential cache, a key table or a password that the rule names. */
import {type Acquired, factsOf, type LibraryAcquisition, release} from './acquired.ts';
import type {Choice} from './cache-choice.ts';
import {prepareCache} from './fetched-cache.ts';
import {GssFailure} from './gss-failure.ts';
import type {GssCalls} from './gss-library.ts';
import type {CredentialSource} from './gss-messages.ts';
import {HeimdalAcquisition} from './heimdal-acquisition.ts';
import {entriesIn, isSamePrincipal, type KeyEntry, unusualTypesOf} from './keytab-file.ts';
import {MitAcquisition} from './mit-acquisition.ts';
import type {Pointer} from './native.ts';

export class Acquisition {
	readonly #calls: GssCalls;
	readonly #source: CredentialSource;
	readonly #library: LibraryAcquisition;

	constructor(calls: GssCalls, source: CredentialSource) {
		this.#calls = calls;
		this.#source = source;
		const {krb5} = calls;
		this.#library =
			krb5 === undefined ? new MitAcquisition(calls, source) : new HeimdalAcquisition(calls, krb5, source);
	}

	/** @param choice the cache; without one the library looks for the tickets by itself, and says what is missing. */
	fromCache(choice: Pick<Choice, 'cache'> | undefined): Acquired {
		const cache = choice?.cache;
		const acquired = this.#library.fromCache(cache);
		return {...acquired, cache, destroy: () => release(this.#calls, acquired.handle)};
	}

	fromPassword(password: string): Acquired {
		return this.#library.fromPassword(password);
	}

	/** Throws a `KeytabUnusable` where the file is none. */
	fromKeytab(keytab: string): Acquired {
		const entries = entriesIn(keytab);
		const client = this.#clientIn(entries, keytab);
		const {caches, kind} = this.#calls;
		const {credentialCache} = this.#source;
		if (caches !== undefined && credentialCache !== undefined) prepareCache(caches, credentialCache, client);
		try {
			return this.#library.fromKeytab(keytab, client);
		} catch (error) {
			const types = unusualTypesOf(entries, client, kind);
			if (!(error instanceof GssFailure) || types === undefined) throw error;
			const text = `${error.failure.text}; the key table ${keytab} has only unusual keys of ${client}: ${types}`;
			throw new GssFailure({...error.failure, text});
		}
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

	/** Whose the credential is and how long it lasts. */
	facts(handle: Pointer): {principal: string; lifetime: number} {
		return factsOf(this.#calls, handle);
	}
}
