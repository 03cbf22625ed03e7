/** The bearer token that another strategy shows. */
import type {AuthRequest, AuthStrategy} from '../../src/strategy/index.ts';

type Asked = Pick<AuthRequest, 'method' | 'url' | 'tenant'>;

/** What a strategy shows behind `Bearer` in the first leg of its conversation; `undefined`: it shows something else. */
export async function bearerTokenOf(
	strategy: AuthStrategy,
	asked: Asked,
	fresh: boolean,
): Promise<string | undefined> {
	const request = unsentRequest(asked, fresh);
	const conversation = strategy.authenticate(request);
	await conversation.next();
	await conversation.return();
	return /^Bearer (.+)$/.exec(request.headers.get('authorization') ?? '')?.[1];
}

/** A request that nobody sends: for what a strategy would do with one. */
export function unsentRequest(
	{method, url, tenant}: Asked,
	fresh: boolean,
	shown: Headers = new Headers(),
): AuthRequest {
	return {
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
	};
}
