/** The identities that `status` and `doctor` ask for, and which files those are in. */
import type {Configuration} from '../config/configuration.ts';
import type {JudgeChain} from '../identities/checks.ts';
import {IdentityStore} from '../identities/identity-store.ts';
import type {Identities, Identity, IdentitySource, Passphrases} from '../strategy/services.ts';
import {TrustStores} from '../trust/trust-stores.ts';

export class WatchedIdentities implements Identities {
	/** Key files, whether they could be used or not. */
	readonly keys = new Set<string>();
	readonly identities = new Set<Identity>();
	readonly #store: IdentityStore;

	constructor({folder, environment, trust}: Configuration, passphrases?: Passphrases) {
		const trustStores = new TrustStores(trust);
		const judge: JudgeChain = chain => trustStores.judgeIdentity(chain);
		this.#store = new IdentityStore(folder, environment, {passphrases, judge});
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
