/**
 * In a process of its own: an authorization server and an API that takes its tokens. They listen apart, so that the one
 * can go down while the other stays up.
 */
import {createServer, type Server, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import {answerParent, childArgument, tellParent} from './child.ts';
import {type QuickClock, quickenClock} from './quick-clock.ts';

export interface TokenServerSettings {
	/** Seconds that a token lives, by the server's clock. */
	readonly lifetime: number;
	/** Default: the machine's. */
	readonly clock?: QuickClock;
}

export interface TokenServerAddresses {
	readonly issuer: string;
	readonly tokenEndpoint: string;
	readonly api: string;
}

/** `count`: tell what was asked since the last count; `down`, `up`: of the authorization server alone. */
export type TokenServerOrder = 'count' | 'down' | 'up';

export interface TokenServerCounts {
	readonly tokenRequests: number;
	/** Requests to the API with a token that was valid, and without one. */
	readonly served: number;
	readonly refused: number;
}

const {lifetime, clock} = childArgument<TokenServerSettings>();
if (clock !== undefined) quickenClock(clock);

/** When each token that was issued ends, in milliseconds since 1970. */
const ends = new Map<string, number>();
let counts = {tokenRequests: 0, served: 0, refused: 0};

const runs = {runs: [1, 2, 3], status: 'ok'};

const authorizationServer = createServer((request, response) => {
	request.resume();
	counts.tokenRequests += 1;
	const token = `bench-token-${ends.size + 1}`;
	ends.set(token, Date.now() + lifetime * 1000);
	answer(response, {access_token: token, token_type: 'Bearer', expires_in: lifetime});
});

const api = createServer((request, response) => {
	request.resume();
	const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
	if (Date.now() < (ends.get(token) ?? 0)) {
		counts.served += 1;
		answer(response, runs);
	} else {
		counts.refused += 1;
		response.writeHead(401, {'www-authenticate': 'Bearer error="invalid_token"'}).end();
	}
});

function answer(response: ServerResponse, body: unknown): void {
	const text = JSON.stringify(body);
	response.writeHead(200, {
		'content-type': 'application/json',
		'content-length': Buffer.byteLength(text),
		// Node would give the machine's time.
		...(clock !== undefined && {date: new Date(Date.now()).toUTCString()}),
	});
	response.end(text);
}

async function listen(server: Server, port: number): Promise<string> {
	await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve));
	return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const issuer = await listen(authorizationServer, 0);
const addresses: TokenServerAddresses = {
	issuer,
	tokenEndpoint: `${issuer}/token`,
	api: `${await listen(api, 0)}/runs`,
};

answerParent(async (order: TokenServerOrder): Promise<TokenServerCounts> => {
	if (order === 'down') {
		const closed = new Promise(resolve => authorizationServer.close(resolve));
		authorizationServer.closeAllConnections();
		await closed;
	}
	if (order === 'up') await listen(authorizationServer, Number(new URL(issuer).port));
	const counted = counts;
	if (order === 'count') counts = {tokenRequests: 0, served: 0, refused: 0};
	return counted;
});
tellParent(addresses);
