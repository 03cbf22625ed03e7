/** Identities that remember which files were asked for, so that their rights and their end can be checked. */
import {discover} from '../identities/discover.ts';
import {IdentityStore} from '../identities/identity-store.ts';
import type {Environment, Identities, Identity, IdentitySource} from '../services.ts';

export class WatchedIdentities implements Identities {
	/** Key files, whether they could be used or not. */
	readonly keys = new Set<string>();
	readonly identities = new Set<Identity>();
	readonly #store: IdentityStore;
	readonly #folder: string;
	readonly #environment: Environment;

	constructor(folder: string, environment: Environment) {
		this.#store = new IdentityStore(folder, environment);
		this.#folder = folder;
		this.#environment = environment;
	}

	async load(source: IdentitySource): Promise<Identity> {
		const {found} = discover(source, this.#folder, this.#environment);
		if (found !== undefined) this.keys.add(found.key);
		const identity = await this.#store.load(source);
		this.identities.add(identity);
		return identity;
	}
}
