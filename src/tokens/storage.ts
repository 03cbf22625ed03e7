/** Where the token cache keeps its entries: what a store has to be able to do. */

/**
 * Texts by name, each for a time. Many processes may share a storage.
 *
 * Any call may reject when the store is down, and may take as long as the store takes: the circuit breaker bounds and
 * survives both.
 */
export interface Storage {
	/** The text of an entry, unless it has expired. */
	get(name: string): Promise<string | undefined>;
	/** Keep a text for `lifetime` milliseconds. */
	set(name: string, text: string, lifetime: number): Promise<unknown>;
	delete(name: string): Promise<unknown>;
	/** Delete the entry only if it is still this text: where the store can, in one step that nothing comes between. */
	compareAndDelete(name: string, text: string): Promise<unknown>;
	/**
	 * Keep all others out for `duration` milliseconds; `undefined`: somebody else does already. Whoever has the lock
	 * gets it again: the answer to the first call may have been lost. Absent where the store cannot.
	 *
	 * A lock ends by itself after its time, so a holder that dies or is stopped keeps nobody waiting for long.
	 */
	lock?(name: string, holder: string, duration: number): Promise<Unlock | undefined>;
	/** Let go of the store. Absent where it is a caller's to close. */
	disconnect?(): Promise<unknown>;
}

/** Gives a lock back, if its holder still has it. */
export type Unlock = () => Promise<unknown>;

/** How to come by a storage. Nothing is loaded, opened or connected before. */
export interface StorageOpener {
	/** Loads what `open` needs. It takes as long as this machine takes, which says nothing about the store. */
	load?(): Promise<unknown>;
	/** The signal ends when the storage is no longer wanted, also before it is open. */
	open(signal: AbortSignal): Promise<Storage>;
}
