/** What another strategy shows: its bearer token, its certificate. */
import type {AuthRequest, AuthStrategy, Identity} from '../../src/strategy/index.ts';

type Asked = Pick<AuthRequest, 'method' | 'url' | 'tenant'>;

/** What a strategy shows behind `Bearer` in the first leg of its conversation; `undefined`: it shows something else. */
export async function bearerTokenOf(
	strategy: AuthStrategy,
	asked: Asked,
	fresh: boolean,
): Promise<string | undefined> {
	const {authorization = ''} = await firstShown(strategy, unsentRequest(asked, fresh));
	return /^Bearer (.+)$/.exec(authorization)?.[1];
}

/** What a strategy shows in the first leg of a conversation. All of it is secret. */
export interface FirstShown {
	readonly identity: Identity | undefined;
	readonly authorization: string | undefined;
}

/** What the strategy would show, without a request. */
export async function firstShown(strategy: AuthStrategy, request: AuthRequest): Promise<FirstShown> {
	if (strategy.requiresRequestBody === true) await request.readBody();
	const conversation = strategy.authenticate(request);
	await conversation.next();
	await conversation.return();
	return {identity: request.identity, authorization: request.headers.get('authorization')};
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
