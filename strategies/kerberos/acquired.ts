/** A credential of the library, and what both libraries' ways of getting one have in common. */
import {displayName, succeed} from './gss-failure.ts';
import {type GssCalls, oids} from './gss-library.ts';
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

/** How one of the libraries gets credentials, for one rule. */
export interface LibraryAcquisition {
	/** @param cache its name; without one the library looks for the tickets by itself, and says what is missing. */
	fromCache(cache: string | undefined): Omit<Acquired, 'cache' | 'destroy'>;
	fromPassword(password: string): Acquired;
	/** @param client the principal, as the key table has it. */
	fromKeytab(keytab: string, client: string): Acquired;
}

export const initiate = 1;
export const indefinite = 0xffff_ffff;
/** MIT makes no SPNEGO of a credential that was acquired for krb5 alone. */
export const mechanisms = {count: 2, elements: [oids.krb5, oids.spnego]};

/** Whose a credential is and how long it lasts; MIT finds both out only now. */
export function factsOf(calls: GssCalls, handle: Pointer): {principal: string; lifetime: number} {
	const [minor, name, lifetime]: [[number], [Pointer], [number]] = [[0], place(), [0]];
	const major = calls.inquireCredential(minor, handle, name, lifetime, null, null);
	succeed(calls, 'credential', major, minor);
	try {
		return {principal: name[0] === null ? '' : displayName(calls, name[0]), lifetime: lifetime[0]};
	} finally {
		if (name[0] !== null) calls.releaseName([0], [name[0]]);
	}
}

export function release(calls: GssCalls, handle: Pointer): void {
	calls.releaseCredential([0], [handle]);
}
