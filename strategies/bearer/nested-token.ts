/** The bearer token that another strategy shows. */
import type {AuthRequest, AuthStrategy} from '../../src/strategy/index.ts';

/** What a strategy shows behind `Bearer` in the first leg of its conversation; `undefined`: it shows something else. */
export async function bearerTokenOf(
	strategy: AuthStrategy,
	{method, url, tenant}: Pick<AuthRequest, 'method' | 'url' | 'tenant'>,
	fresh: boolean,
): Promise<string | undefined> {
	const shown = new Headers();
	const conversation = strategy.authenticate({
		method,
		url: new URL(url),
		headers: {
			names: () => [...shown.keys()],
			get: name => shown.get(name) ?? undefined,
			has: name => shown.has(name),
			set: (name, value) => shown.set(name, value),
			delete: name => shown.delete(name),
		},
		identity: undefined,
		replayable: false,
		fresh,
		tenant,
		connectionOwner: undefined,
		openConnection: async () => undefined,
		body: undefined,
		readBody: async () => undefined,
	});
	await conversation.next();
	await conversation.return();
	return /^Bearer (.+)$/.exec(shown.get('authorization') ?? '')?.[1];
}
