/** The identities of a gatepass, whose code is loaded when a strategy asks for one: many rules need no client certificate. */
import type {Identities, Identity, IdentitySource} from '../strategy/services.ts';
import type {IdentityStore} from './identity-store.ts';

type Module = typeof import('./identity-store.ts');

let loaded: Module | undefined;

/** For what is asked in one step: strategies that say how a certificate was chosen have this loaded before. */
export async function loadIdentityStore(): Promise<Module> {
	loaded ??= await import('./identity-store.ts');
	return loaded;
}

/** @param make the store, once. @param retire what becomes of the connections of an identity that is released. */
export function lazyIdentities(
	make: (module: Module) => IdentityStore,
	retire: (identity: Identity) => void,
): Required<Identities> {
	let store: IdentityStore | undefined;
	const current = (): IdentityStore | undefined => {
		if (loaded !== undefined) store ??= make(loaded);
		return store;
	};
	const open = async (): Promise<IdentityStore> => {
		await loadIdentityStore();
		return current() as IdentityStore;
	};
	return {
		load: (source: IdentitySource) => current()?.load(source) ?? open().then(one => one.load(source)),
		atHand: source => current()?.atHand(source),
		adopt: async text => (await open()).adopt(text),
		explain: source => current()?.explain(source) ?? [],
		release: retire,
	};
}
