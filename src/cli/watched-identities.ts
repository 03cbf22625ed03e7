import {IdentityStore} from '../identities/identity-store.ts';
import type {Environment, Identities, Identity, IdentitySource, Passphrases} from '../services.ts';

export class WatchedIdentities implements Identities {
	/** Key files, whether they could be used or not. */
	readonly keys = new Set<string>();
	readonly identities = new Set<Identity>();
	readonly #store: IdentityStore;

	constructor(folder: string, environment: Environment, passphrases?: Passphrases) {
		this.#store = new IdentityStore(folder, environment, {passphrases});
	}

	async load(source: IdentitySource): Promise<Identity> {
		this.keys.add(this.#store.find(source).key);
		const identity = await this.#store.load(source);
		this.identities.add(identity);
		return identity;
	}

	explain(source: IdentitySource): readonly string[] {
		return this.#store.explain(source);
	}
}
