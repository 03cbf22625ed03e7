/**
 * All that the author of a strategy needs.
 *
 * A strategy is a conversation, written as an async generator. What stands before the first `yield` prepares
 * the request; each `yield` sends it and gives back the response; to go on and `yield` again is to send it
 * again; to return is to accept the response.
 */
import 'reflect-metadata';
import type {StandardSchemaV1} from '@standard-schema/spec';
import {type InjectionToken, inject, injectable} from 'tsyringe';
import type {Diagnostic} from '../diagnostics/diagnostic.ts';
import type {GatepassError} from '../errors.ts';
import {
	Environment,
	HttpClient,
	Identities,
	type Identity,
	RuleInfo,
	StrategyOptions,
	TokenCache,
} from './services.ts';

export {inject, injectable} from 'tsyringe';
export {FileReadError, type ReadFailure} from '../files/bounded-read.ts';
export {KeptFile, type KeptFileSettings} from '../files/kept-file.ts';
export {type FileStamp, stampOfSync} from '../files/stamp.ts';
export {redact} from '../observability/redact.ts';
export {toPem, type X509Response, type X509Svid} from '../spiffe/response.ts';
export {isWorkloadAddress, type WorkloadApi} from '../spiffe/workload-api.ts';
export {type Challenge, parseChallenges, parseParameters} from './challenges.ts';
export {isLoopback} from './hosts.ts';
export {isFileContent, resolvePath} from './paths.ts';
export {readRetryAfter} from './retry-after.ts';
export * from './services.ts';
export {readVariable} from './variables.ts';

/** The headers that a strategy adds. Names are compared without regard to case. */
export interface AuthHeaders {
	/** The names of all headers that will be sent, as far as they are known before, in lower case. */
	names(): readonly string[];
	/** The value that will be sent: the strategy's, or else the caller's. */
	get(name: string): string | undefined;
	/** Whether a value will be sent. */
	has(name: string): boolean;
	/** Set a header on this hop; it takes the place of one that the caller set. */
	set(name: string, value: string): void;
	/** Send this hop without the header, even where the caller set it. */
	delete(name: string): void;
}

/** One request to one URL, as its strategy sees it. What the strategy changes here never outlives the hop. */
export interface AuthRequest {
	/** The HTTP method, upper-case (RFC 9110 section 9). */
	readonly method: string;
	/** A copy: query parameters may be added to it; its origin and path may not be changed. */
	readonly url: URL;
	readonly headers: AuthHeaders;
	/**
	 * Path and query to the byte, as they are sent, for a strategy that signs them (RFC 9112 section 3.2.1), and before it
	 * adds to the query. Absent: those of `url`.
	 */
	readonly requestTarget?: string | undefined;
	/** The client certificate to show on this hop. */
	identity: Identity | undefined;
	/**
	 * For a server that takes a connection for its user's from the first credential on: whom it takes this hop's
	 * connection for. Connections are then shared with requests of the same rule and the same owner only.
	 */
	connectionOwner: string | undefined;
	/** The proxy to send this hop through. What is for the proxy is the strategy's to say, too. */
	proxy?: HopProxy | undefined;
	/** Why the server refused the credential, where the strategy can tell: for the event and the log of this hop. */
	refusal?: GatepassError | undefined;
	/** Whether the request can be sent again: it has no body, or one that is not used up by sending. */
	readonly replayable: boolean;
	/**
	 * The bytes of the body, once they were read: before the conversation begins for a strategy that
	 * {@link (AuthStrategy:interface).requiresRequestBody}, else by {@link readBody}. `undefined`: there is no body, or nobody has asked for it.
	 */
	readonly body: Uint8Array | undefined;
	/**
	 * Read the body now, for a strategy that finds out on the way that it needs it. What was read is sent on the legs to
	 * come. After a first leg, it can be read only where the request is `replayable`.
	 *
	 * @returns `undefined`: there is no body.
	 * @throws {StrategyError} where it has more than 67,108,864 bytes and is not in memory, or is used up.
	 */
	readBody(): Promise<Uint8Array | undefined>;
	/**
	 * How many bytes the body has, where that is known before it is sent: 0 where there is none, `undefined` where nobody
	 * can tell. A caller who says it in `content-length` may be wrong.
	 */
	readonly bodyLength?: number | undefined;
	/**
	 * Send the body in another form on the legs to come, made of its bytes as they come: for a signature that goes
	 * through the body. The strategy sets the headers that go with it, `content-length` first of all. Absent: whoever
	 * sends is no client of gatepass (`flow`, `authorize`).
	 */
	encodeBody?: ((encoder: BodyEncoder) => void) | undefined;
	/** Whether the caller asked to pass the token cache over (`context: {gatepass: {fresh: true}}`). */
	readonly fresh: boolean;
	/** Whose tokens to use: the caller's `context: {gatepass: {tenant}}`, else the rule's `tenant`. Part of a token's key. */
	readonly tenant: string | undefined;
	/**
	 * Have the connection ready over which the next leg will go, before it is sent: for a credential that is tied to
	 * the connection. `identity` and `connectionOwner` have to be set before; the response before, if there was one,
	 * can be accepted no more.
	 *
	 * @param timeout milliseconds.
	 * @returns `undefined` where the transport cannot tell the connection beforehand.
	 */
	openConnection(timeout: number): Promise<Connection | undefined>;
}

/** Makes of a body's bytes what is sent. Called once for each leg; what it throws ends the request. */
export type BodyEncoder = (chunks: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;

/** A proxy that a hop goes through. A request to an http URL is for the proxy itself to answer or to pass on. */
export interface HopProxy {
	/** `http://HOST:PORT`. */
	readonly url: URL;
	/** Milliseconds for one request for a tunnel. */
	readonly timeout: number;
	/** As {@link AuthStrategy}'s, for the conversation over the request for a tunnel. */
	readonly requiresResponseBody?: boolean;
	/** For https URLs: the conversation over the request for a tunnel to the server (CONNECT, RFC 9110 section 9.3.6). */
	authenticate(request: AuthRequest): Conversation;
}

/** The connection over which a request will go. */
export interface Connection {
	/** The server's certificate in DER; absent for plain http, and where a shared connection resumed a TLS session. */
	readonly serverCertificate?: Uint8Array;
}

/** What a server answered, as a strategy sees it. The body is the caller's, whoever reads it before. */
export interface AuthResponse {
	/** The HTTP status code (RFC 9110 section 15). */
	readonly status: number;
	/** By lower-case name; a header that came more than once is a list where Node keeps it as one. */
	readonly headers: Readonly<Record<string, string | string[] | undefined>>;
	/**
	 * The bytes of the body, unpacked (RFC 9110 section 8.4), for a strategy that
	 * {@link (AuthStrategy:interface).requiresResponseBody}. `undefined` for others; where there are more than 1,048,576
	 * bytes; where it broke off; and where `gatepass.flow` was not given it.
	 */
	readonly body: Uint8Array | undefined;
	/**
	 * Let the caller have this response without its body and with only the headers named: for a response whose
	 * sender is not proven.
	 */
	withhold(keepHeaders: readonly string[]): void;
}

/**
 * A strategy's exchange for one hop: what stands before the first `yield` prepares the request, each `yield` sends it
 * and gives back the response, to return is to accept it. More than ten yields are a `StrategyError`.
 */
export type Conversation = AsyncGenerator<void, void, AuthResponse>;

/** What is known about a rule's credential without asking any server. Never holds a secret. */
export interface CredentialStatus {
	/** Whether a request could be authenticated now, with what is at hand or can be fetched. */
	readonly available: boolean;
	/** One sentence for a person: what it is and where it comes from. */
	readonly detail: string;
	/** When it ends, in milliseconds since 1970. */
	readonly expiresAt?: number;
	/** What is wrong, or needs a person's attention. */
	readonly diagnostics?: readonly Diagnostic[];
	/** What needs a person's attention, and what to do: the diagnostics as texts, or what has no code. */
	readonly warnings?: readonly string[];
	/** How the credential was chosen, a sentence each. */
	readonly notes?: readonly string[];
	/** The client certificate that it shows, for `diagnose`; `gatepass.status` leaves it out. */
	readonly identity?: Identity | undefined;
	/** What it is made of, for `diagnose`; `gatepass.status` leaves it out. */
	readonly evidence?: Evidence;
}

/** What was seen, by name: for people, and for programs that show it to them. Holds no secret. */
export type Evidence = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** What a credential's own servers say of it. */
export interface Examination {
	/** Whom was asked. */
	readonly of: 'authorization server' | 'kerberos';
	readonly evidence: Evidence;
	/** What is wrong; an error among them: no request can be authenticated. */
	readonly diagnostics: readonly Diagnostic[];
}

/** What a conversation shows on its first leg, and nothing besides. Best made once for a credential, not for a request. */
export interface CredentialAtHand {
	/** A header: its name in lower case, and its value. */
	readonly header?: readonly [name: string, value: string];
	/** The client certificate to show. */
	readonly identity?: Identity;
	/**
	 * It was issued for what the options say, such as a token for a client's secret: it stays in use for as long as it is
	 * good, also where another secret is in its file by now. Default: `false`.
	 */
	readonly isIssued?: boolean;
}

/** Knows one way to authenticate a request. One instance serves one host rule, so it holds no state of a request. */
export interface AuthStrategy {
	/**
	 * Have the body read before the conversation begins, so that `request.body` is the bytes that will be sent, on every
	 * leg. A body that is not in memory and has more than 67,108,864 bytes is then an error. Default: `false`.
	 */
	readonly requiresRequestBody?: boolean;
	/**
	 * Have the body of each response read before the conversation sees it, up to 1,048,576 bytes, so that `response.body`
	 * is its bytes. The caller gets the response whole all the same, only later. Default: `false`.
	 */
	readonly requiresResponseBody?: boolean;
	/** The conversation for one hop. */
	authenticate(request: AuthRequest): Conversation;
	/**
	 * What the conversation would show on its first leg, where that is known at once. A transport that can do so sends
	 * the leg right away, and holds the conversation only where the answer is a 401: then its first `yield` gives that
	 * answer, provided that it shows the same. So it is for speed alone, and for a conversation that has nothing to do
	 * with any other answer. `undefined`: there is something to wait for, to write down or to tell.
	 */
	atHand?(request: Pick<AuthRequest, 'method' | 'tenant'>): CredentialAtHand | undefined;
	/** For `gatepass status`. Asks no server, unless told to `verify`: authorization servers (RFC 7662), KDCs. */
	status?(settings?: {verify?: boolean}): Promise<CredentialStatus>;
	/**
	 * For `diagnose`: ask the credential's own servers for what a request to `url` would need, by a real token request or
	 * a real ticket. `undefined`: it has none. What they refuse may be thrown, as a request would.
	 */
	examine?(url: URL, settings: {signal: AbortSignal}): Promise<Examination | undefined>;
	/** Drop, and where possible revoke, what is kept for this rule. */
	forget?(): Promise<void>;
	/** For `gatepass explain`: what there is to say about the choice of a credential, a sentence each. Asks no server. */
	explain?(): readonly string[];
	/** Let go of what the strategy holds, such as threads. Called when gatepass is closed. */
	dispose?(): void | Promise<void>;
}

/** A strategy inside of another one's options. */
export interface NestedStrategy {
	readonly strategy: string;
	readonly options?: unknown;
}

/** A request that a strategy makes for itself, to get what it shows. */
export interface OwnRequest {
	readonly url: URL;
	/** Default: `GET`. */
	readonly method?: string;
	/** By name as it is sent; the strategy that authenticates it adds to them. */
	readonly headers?: Readonly<Record<string, string>>;
	readonly body?: string;
	/** Whose tokens to use. Default: the rule's `tenant`. */
	readonly tenant?: string | undefined;
	readonly signal?: AbortSignal;
}

/** The answer to an {@link OwnRequest}. */
export interface OwnAnswer {
	readonly response: Response;
	/** What was shown for it: texts that must not stand in a message. */
	readonly secrets: readonly string[];
}

/** The strategies that stand inside of another one's options (`nested` in its definition names them). */
export interface Strategies {
	/** Build one; its options were checked with the configuration. */
	build(nested: NestedStrategy): AuthStrategy;
	/**
	 * Send a request of the strategy's own that `strategy` authenticates, in as many legs as that one wants, over
	 * {@link (HttpClient:interface)}. Gives the answer that it accepts.
	 *
	 * @throws {GatepassError} what `strategy` throws where it has no credential; and what the HTTP client throws.
	 */
	send(strategy: AuthStrategy, request: OwnRequest): Promise<OwnAnswer>;
}
/** Inject this to get {@link (Strategies:interface)}. */
export const Strategies: InjectionToken<Strategies> = Symbol.for('gatepass.Strategies');

/** What gatepass knows of a strategy besides its conversation. */
export interface StrategyDefinition<Schema extends StandardSchemaV1 = StandardSchemaV1> {
	/** The name that rules use: lower-case letters, digits, hyphens. */
	readonly name: string;
	/** The schema of its options (zod, valibot, arktype: https://standardschema.dev); default: it takes none. */
	readonly options?: Schema;
	/** Whether it sends a credential; only `none` says `false`. Default `true`: plain http then needs leave. */
	readonly carriesCredential?: boolean;
	/** The URLs to which it sends secrets of its own, so that plain http among them is found before the first request. */
	endpoints?(options: StandardSchemaV1.InferOutput<Schema>): readonly string[];
	/** Where in its options other strategies stand ({@link NestedStrategy}), so that theirs are checked too. */
	nested?(options: StandardSchemaV1.InferOutput<Schema>): readonly (readonly (string | number)[])[];
}

/** A class that implements {@link AuthStrategy} and was named by `@authStrategy` or made by `defineStrategy`. */
export type StrategyClass = new (...services: never[]) => AuthStrategy;

// A registered symbol: a strategy that was written against another copy of gatepass is still known as one.
const definitionKey = Symbol.for('gatepass.strategyDefinition');

/**
 * Name a class as a strategy: `@authStrategy({name: 'api-key', options: schema})` before it. Its constructor
 * parameters each need `@inject(…)`. docs/custom-strategies.md has an example that is compiled and run.
 */
export function authStrategy<Schema extends StandardSchemaV1>(definition: StrategyDefinition<Schema>) {
	return <Class extends StrategyClass>(strategy: Class): void => {
		// Legacy decorators pass any constructor; tsyringe's own type admits only `any` parameters.
		injectable()(strategy as unknown as new (...services: unknown[]) => AuthStrategy);
		Object.defineProperty(strategy, definitionKey, {value: definition});
	};
}

/** The definition of a strategy class, or `undefined` for anything else. */
export function definitionOf(value: unknown): StrategyDefinition | undefined {
	return typeof value === 'function' && Object.hasOwn(value, definitionKey)
		? (value as {[definitionKey]?: StrategyDefinition})[definitionKey]
		: undefined;
}

/** What a strategy without decorators is given. */
export interface StrategyServices<Options> {
	/** The rule's, after validation. */
	readonly options: Options;
	/** Issued tokens, in memory and in the store of the configuration. */
	readonly tokens: TokenCache;
	/** For the strategy's own requests. */
	readonly http: HttpClient;
	/** Strategies inside of the options. */
	readonly strategies: Strategies;
	/** Client certificates. */
	readonly identities: Identities;
	/** Variables. */
	readonly environment: Environment;
	/** The rule that is served. */
	readonly rule: RuleInfo;
}

/** A strategy as a plain object: the same as a class with `@authStrategy`, for JavaScript. */
export interface PlainStrategy<Schema extends StandardSchemaV1> extends StrategyDefinition<Schema> {
	/** As {@link AuthStrategy}'s. */
	readonly requiresRequestBody?: boolean;
	/** As {@link AuthStrategy}'s. */
	readonly requiresResponseBody?: boolean;
	/** As {@link AuthStrategy}'s, with the services as the second argument. */
	authenticate(
		request: AuthRequest,
		services: StrategyServices<StandardSchemaV1.InferOutput<Schema>>,
	): Conversation;
	/** As {@link AuthStrategy}'s. */
	status?(
		services: StrategyServices<StandardSchemaV1.InferOutput<Schema>>,
		settings?: {verify?: boolean},
	): Promise<CredentialStatus>;
	/** As {@link AuthStrategy}'s. */
	explain?(services: StrategyServices<StandardSchemaV1.InferOutput<Schema>>): readonly string[];
	/** As {@link AuthStrategy}'s. */
	forget?(services: StrategyServices<StandardSchemaV1.InferOutput<Schema>>): Promise<void>;
}

/**
 * Make a strategy class from a plain object.
 *
 * @example
 * export default defineStrategy({
 * 	name: 'api-key',
 * 	options: z.object({key: z.string()}),
 * 	async *authenticate(request, {options}) {
 * 		request.headers.set('x-api-key', options.key);
 * 		yield;
 * 	},
 * });
 */
export function defineStrategy<Schema extends StandardSchemaV1>(plain: PlainStrategy<Schema>): StrategyClass {
	type Services = StrategyServices<StandardSchemaV1.InferOutput<Schema>>;
	class PlainStrategyClass implements AuthStrategy {
		readonly #services: Services;
		readonly requiresRequestBody = plain.requiresRequestBody === true;
		readonly requiresResponseBody = plain.requiresResponseBody === true;
		declare readonly status?: NonNullable<AuthStrategy['status']>;
		declare readonly explain?: NonNullable<AuthStrategy['explain']>;
		declare readonly forget?: NonNullable<AuthStrategy['forget']>;

		constructor(
			options: unknown,
			tokens: TokenCache,
			http: HttpClient,
			identities: Identities,
			environment: Environment,
			rule: RuleInfo,
			strategies: Strategies,
		) {
			const given = {tokens, http, identities, environment, rule, strategies};
			this.#services = {options: options as Services['options'], ...given};
			// A verb that the plain object lacks, the strategy lacks too.
			for (const verb of ['status', 'explain', 'forget'] as const) {
				if (plain[verb] === undefined) continue;
				const value = (settings?: {verify?: boolean}) => plain[verb]?.(this.#services, settings);
				Object.defineProperty(this, verb, {value});
			}
		}

		authenticate(request: AuthRequest): Conversation {
			return plain.authenticate(request, this.#services);
		}
	}

	const services = [StrategyOptions, TokenCache, HttpClient, Identities, Environment, RuleInfo, Strategies];
	for (const [index, service] of services.entries()) inject(service)(PlainStrategyClass, undefined, index);
	authStrategy(plain)(PlainStrategyClass as unknown as StrategyClass);
	return PlainStrategyClass as unknown as StrategyClass;
}
