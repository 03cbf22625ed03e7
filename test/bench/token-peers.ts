/** gatepass and its peers, each used as its own documentation says, for the same: a request with a client's token. */
import {Agent} from 'node:http';
import {createGatepass} from 'gatepass';
import {UserRefreshClient} from 'google-auth-library';
import got from 'got';
import * as openid from 'openid-client';
import {ClientCredentials} from 'simple-oauth2';
import type {TokenServerAddresses} from './token-server.ts';

export type TokenPeer = 'gatepass' | 'openid-client' | 'simple-oauth2' | 'google-auth-library';

export interface PeerSettings {
	readonly addresses: TokenServerAddresses;
	/** Connections to the API at once. */
	readonly connections: number;
	/** Where gatepass keeps its tokens. Default: in memory. */
	readonly cache?: {readonly url: string; readonly encryptionKey: string};
}

/** Ready to use, without a token as yet. */
export interface OpenPeer {
	/** One request to the API: resolves with its answer. */
	call(): Promise<unknown>;
	close(): Promise<void>;
}

const clientId = 'bench';
const clientSecret = 'bench-secret';
/** Seconds: nobody uses a token in its last moments. */
const leeway = 10;

export function openPeer(peer: TokenPeer, settings: PeerSettings): Promise<OpenPeer> {
	const agent = new Agent({keepAlive: true, maxSockets: settings.connections});
	return openers[peer](settings, agent);
}

const openers: Readonly<Record<TokenPeer, (settings: PeerSettings, agent: Agent) => Promise<OpenPeer>>> = {
	async gatepass({addresses: {api, tokenEndpoint}, cache = {url: 'memory:'}}, agent) {
		const gatepass = await createGatepass({
			got: got.extend({agent: {http: agent}}),
			config: {
				cache,
				hostRules: [
					{
						match: api,
						strategy: 'sso-client-credentials',
						options: {clientId, clientSecret, tokenEndpoint},
					},
				],
			},
		});
		return {
			call: () => gatepass.got(api).json(),
			async close() {
				await gatepass.close();
				agent.destroy();
			},
		};
	},

	/** It gets tokens and keeps none: that is left to its user. */
	async 'openid-client'({addresses: {issuer, tokenEndpoint, api}}, agent) {
		const server = {issuer, token_endpoint: tokenEndpoint};
		const configuration = new openid.Configuration(server, clientId, clientSecret);
		openid.allowInsecureRequests(configuration);
		let token: Awaited<ReturnType<typeof openid.clientCredentialsGrant>> | undefined;
		const currentToken = async (): Promise<string> => {
			if (token === undefined || (token.expiresIn() ?? 0) < leeway) {
				token = await openid.clientCredentialsGrant(configuration);
			}
			return token.access_token;
		};
		return byHand(api, agent, currentToken);
	},

	/** It says whether a token has expired; keeping it is left to its user, here too. */
	async 'simple-oauth2'({addresses: {issuer, api}}, agent) {
		const credentials = new ClientCredentials({
			client: {id: clientId, secret: clientSecret},
			auth: {tokenHost: issuer, tokenPath: '/token'},
		});
		let token: Awaited<ReturnType<typeof credentials.getToken>> | undefined;
		const currentToken = async (): Promise<string> => {
			if (token === undefined || token.expired(leeway)) token = await credentials.getToken({});
			return token.token.access_token;
		};
		return byHand(api, agent, currentToken);
	},

	/**
	 * It knows a client's own credentials at Google's token endpoint alone. This grant goes to any, and is the closest:
	 * a client with its secret, a token that the library keeps and renews, and requests that it makes itself.
	 */
	async 'google-auth-library'({addresses: {api, tokenEndpoint}}, agent) {
		const client = new UserRefreshClient({
			clientId,
			clientSecret,
			refreshToken: 'bench-refresh-token',
			endpoints: {oauth2TokenUrl: tokenEndpoint},
			transporterOptions: {agent},
		});
		return {
			call: async () => (await client.request({url: api})).data,
			close: async () => agent.destroy(),
		};
	},
};

/** The token written into each request: of the ways that got offers, the one that costs it least. */
function byHand(api: string, agent: Agent, currentToken: () => Promise<string>): OpenPeer {
	const client = got.extend({agent: {http: agent}});
	return {
		call: async () => client(api, {headers: {authorization: `Bearer ${await currentToken()}`}}).json(),
		close: async () => agent.destroy(),
	};
}
