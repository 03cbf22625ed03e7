/** Talks to an authorization server for one rule: token requests, revocation, introspection. The protocol is oauth4webapi's. */
import type * as oauth from 'oauth4webapi';
import {type Diagnostic, diagnostic, warning} from '../../src/diagnostics/diagnostic.ts';
import {TokenRequestError} from '../../src/errors.ts';
import type {
	Environment,
	Evidence,
	HttpClient,
	Identities,
	Identity,
	Notices,
	RuleInfo,
	Token,
} from '../../src/strategy/index.ts';
import type {AssertionReader, Doubt} from '../bearer/claims.ts';
import {openSource, type TextSource} from '../bearer/source.ts';
import type {ClientIdentity} from './client-authentication.ts';
import type {EndpointName, Exchange} from './describe-failure.ts';
import type {Grant} from './grant.ts';
import {type SsoOptions, tokenEndpointOf} from './options.ts';
import {ServerClock} from './server-clock.ts';

type Protocol = typeof import('./protocol.ts');

const loadProtocol = (): Promise<Protocol> => import('./protocol.ts');

/** Milliseconds that clocks may differ without a word. */
const tellingSkew = 5000;

export interface TokenClientServices {
	readonly http: HttpClient;
	readonly identities: Identities;
	readonly environment: Environment;
	readonly notices: Notices;
	readonly rule: RuleInfo;
}

/** What is found out once, before the first token request. */
export interface Preparation {
	readonly client: ClientIdentity;
	/** The key that tokens are bound to, where the options say so. */
	readonly dpop: {readonly handle: oauth.DPoPHandle; readonly thumbprint: string} | undefined;
}

/** What a request to the authorization server is made of. */
interface Connection {
	readonly protocol: Protocol;
	readonly server: oauth.AuthorizationServer;
	readonly client: oauth.Client;
	readonly authenticate: oauth.ClientAuth;
	readonly dpop: Preparation['dpop'];
	readonly options: Pick<oauth.TokenEndpointRequestOptions, 'signal' | typeof oauth.customFetch>;
}

interface Exchanging<Result> {
	readonly name: EndpointName;
	readonly identity: Identity | undefined;
	readonly signal: AbortSignal;
	/** Texts of this request that must not show up in a message. */
	readonly secrets: readonly string[];
	/** What the server may not like about what is sent. */
	doubts?(reader: AssertionReader): readonly Doubt[];
	/** Takes the place of what the client proves itself by. */
	readonly authenticate?: oauth.ClientAuth;
	/** Whether what is sent bears a time, besides the client's own proof. */
	readonly sendsTime?: boolean;
	send(connection: Connection): Promise<Response>;
	/** `sentAt`: when the request was made, by this machine's clock. */
	read(connection: Connection, response: Response, exchange: Exchange, sentAt: number): Promise<Result>;
}

export class TokenClient {
	readonly #options: SsoOptions;
	readonly #services: TokenClientServices;
	readonly #clock = new ServerClock();
	readonly #assertion: TextSource | undefined;
	#preparation: Promise<Preparation> | undefined;
	#server: Promise<oauth.AuthorizationServer> | undefined;

	constructor(options: SsoOptions, services: TokenClientServices) {
		this.#options = options;
		this.#services = services;
		const {clientAssertion} = options;
		this.#assertion = clientAssertion && openSource(clientAssertion, 'clientAssertion', services);
	}

	/** End what runs. */
	dispose(): void {
		this.#assertion?.dispose();
	}

	/** @throws {CredentialUnavailableError} where the client's name, secret or key is missing. */
	prepare(): Promise<Preparation> {
		this.#preparation ??= this.#makePreparation().catch(error => {
			// A failure is not kept: the next request sees whether it was put right.
			this.#preparation = undefined;
			throw error;
		});
		return this.#preparation;
	}

	/**
	 * The client certificate, where the options name one. Asked for each time: it may have been renewed.
	 *
	 * @throws {CredentialUnavailableError | CertificateError} where there is none, or none that can be used.
	 */
	async identity(): Promise<Identity | undefined> {
		const {identity} = this.#options;
		return identity && this.#services.identities.load(identity);
	}

	/**
	 * Fetch a token by a grant.
	 *
	 * @param identity the client certificate to show: the token may be bound to it.
	 * @throws {TokenRequestError} for any answer that is not one.
	 */
	request(
		{type, parameters, complete, doubts}: Grant,
		identity: Identity | undefined,
		signal: AbortSignal,
		authenticate?: oauth.ClientAuth,
	): Promise<Token> {
		return this.#ask({
			name: 'token_endpoint',
			identity,
			signal,
			...(authenticate !== undefined && {authenticate}),
			secrets: secretsIn(parameters, this.#options),
			sendsTime: complete !== undefined,
			send: async ({protocol: {oauth}, server, client, authenticate, dpop, options}) => {
				const form = complete === undefined ? parameters : new URLSearchParams(parameters);
				const added = await complete?.({audience: server.issuer, issuedAt: this.#clock.issuedAt()});
				for (const [name, value] of Object.entries(added ?? {})) form.set(name, value);
				return oauth.genericTokenEndpointRequest(server, client, authenticate, type, form, {
					...options,
					[oauth.allowInsecureRequests]: true,
					...(dpop !== undefined && {DPoP: dpop.handle}),
				});
			},
			doubts: doubts ?? (() => []),
			read: async ({protocol, server, client, dpop}, response, exchange, sentAt) => {
				const {oauth, readToken, withoutUnusedFields} = protocol;
				const answer = await oauth.processGenericTokenEndpointResponse(
					server,
					client,
					await withoutUnusedFields(response),
					{
						// RFC 8693 section 2.2.1: it is no access token. Whoever names a type wants to show just that.
						...(parameters.has('requested_token_type') && {recognizedTokenTypes: {n_a: () => {}}}),
					},
				);
				return readToken(answer, sentAt + this.#clock.skew, dpop !== undefined, exchange);
			},
		});
	}

	/**
	 * Have the server forget a token (RFC 7009), where it says how.
	 *
	 * @throws {TokenRequestError} where it refuses, other than because it cannot revoke tokens of this kind.
	 */
	async revoke(token: string, signal: AbortSignal): Promise<void> {
		if ((await this.#findServer(signal)).revocation_endpoint === undefined) return;
		await this.#ask({
			name: 'revocation_endpoint',
			identity: await this.identity(),
			signal,
			secrets: [token],
			send: ({protocol: {oauth}, server, client, authenticate, options}) =>
				oauth.revocationRequest(server, client, authenticate, token, {
					...options,
					[oauth.allowInsecureRequests]: true,
					additionalParameters: {token_type_hint: 'access_token'},
				}),
			// It says 200 (RFC 7009 section 2.2); what other servers mean with 204 is the same.
			read: async ({protocol: {oauth}}, response) =>
				response.ok ? undefined : oauth.processRevocationResponse(response),
		}).catch(passOverUnsupported);
	}

	/**
	 * Whether the server takes the token for valid (RFC 7662); `undefined` where it does not say, of tokens of this kind.
	 *
	 * @throws {TokenRequestError} where it refuses to answer.
	 */
	async introspect(token: string, signal: AbortSignal): Promise<boolean | undefined> {
		if ((await this.#findServer(signal)).introspection_endpoint === undefined) return undefined;
		return this.#ask({
			name: 'introspection_endpoint',
			identity: await this.identity(),
			signal,
			secrets: [token],
			send: ({protocol: {oauth}, server, client, authenticate, options}) =>
				oauth.introspectionRequest(server, client, authenticate, token, {
					...options,
					[oauth.allowInsecureRequests]: true,
					additionalParameters: {token_type_hint: 'access_token'},
				}),
			read: async ({protocol: {oauth}, server, client}, response) =>
				(await oauth.processIntrospectionResponse(server, client, response)).active,
		}).catch(passOverUnsupported);
	}

	/** Once more, where the answer has told what was missing: a nonce for the proof, or the time by the other clock. */
	async #ask<Result>(exchanging: Exchanging<Result>): Promise<Result> {
		let hasNonce = false;
		const offsets: number[] = [];
		for (;;) {
			offsets.push(this.#clock.offset);
			try {
				return await this.#askOnce(exchanging);
			} catch (error) {
				if (!hasNonce && this.#options.dpop && (error as TokenRequestError).error === 'use_dpop_nonce') {
					hasNonce = true;
				} else if (
					!this.#mayMindTheTime(error, exchanging.sendsTime ?? false) ||
					!this.#clock.switchFrom(offsets)
				) {
					this.#clock.switchBack(offsets[0] ?? 0);
					throw error;
				}
			}
		}
	}

	/** Of a client that was refused: whether it is only that the server does not decode what is sent (RFC 6749 section 2.3.1). */
	async encodingDoubts(grant: Grant, identity: Identity | undefined): Promise<readonly Diagnostic[]> {
		const {unencoded} = (await this.prepare()).client;
		if (unencoded === undefined) return [];
		try {
			await this.request(grant, identity, AbortSignal.timeout(10_000), proofOf(unencoded));
		} catch {
			return [];
		}
		const where = this.#options.issuer ?? tokenEndpointOf(this.#options);
		return [
			diagnostic({
				code: 'client-secret-encoding',
				what: `${new URL(where).host} refuses the client where its name and secret are form-encoded in the Basic header, as RFC 6749 section 2.3.1 says, and takes them as they are`,
				hint: "Set 'clientAuthentication: client_secret_post', or have a secret of letters and digits made",
				where,
			}),
		];
	}

	/** What the last answers say of this machine's clock: few servers take what comes from the future. */
	clockDoubts(): readonly Diagnostic[] {
		const {skew} = this.#clock;
		if (Math.abs(skew) < tellingSkew) return [];
		const isAhead = skew < 0;
		const where = this.#options.issuer ?? tokenEndpointOf(this.#options);
		return [
			warning({
				code: isAhead ? 'clock-ahead-of-server' : 'clock-behind-server',
				what: `This machine's clock is ${Math.round(Math.abs(skew) / 1000)} s ${isAhead ? 'ahead of' : 'behind'} that of ${new URL(where).origin}`,
				hint: "Set the clock, for example with 'timedatectl set-ntp true'",
				where,
			}),
		];
	}

	/** How this machine's clock stands to the server's, in words; nothing where no answer told. */
	clockEvidence(): Evidence {
		const {skew, isKnown} = this.#clock;
		if (!isKnown) return {};
		const difference = `${Math.round(Math.abs(skew) / 1000)} s ${skew < 0 ? 'ahead of' : 'behind'} the server's`;
		return {clock: skew === 0 ? "agrees with the server's" : difference};
	}

	/** An API refused a proof of this client's: the next one goes by the other clock, if that differs. */
	switchClock(): void {
		this.#clock.switchFrom([this.#clock.offset]);
	}

	async #askOnce<Result>({
		name,
		identity,
		signal,
		secrets,
		doubts,
		send,
		read,
		authenticate,
	}: Exchanging<Result>): Promise<Result> {
		const protocol = await loadProtocol();
		const server = await this.#findServer(signal);
		const {client, dpop} = await this.prepare();
		const {http, rule} = this.#services;
		const hidden = [...client.secrets, ...secrets];
		const exchange: Exchange = {
			name,
			endpoint: server[name] ?? '',
			rule,
			secrets: hidden,
			doubts: error => {
				const names = [...new Set([server.issuer, server.token_endpoint ?? server.issuer])];
				const reader = {names, now: Date.now() + this.#clock.skew, clientId: client.clientId, error};
				return [...(client.doubts?.(reader) ?? []), ...(doubts?.(reader) ?? [])];
			},
		};
		const connection: Connection = {
			protocol,
			server,
			client: {client_id: client.clientId},
			authenticate: authenticate ?? proofOf(client.authenticate),
			dpop,
			options: {
				signal,
				[protocol.oauth.customFetch]: (url, {method, headers, body}) => {
					if (headers.authorization !== undefined) hidden.push(headers.authorization.replace(/^\S+ /, ''));
					for (const name of assertionParameters) hidden.push(...(body as URLSearchParams).getAll(name));
					return http.fetch(url, {method, headers, body, signal, ...(identity !== undefined && {identity})});
				},
			},
		};
		let response: Response | undefined;
		const sentAt = Date.now();
		const begun = performance.now();
		try {
			response = await send(connection);
			const skew = skewIn(response, sentAt, performance.now() - begun);
			if (skew !== undefined) this.#clock.isKnown = true;
			if (skew !== this.#clock.skew) this.#clock.learn(skew ?? this.#clock.skew);
			protocol.refuseRedirect(response, exchange);
			const answer = await protocol.refusalAsSuch(protocol.withoutChallenge(response));
			return await read(connection, answer, exchange, sentAt);
		} catch (error) {
			throw protocol.describeFailure(error, response, exchange);
		}
	}

	#findServer(signal: AbortSignal): Promise<oauth.AuthorizationServer> {
		const {http, rule} = this.#services;
		this.#server ??= loadProtocol()
			.then(({findAuthorizationServer}) => findAuthorizationServer(this.#options, http, rule, signal))
			.catch(error => {
				this.#server = undefined;
				throw error;
			});
		return this.#server;
	}

	async #makePreparation(): Promise<Preparation> {
		const {environment, rule} = this.#services;
		const {findClient} = await loadProtocol();
		const client = await findClient(this.#options, environment, rule, this.#clock, this.#assertion);
		return {client, dpop: this.#options.dpop ? await this.#makeDpop() : undefined};
	}

	async #makeDpop(): Promise<Preparation['dpop']> {
		const {oauth} = await loadProtocol();
		const keys = await oauth.generateKeyPair('ES256');
		const handle = oauth.DPoP({}, keys, {
			[oauth.modifyAssertion]: (_, proof) => {
				proof.iat = this.#clock.issuedAt();
			},
		});
		return {handle, thumbprint: await handle.calculateThumbprint()};
	}

	#mayMindTheTime(error: unknown, bearsTime: boolean): boolean {
		const {dpop, privateKey, clientAuthentication} = this.#options;
		const sendsTime =
			bearsTime || dpop || privateKey !== undefined || clientAuthentication === 'client_secret_jwt';
		const {status = 0, retryAfter} = error as TokenRequestError;
		const isRefusal = error instanceof TokenRequestError && status >= 400 && status < 500;
		return Boolean(sendsTime) && isRefusal && retryAfter === undefined;
	}
}

/**
 * The milliseconds by which the server's clock differs, as the `Date` of an answer tells it; `undefined`: it tells nothing.
 *
 * @param requestedAt when it was asked for, by this machine's clock.
 * @param duration milliseconds from then to the answer, by a clock that is not set.
 */
function skewIn({headers}: Response, requestedAt: number, duration: number): number | undefined {
	const skew = Date.parse(headers.get('date') ?? '') - requestedAt;
	if (Number.isNaN(skew)) return undefined;
	// The header has whole seconds, and the answer took its time: less than that is no difference.
	return Math.abs(skew) > duration + 2000 ? skew : 0;
}

/** What adds the proof of a client to a request. */
function proofOf(proof: ClientIdentity['authenticate']): oauth.ClientAuth {
	if (typeof proof === 'function') return proof;
	return (_server, _client, _body, headers) => headers.set('authorization', proof.authorization);
}

/** They are made, or read, for each request. */
const assertionParameters = ['client_assertion', 'assertion'];

/** A server need not know of the tokens that speak for themselves, such as JWTs (RFC 7009 section 2.2.1). */
function passOverUnsupported(error: unknown): undefined {
	if ((error as TokenRequestError).error !== 'unsupported_token_type') throw error;
}

/** Tokens that are handed over, and what the options add without saying what it is. */
function secretsIn(parameters: URLSearchParams, {parameters: added = {}}: SsoOptions): string[] {
	const tokens = ['subject_token', 'actor_token'].flatMap(name => parameters.getAll(name));
	return [...tokens, ...Object.values(added)].filter(text => text.length > 7);
}
