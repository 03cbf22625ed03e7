/** What stands in the place of the trust stores where the configuration has none: the code of these is then not loaded. */
import type {TrustStores} from './trust-stores.ts';

/** What the rest of gatepass asks the trust stores. */
export type TrustLookup = Pick<TrustStores, keyof TrustStores>;

/** Every server is verified against the system's roots, and of an identity's chain there is nothing to say. */
export const noTrustStores: TrustLookup = {
	isEmpty: true,
	all: [],
	find: () => undefined,
	findForAll: () => ({store: undefined}),
	ready: async () => {},
	judgeIdentity: () => ({outcome: 'unknown'}),
	close() {},
};
