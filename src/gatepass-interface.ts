/** What users hand to `createGatepass`, and the object that they hold. */
import type {Got} from 'got';
import type {Keyv, KeyvStoreAdapter} from 'keyv';
import type {DependencyContainer} from 'tsyringe';
import type {Certificates} from './certificates/lazy.ts';
import type {ConfigurationInput} from './config/schema.ts';
import type {DiagnoseOptions} from './diagnose/diagnose.ts';
import type {Diagnosis} from './diagnose/stage.ts';
import type {Explanation} from './host-rules/explain.ts';
import type {Logger} from './observability/logger.ts';
import type {RuleStatus} from './rule-status.ts';
import type {StrategyClass} from './strategy/index.ts';
import type {Flow, FlowOptions} from './transports/flow.ts';
import type {TlsMaterial} from './transports/tls-material.ts';
import type {AnyDispatcher, GatepassDispatcher} from './transports/undici/dispatcher.ts';
import type {GatepassFetch} from './transports/undici/fetch.ts';

/** What `createGatepass` takes. All of it is optional. */
export interface GatepassSettings {
	/** A file, or the configuration itself. Default: the one found from `cwd` upwards. */
	readonly config?: string | ConfigurationInput;
	/** Where the search starts, and relative paths where there is no file. Default: `process.cwd()`. */
	readonly cwd?: string;
	/** Default: `process.env`. A `.env` beside the configuration adds to it and overrides nothing. */
	readonly env?: Readonly<Record<string, string | undefined>>;
	/** Strategies besides the built-in ones. */
	readonly strategies?: readonly StrategyClass[];
	/** The instance that `gatepass.got` extends. Default: got's own. */
	readonly got?: Got;
	/** A tsyringe container: services that are registered there take the place of gatepass's own. */
	readonly container?: DependencyContainer;
	/**
	 * Where tokens are kept, instead of the configuration's `cache.url`: a keyv adapter or instance. It is the caller's
	 * to close. As others may read it, it takes a `cache.encryptionKey`, or `cache.encryption: off`.
	 */
	readonly cache?: KeyvStoreAdapter | Keyv;
	/** Gets what gatepass tells about its work, as pino's loggers take it. No secret is in it. Default: none. */
	readonly logger?: Logger;
	/** Record spans and metrics through the optional peer `@opentelemetry/api`. Default: `false`. */
	readonly telemetry?: boolean;
}

/** What to add to a request that another client sends. */
export interface Authorization {
	/** By lower-case name. May hold a secret. */
	readonly headers: Record<string, string>;
	/**
	 * Options to spread into `https.request`, or to make an agent of, after any of one's own: the client certificate, and
	 * all that verifies the server. For https, where there is a rule or a trust store. May hold a secret.
	 */
	readonly tls?: TlsMaterial;
}

/** What `authorize` takes besides the URL. */
export interface AuthorizeOptions {
	/** Default: `GET`. */
	readonly method?: string;
	/** Pass the token cache over, once. */
	readonly fresh?: boolean;
	/** Whose tokens to use. Default: the rule's `tenant`. */
	readonly tenant?: string;
	/** What will be sent, for a strategy that signs it: text, bytes, or what can be read more than once. */
	readonly body?: unknown;
	/** The headers that will be sent, for a strategy that signs them; the result then holds them, too. */
	readonly headers?: Readonly<Record<string, string>>;
	/** Rejects with its reason as soon as it is aborted. */
	readonly signal?: AbortSignal;
}

/** Authenticates requests by the host rules of one configuration. */
export interface Gatepass extends AsyncDisposable {
	/**
	 * A got instance whose requests are authenticated, each hop by its own rule. A request rejects with a
	 * {@link GatepassError} where authentication is at fault, and with got's own errors otherwise.
	 */
	readonly got: Got;
	/** The same on another got instance. */
	extend(got: Got): Got;
	/**
	 * The platform's `fetch`, authenticated, each hop by its own rule. Rejects with a {@link GatepassError} where
	 * authentication is at fault, and with what `fetch` rejects with otherwise.
	 *
	 * @example
	 * const response = await gatepass.fetch(url, {gatepass: {fresh: true}});
	 */
	readonly fetch: GatepassFetch;
	/**
	 * An undici dispatcher, for `undici.request`, `stream` and `pipeline`, and for `fetch({dispatcher})`: undici's from
	 * version 7 on, and Node's own. The options of a request take `gatepass` ({@link GatepassContext}). Loads undici.
	 *
	 * @example
	 * const {body} = await request(url, {dispatcher: gatepass.dispatcher});
	 */
	readonly dispatcher: GatepassDispatcher;
	/**
	 * The same over a dispatcher of the caller's: an Agent, a ProxyAgent, a MockAgent. Where a hop needs connections of
	 * its own, for an identity, a trust store or an owner, those of gatepass take its place.
	 *
	 * @throws {TypeError} for what is no dispatcher, or does not send to the origin that it is asked for.
	 */
	intercept(dispatcher: AnyDispatcher): GatepassDispatcher;
	/**
	 * A conversation for a request that any other client sends: what its first leg is to have, and what becomes of each
	 * answer.
	 *
	 * @throws {GatepassError} what the strategy throws where it has no credential.
	 * @throws {TypeError} where `url` is no absolute URL.
	 */
	flow(url: string | URL, options?: FlowOptions): Promise<Flow>;
	/**
	 * Which rule a request would use, and why. Touches no network.
	 *
	 * @param options `method`: default `GET`.
	 * @throws {TypeError} where `url` is no absolute URL.
	 */
	explain(url: string | URL, options?: {method?: string}): Explanation;
	/**
	 * What to add to a request that another client sends; for schemes of several legs, the first one.
	 * Nothing for a URL without a rule. What is returned is meant for this very URL and no other.
	 *
	 * @param options `method`: default `GET`; `fresh`: pass the token cache over, once.
	 * @throws {GatepassError} what the strategy throws where it has no credential.
	 * @throws {TypeError} where `url` is no absolute URL.
	 */
	authorize(url: string | URL, options?: AuthorizeOptions): Promise<Authorization>;
	/** How each host rule stands, in the order of the configuration. Asks no server, unless told to `verify`: authorization servers (RFC 7662), KDCs. */
	status(settings?: {verify?: boolean; signal?: AbortSignal}): Promise<RuleStatus[]>;
	/**
	 * Drop, and where possible revoke (RFC 7009), the tokens kept for the rule of `url`; for all rules without `url`.
	 *
	 * @throws {GatepassError} what a strategy throws where it cannot tell which token is meant, or revoking fails.
	 */
	forget(url?: string | URL, options?: {signal?: AbortSignal}): Promise<void>;
	/**
	 * Walk one request stage by stage, from its rule to its answer, and stop at the first that is broken. Asks servers:
	 * for the name, the credential, and what the request itself asks for, as `method`; of a GET the answer's body is not
	 * read. What is wrong is told, not thrown.
	 *
	 * @throws {TypeError} where `url` is no absolute URL of http or https.
	 */
	diagnose(url: string | URL, options?: DiagnoseOptions): Promise<Diagnosis>;
	/** Certificates that renew themselves, as the configuration's `certificates` says. */
	readonly certificates: Certificates;
	/** End renewals in the background and connections, and let go of the token store. A request after it is a {@link ClosedError}. */
	close(): Promise<void>;
}
