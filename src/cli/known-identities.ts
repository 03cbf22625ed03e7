/** The identities that `status` and `doctor` ask for, and which files those are in. */
import type {Configuration} from '../config/configuration.ts';
import type {JudgeChain} from '../identities/checks.ts';
import type {IdentityStore} from '../identities/identity-store.ts';
import {loadIdentityStore} from '../identities/lazy.ts';
import type {Identities, Identity, IdentitySource, Passphrases} from '../strategy/services.ts';
import {noTrustStores} from '../trust/no-trust-stores.ts';

export class WatchedIdentities implements Identities {
	/** Key files, whether they could be used or not. */
	readonly keys = new Set<string>();
	readonly identities = new Set<Identity>();
	readonly #configuration: Configuration;
	readonly #passphrases: Passphrases | undefined;
	#opening: Promise<IdentityStore> | undefined;
	#store: IdentityStore | undefined;

	constructor(configuration: Configuration, passphrases?: Passphrases) {
		this.#configuration = configuration;
		this.#passphrases = passphrases;
	}

	async load(source: IdentitySource): Promise<Identity> {
		this.#opening ??= this.#open();
		const store = await this.#opening;
		this.keys.add(store.find(source).key);
		const identity = await store.load(source);
		this.identities.add(identity);
		return identity;
	}

	explain(source: IdentitySource): readonly string[] {
		return this.#store?.explain(source) ?? [];
	}

	async #open(): Promise<IdentityStore> {
		const {folder, environment, trust} = this.#configuration;
		const {IdentityStore} = await loadIdentityStore();
		const trustStores =
			trust.length === 0 ? noTrustStores : new (await import('../trust/trust-stores.ts')).TrustStores(trust);
		const judge: JudgeChain = chain => trustStores.judgeIdentity(chain);
		this.#store = new IdentityStore(folder, environment, {passphrases: this.#passphrases, judge});
		return this.#store;
	}
}
