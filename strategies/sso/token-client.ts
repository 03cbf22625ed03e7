/** Talks to an authorization server for one rule: token requests, revocation, introspection. The protocol is oauth4webapi's. */
import * as oauth from 'oauth4webapi';
import {TokenRequestError} from '../../src/errors.ts';
import type {Environment, HttpClient, Identities, Identity, RuleInfo, Token} from '../../src/strategy.ts';
import {isBearerToken} from '../bearer/jwt.ts';
import {findAuthorizationServer} from './authorization-server.ts';
import {type ClientIdentity, findClient} from './client-authentication.ts';
import {describeFailure, type Exchange, refusal, withoutChallenge} from './describe-failure.ts';
import type {SsoOptions} from './options.ts';

/** A token that claims to live longer than this, in seconds, comes from a broken server. */
const longestLifetime = 10 * 365 * 86_400;

/** A difference between the clocks, in milliseconds, that is worth a second try: assertions and proofs carry a time. */
const tellingSkew = 5000;

export interface TokenClientServices {
	readonly http: HttpClient;
	readonly identities: Identities;
	readonly environment: Environment;
	readonly rule: RuleInfo;
}

/** What is found out once, before the first token request. */
export interface Preparation {
	readonly client: ClientIdentity;
	/** The client certificate, where the options name one. */
	readonly identity: Identity | undefined;
	/** The key that tokens are bound to, where the options say so. */
	readonly dpop: {readonly handle: oauth.DPoPHandle; readonly thumbprint: string} | undefined;
}

export class TokenClient {
	readonly #options: SsoOptions;
	readonly #services: TokenClientServices;
	#preparation: Promise<Preparation> | undefined;
	#server: Promise<oauth.AuthorizationServer> | undefined;
	/** Milliseconds that the server's clock is ahead of ours, as its last answer said. */
	#skew = 0;

	constructor(options: SsoOptions, services: TokenClientServices) {
		this.#options = options;
		this.#services = services;
	}

	/** @throws {CredentialUnavailableError} where the client's name, secret, key or certificate is missing. */
	prepare(): Promise<Preparation> {
		this.#preparation ??= this.#makePreparation();
		// A failure is not kept: the next request sees whether it was put right.
		this.#preparation.catch(() => {
			this.#preparation = undefined;
		});
		return this.#preparation;
	}

	/**
	 * Fetch a token by a grant.
	 *
	 * @throws {TokenRequestError} for any answer that is not one.
	 */
	async request(grantType: string, parameters: URLSearchParams, signal: AbortSignal): Promise<Token> {
		const skewBefore = this.#skew;
		try {
			return await this.#request(grantType, parameters, signal);
		} catch (error) {
			if (!this.#isWorthAnotherTry(error, skewBefore)) throw error;
			return this.#request(grantType, parameters, signal);
		}
	}

	/** Have the server forget a token (RFC 7009), where it says how. */
	async revoke(token: string, signal: AbortSignal): Promise<void> {
		const {server, client, preparation} = await this.#connect(signal);
		if (server.revocation_endpoint === undefined) return;
		const response = await oauth.revocationRequest(
			server,
			client,
			preparation.client.authenticate,
			token,
			this.#requestOptions(preparation, signal),
		);
		await oauth.processRevocationResponse(response);
	}

	/** Whether the server takes the token for valid (RFC 7662); `undefined` where it does not say. */
	async introspect(token: string, signal: AbortSignal): Promise<boolean | undefined> {
		const {server, client, preparation} = await this.#connect(signal);
		if (server.introspection_endpoint === undefined) return undefined;
		const response = await oauth.introspectionRequest(
			server,
			client,
			preparation.client.authenticate,
			token,
			this.#requestOptions(preparation, signal),
		);
		const {active} = await oauth.processIntrospectionResponse(server, client, response);
		return active;
	}

	async #request(grantType: string, parameters: URLSearchParams, signal: AbortSignal): Promise<Token> {
		const {server, client, preparation} = await this.#connect(signal);
		const exchange: Exchange = {
			endpoint: server.token_endpoint ?? '',
			rule: this.#services.rule,
			secrets: preparation.client.secrets,
		};
		let response: Response | undefined;
		const requestedAt = Date.now();
		try {
			response = await oauth.genericTokenEndpointRequest(
				server,
				client,
				preparation.client.authenticate,
				grantType,
				parameters,
				{
					...this.#requestOptions(preparation, signal),
					...(preparation.dpop !== undefined && {DPoP: preparation.dpop.handle}),
				},
			);
			this.#learnSkew(response, requestedAt);
			refuseRedirect(response, exchange);
			const answer = await oauth.processGenericTokenEndpointResponse(
				server,
				client,
				withoutChallenge(response),
			);
			return toToken(answer, requestedAt + this.#skew, response.status, exchange);
		} catch (error) {
			throw error instanceof TokenRequestError ? error : describeFailure(error, response, exchange);
		}
	}

	async #connect(
		signal: AbortSignal,
	): Promise<{server: oauth.AuthorizationServer; client: oauth.Client; preparation: Preparation}> {
		const preparation = await this.prepare();
		this.#server ??= findAuthorizationServer(this.#options, this.#services.http, this.#services.rule, signal);
		this.#server.catch(() => {
			this.#server = undefined;
		});
		const client: oauth.Client = {
			client_id: preparation.client.clientId,
			...(preparation.identity !== undefined && {use_mtls_endpoint_aliases: true}),
			[oauth.clockSkew]: Math.round(this.#skew / 1000),
		};
		return {server: await this.#server, client, preparation};
	}

	#requestOptions({identity}: Preparation, signal: AbortSignal) {
		return {
			signal,
			// Whether plain http is allowed was decided with the configuration, rule by rule.
			[oauth.allowInsecureRequests]: true,
			[oauth.customFetch]: (url: string, init: unknown) =>
				this.#services.http.fetch(url, {...(init as RequestInit), ...(identity !== undefined && {identity})}),
		};
	}

	async #makePreparation(): Promise<Preparation> {
		const {environment, rule, identities} = this.#services;
		const client = await findClient(this.#options, environment, rule);
		const identity =
			this.#options.identity === undefined ? undefined : await identities.load(this.#options.identity);
		return {client, identity, dpop: this.#options.dpop ? await makeDpop() : undefined};
	}

	/** A server that wants a nonce in the proof has just sent it; one that minds the time has just said its own. */
	#isWorthAnotherTry(error: unknown, skewBefore: number): boolean {
		if (oauth.isDPoPNonceError((error as Error).cause)) return true;
		const {dpop, privateKey, clientAuthentication} = this.#options;
		const sendsTime = dpop || privateKey !== undefined || clientAuthentication === 'client_secret_jwt';
		return Boolean(sendsTime) && Math.abs(this.#skew - skewBefore) > tellingSkew;
	}

	#learnSkew(response: Response, requestedAt: number): void {
		const date = Date.parse(response.headers.get('date') ?? '');
		if (Number.isNaN(date)) return;
		// The header has whole seconds, and the answer took its time: less than that is no difference.
		const skew = date - requestedAt;
		const slack = Date.now() - requestedAt + 1000;
		this.#skew = Math.abs(skew) > slack + 1000 ? skew : 0;
	}
}

async function makeDpop(): Promise<Preparation['dpop']> {
	const keys = await oauth.generateKeyPair('ES256');
	const handle = oauth.DPoP({client_id: ''} as oauth.Client, keys);
	return {handle, thumbprint: await handle.calculateThumbprint()};
}

function refuseRedirect(response: Response, exchange: Exchange): void {
	if (response.status < 300 || response.status > 399) return;
	const location = URL.parse(response.headers.get('location') ?? '', exchange.endpoint);
	const target = location === null ? 'elsewhere' : location.origin;
	throw refusal(
		exchange,
		`redirects to ${target}; the client's secret does not follow`,
		'Name the right endpoint in the rule',
		{status: response.status},
	);
}

function toToken(
	{access_token: value, expires_in: seconds, token_type: type}: oauth.TokenEndpointResponse,
	issuedAt: number,
	status: number,
	exchange: Exchange,
): Token {
	const fail = (what: string): TokenRequestError =>
		refusal(exchange, what, 'Ask whoever runs the server', {status});
	if (!isBearerToken(value)) throw fail('answered with a token that has characters no token may have');
	const shownAs = type === 'dpop' ? 'DPoP' : 'Bearer';
	if (seconds === undefined) return {value, type: shownAs};
	if (seconds > longestLifetime) throw fail(`answered with a token said to live ${seconds} seconds`);
	return {value, type: shownAs, expiresAt: issuedAt + seconds * 1000, issuedAt};
}
