/** A storage without the circuit breaker: what fails there, fails here. */
import {type FindTrust, openStorage, type StorageSource} from '../../src/tokens/open-storage.ts';
import type {StorageOpener} from '../../src/tokens/storage.ts';
import {StorageConnection} from '../../src/tokens/storage-connection.ts';

/** Opens a source that is not `memory:`. */
export function openerOf(source: StorageSource, trust?: FindTrust): StorageOpener {
	const opener = openStorage(source, trust);
	if (opener === undefined) throw new Error('There is no storage behind memory:');
	return opener;
}

export class RawStore {
	readonly #connection: StorageConnection;

	constructor(opener: StorageOpener, patience?: number) {
		this.#connection = new StorageConnection(opener, patience);
	}

	get(name: string): Promise<string | undefined> {
		return this.#connection.use(storage => storage.get(name));
	}

	async set(name: string, text: string, lifetime: number): Promise<void> {
		await this.#connection.use(storage => storage.set(name, text, lifetime));
	}

	async delete(name: string): Promise<void> {
		await this.#connection.use(storage => storage.delete(name));
	}

	async compareAndDelete(name: string, text: string): Promise<void> {
		await this.#connection.use(storage => storage.compareAndDelete(name, text));
	}

	/** Whether the lock is had now; `undefined`: the storage has no locks. */
	acquire(name: string, holder: string, duration: number): Promise<boolean | undefined> {
		return this.#connection.use(async storage =>
			storage.lock === undefined ? undefined : (await storage.lock(name, holder, duration)) !== undefined,
		);
	}

	/** As its holder gives it back. */
	release(name: string, holder: string): Promise<void> {
		return this.compareAndDelete(name, holder);
	}

	close(): Promise<void> {
		return this.#connection.close();
	}
}
