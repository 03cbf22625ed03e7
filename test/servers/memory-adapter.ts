/** What oidc-provider stores, in memory. Its own does the same, but prints a warning to every developer. */
import type {Adapter, AdapterPayload} from 'oidc-provider';

/** Makes the adapter of each model; all that one provider has stored is gone with it. */
export function memoryAdapter(): (model: string) => Adapter {
	const stored = new Map<string, AdapterPayload>();
	return model => {
		const keyOf = (id: string): string => `${model}:${id}`;
		const findBy = async (field: 'uid' | 'userCode', value: string): Promise<AdapterPayload | undefined> =>
			[...stored.entries()].find(
				([key, payload]) => key.startsWith(`${model}:`) && payload[field] === value,
			)?.[1];
		return {
			async upsert(id, payload, expiresIn) {
				const expiry = expiresIn === undefined ? {} : {exp: Math.floor(Date.now() / 1000) + expiresIn};
				stored.set(keyOf(id), {...expiry, ...payload});
			},
			async find(id) {
				return stored.get(keyOf(id));
			},
			findByUid: uid => findBy('uid', uid),
			findByUserCode: userCode => findBy('userCode', userCode),
			async consume(id) {
				const payload = stored.get(keyOf(id));
				if (payload !== undefined) payload.consumed = Math.floor(Date.now() / 1000);
			},
			async destroy(id) {
				stored.delete(keyOf(id));
			},
			async revokeByGrantId(grantId) {
				for (const [key, payload] of stored) if (payload.grantId === grantId) stored.delete(key);
			},
		};
	};
}
