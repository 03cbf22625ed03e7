/** A small authorization server and API in one, for users' own tests. Not for checking an OAuth implementation. */
import {randomBytes} from 'node:crypto';
import {answerJson, type RecordedRequest, startServer, type TestServer} from './server.ts';

/** How the server behaves. */
export interface TokenServerSettings {
	/** The client it knows. Default: any. */
	readonly clientId?: string;
	readonly clientSecret?: string;
	/** Milliseconds that a token lives. Default: an hour. */
	readonly lifetime?: number;
}

/** A token endpoint, and an API that wants its tokens. */
export interface TokenServer extends TestServer {
	/** Where tokens are fetched: a POST by the client credentials grant. */
	readonly tokenEndpoint: string;
	/** How many tokens were issued. */
	readonly issued: number;
	/** Refuse every token that was issued so far. */
	revokeAll(): void;
}

/**
 * Start a server that answers every POST with a form as a token endpoint does (RFC 6749 section 4.4), and every
 * other request with 401 unless it shows a token that was issued here.
 */
export async function startTokenServer(settings: TokenServerSettings = {}): Promise<TokenServer> {
	const {lifetime = 3_600_000} = settings;
	const valid = new Map<string, number>();
	let issued = 0;
	const server = await startServer((request, response) => {
		if (isTokenRequest(request)) {
			if (!knowsClient(request, settings)) {
				answerJson(
					response,
					401,
					{error: 'invalid_client'},
					{'www-authenticate': 'Basic realm="token endpoint"'},
				);
				return;
			}
			const token = randomBytes(16).toString('base64url');
			issued += 1;
			valid.set(token, Date.now() + lifetime);
			answerJson(response, 200, {access_token: token, token_type: 'Bearer', expires_in: lifetime / 1000});
			return;
		}
		const shown = /^Bearer (\S+)$/.exec(String(request.headers.authorization))?.[1] ?? '';
		if ((valid.get(shown) ?? 0) > Date.now())
			answerJson(response, 200, {path: request.url, authorized: true});
		else
			answerJson(
				response,
				401,
				{error: 'invalid_token'},
				{'www-authenticate': 'Bearer error="invalid_token"'},
			);
	});
	return {
		url: server.url,
		requests: server.requests,
		close: server.close,
		tokenEndpoint: `${server.url}/token`,
		get issued() {
			return issued;
		},
		revokeAll: () => valid.clear(),
	};
}

function isTokenRequest({method, body}: RecordedRequest): boolean {
	return method === 'POST' && new URLSearchParams(body).has('grant_type');
}

/** RFC 6749 section 2.3.1: in the header, form-urlencoded, or in the body. */
function knowsClient(
	{headers, body}: RecordedRequest,
	{clientId, clientSecret}: TokenServerSettings,
): boolean {
	const encoded = /^Basic (\S+)$/.exec(String(headers.authorization))?.[1];
	const form = new URLSearchParams(body);
	const [id, secret] =
		encoded === undefined
			? [form.get('client_id'), form.get('client_secret')]
			: Buffer.from(encoded, 'base64')
					.toString()
					.split(':')
					.map(part => decodeURIComponent(part.replaceAll('+', ' ')));
	return (
		(clientId === undefined || id === clientId) && (clientSecret === undefined || secret === clientSecret)
	);
}
