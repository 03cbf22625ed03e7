/**
 * A credential that several contexts use. Each needs it until it ends, as the library is given it with every step, so
 * it is let go of with the last of them, and not when another one takes its place.
 */
import type {Acquired} from './acquired.ts';
import type {Pointer} from './native.ts';

/** A credential for one context. */
export interface Credential {
	readonly handle: Pointer;
	/** Whose; `undefined`: known only once there is a context. */
	readonly principal: string | undefined;
	/** Whether its tickets are a copy of those in a file. */
	readonly isCopy: boolean;
	/** The name of the cache with its tickets, where it is known. */
	readonly cache: string | undefined;
	/** Once. */
	release(): void;
}

export class SharedCredential {
	/** When it ends: milliseconds since 1970. */
	readonly endsAt: number;
	readonly principal: string | undefined;
	readonly #acquired: Acquired;
	readonly #isCopy: boolean;
	#uses = 0;
	#isRetired = false;

	constructor(acquired: Acquired, {principal, isCopy = false}: {principal: string; isCopy?: boolean}) {
		this.#acquired = acquired;
		this.principal = principal;
		this.#isCopy = isCopy;
		this.endsAt = Date.now() + acquired.lifetime * 1000;
	}

	use(): Credential {
		this.#uses += 1;
		return {
			handle: this.#acquired.handle,
			principal: this.principal,
			cache: this.#acquired.cache,
			isCopy: this.#isCopy,
			release: () => {
				this.#uses -= 1;
				this.#destroyUnused();
			},
		};
	}

	/** Nobody else is to use it. */
	retire(): void {
		this.#isRetired = true;
		this.#destroyUnused();
	}

	#destroyUnused(): void {
		if (this.#isRetired && this.#uses === 0) this.#acquired.destroy();
	}
}
