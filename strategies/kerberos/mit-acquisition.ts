/** Credentials of MIT's library, which says of all that it takes where it is to be found (`gss_acquire_cred_from`). */
import {
	type Acquired,
	factsOf,
	indefinite,
	initiate,
	type LibraryAcquisition,
	mechanisms,
	release,
} from './acquired.ts';
import {importName, succeed} from './gss-failure.ts';
import {bufferOf, type GssCalls, oids} from './gss-library.ts';
import type {CredentialSource} from './gss-messages.ts';
import {memoryCache} from './memory-cache.ts';
import {type Pointer, place} from './native.ts';

export class MitAcquisition implements LibraryAcquisition {
	readonly #calls: GssCalls;
	readonly #source: CredentialSource;

	constructor(calls: GssCalls, source: CredentialSource) {
		this.#calls = calls;
		this.#source = source;
	}

	fromCache(cache: string | undefined): {handle: Pointer; lifetime: number} {
		if (cache !== undefined) return this.#acquireFrom(null, {ccache: cache});
		const {principal, credentialCache} = this.#source;
		return this.#withName(principal, name =>
			this.#acquireFrom(name, credentialCache === undefined ? {} : {ccache: credentialCache}),
		);
	}

	fromPassword(password: string): Acquired {
		const calls = this.#calls;
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

	fromKeytab(keytab: string, client: string): Acquired {
		return this.#withName(client, name => {
			const ccache = this.#source.credentialCache ?? memoryCache();
			const {handle} = this.#acquireFrom(name, {client_keytab: `FILE:${keytab}`, ccache});
			return this.#own(handle);
		});
	}

	/** MIT gets the ticket when it is first asked for something that depends on it, such as its lifetime. */
	#own(handle: Pointer): Acquired {
		const destroy = (): void => release(this.#calls, handle);
		try {
			return {handle, cache: undefined, lifetime: factsOf(this.#calls, handle).lifetime, destroy};
		} catch (error) {
			destroy();
			throw error;
		}
	}

	/** Everything that the library would take from the environment is given. */
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
