/** A request of gatepass's own that another strategy authenticates. */
import type {
	AuthRequest,
	AuthResponse,
	AuthStrategy,
	HttpClient,
	Identity,
} from '../../src/strategy/index.ts';
import {unsentRequest} from '../bearer/nested-token.ts';

/** More legs than any conversation has (a hop's own limit is the same). */
const mostLegs = 10;

export interface NestedRequest {
	readonly url: URL;
	readonly method: string;
	/** By name as it is sent; the strategy adds to them. */
	readonly headers: Readonly<Record<string, string>>;
	readonly body: string;
	readonly tenant: string | undefined;
}

/** What the strategy shows at first. All of it is secret. */
export interface FirstShown {
	readonly identity: Identity | undefined;
	readonly authorization: string | undefined;
}

/** What the strategy would show, without a request. */
export async function firstShown(strategy: AuthStrategy, request: NestedRequest): Promise<FirstShown> {
	const {asked, headers} = prepare(request, false);
	const conversation = strategy.authenticate(asked);
	await conversation.next();
	await conversation.return();
	return {identity: asked.identity, authorization: headers.get('authorization') ?? undefined};
}

/** The answer that the strategy accepts, and what was shown for it. */
export async function sendAuthenticated(
	strategy: AuthStrategy,
	http: HttpClient,
	request: NestedRequest,
	signal: AbortSignal,
): Promise<{readonly response: Response; readonly secrets: readonly string[]}> {
	const {asked, headers} = prepare(request, true);
	const conversation = strategy.authenticate(asked);
	const secrets: string[] = [];
	const names = Object.keys(request.headers).map(name => name.toLowerCase());
	const isWritten = (name: string): boolean => names.includes(name);
	try {
		await conversation.next();
		for (let legs = 1; ; legs++) {
			const {identity} = asked;
			const added = [...headers].filter(([name]) => !isWritten(name));
			secrets.push(...added.map(([, value]) => value.replace(/^\S+ /, '')));
			const response = await http.fetch(asked.url, {
				method: request.method,
				headers: {...request.headers, ...Object.fromEntries(added)},
				body: request.body,
				signal,
				...(identity !== undefined && {identity}),
			});
			const step = await conversation.next(seenBy(response));
			if (step.done || legs === mostLegs) return {response, secrets};
			await response.body?.cancel();
		}
	} finally {
		await conversation.return();
	}
}

function prepare(request: NestedRequest, isSent: boolean): {asked: AuthRequest; headers: Headers} {
	const headers = new Headers(request.headers);
	const body = Buffer.from(request.body);
	const asked: AuthRequest = {
		...unsentRequest(request, false, headers),
		replayable: isSent,
		body,
		readBody: async () => body,
	};
	return {asked, headers};
}

function seenBy({status, headers}: Response): AuthResponse {
	return {status, headers: Object.fromEntries(headers), withhold: () => {}};
}
