/** One request to one URL: which rule and trust store it uses, and what its strategy sees and changes of it. */
import {createHash} from 'node:crypto';
import type {Agent as HttpAgent} from 'node:http';
import type {Agent} from 'node:https';
import {type GatepassError, StrategyError} from '../errors.ts';
import type {Events} from '../observability/events.ts';
import type {
	AuthHeaders,
	AuthRequest,
	AuthStrategy,
	BodyEncoder,
	Connection,
	CredentialAtHand,
	HopProxy,
	Identity,
	RuleInfo,
} from '../strategy/index.ts';
import type {CallersAgent} from '../tls/callers-agents.ts';
import type {ProxyServer} from '../tls/way-out.ts';
import type {TrustStore} from '../trust/trust-stores.ts';
import {mergeQuery} from './query.ts';

/** What a transport knows about a request that its options do not say. */
export interface HopContext {
	/** Pass the token cache over, once. */
	readonly fresh: boolean;
	/** Whose tokens to use, where the caller says. */
	readonly tenant?: string | undefined;
	/** Whether the request can be sent again. */
	readonly replayable: boolean;
	/** Whose function sends; the caller's own is shown the whole request. Default: the transport's. */
	readonly sender?: 'caller' | 'transport';
	/**
	 * Read the body, and send what was read from then on; absent: there is no body.
	 *
	 * @throws {StrategyError} where it cannot be read, or is too large.
	 */
	readBody?: (() => Promise<Uint8Array | undefined>) | undefined;
	/** How many bytes the body has, where that is known; absent: the transport does not send it, so nobody can encode it. */
	bodyLength?: (() => number | undefined) | undefined;
	/** Path and query to the byte, where the transport sends them as its caller wrote them; absent: those of the URL. */
	readonly requestTarget?: string | undefined;
	/** The caller's signal: once it is aborted, nothing more is sent. */
	readonly signal?: AbortSignal | undefined;
	/** Have the connection for the next leg ready; absent: the transport cannot. */
	connect?: ((request: HopRequest, timeout: number) => Promise<Connection | undefined>) | undefined;
	/** The client certificate that was shown, once it was: for the explanation of a refusal. */
	shown?: Identity | undefined;
}

/** What a route is chosen by: a URL, or what takes less than one to make. */
export type Place = Pick<URL, 'protocol' | 'host' | 'hostname' | 'port' | 'pathname' | 'origin'>;

/** The rule that names a proxy, in use. */
export interface ProxyRule {
	readonly info: RuleInfo;
	readonly strategy: AuthStrategy;
}

/** What is to be done for one hop. */
export interface Route {
	/** Absent: no rule matches, only a trust store. */
	readonly rule?:
		| {
				readonly info: RuleInfo;
				readonly strategy: AuthStrategy;
				/** Whether its answers are meant for one credential only. */
				readonly carriesCredential: boolean;
				readonly isConnectionBound?: boolean | undefined;
		  }
		| undefined;
	readonly trust?: TrustStore | undefined;
	readonly events: Events;
	/** What tells its way out from others: connections are shared with routes of the same one only. */
	readonly way: object;
	/** What holds for every request to the origin, decided once; absent where its paths or methods have several routes. */
	readonly ofOrigin?: {
		readonly proxy: ProxyServer | undefined;
		/** The agent for plain http; absent for https. */
		readonly plainAgent: HttpAgent | undefined;
	};
	/** The TLS agent for an identity under this hop's trust store, in the place of the caller's. */
	agentFor(identity: Identity | undefined, callers?: CallersAgent): Agent;
	/** The agent for plain http to a URL. */
	plainAgentFor(url: Place): HttpAgent;
	/** Whether plain http to a URL is safe only because it does not leave this machine. */
	staysHere(url: Place): boolean;
	/** The proxy for a URL, by the configuration or the environment. */
	proxyFor(url: Place): ProxyServer | undefined;
	/** Where that is asked for whole URLs, and wants what a host rule that names it says: the rule. */
	proxyRuleFor(url: Place): {readonly proxy: ProxyServer; readonly rule: ProxyRule} | undefined;
	/** The same for connections that belong to one owner within the rule, or go through a proxy that its strategy names. */
	ownAgentFor(owner: string, url: URL, identity: Identity | undefined, through?: HopProxy): HttpAgent;
}

/** Decides routes. `undefined`: the hop is none of gatepass's business. */
export interface Router {
	route(url: Place, method: string): Route | undefined;
	/** Whether the answer is meant for one credential only. */
	carriesCredential(url: URL, method: string): boolean;
}

/** A router that can also leave the rules out of a request, and only those: its server is verified all the same. */
export interface SwitchableRouter extends Router {
	readonly withoutRules: Router;
	/** A request that no rule matches got this status: what a person wonders about is told, once for each origin. */
	tellUnmatched(url: URL, status: number): void;
}

/** What transports set among a strategy's headers. */
const ofTransport: ReadonlySet<string> = new Set(['content-length', 'cookie', 'proxy-authorization']);

/** Header values as Node takes them, by name as the caller wrote it. */
export type HeaderRecord = Record<string, string | string[] | number | undefined>;

/**
 * A header's name as it is sent. Case means nothing in HTTP (RFC 9110 section 5.1), but XRootD 5.5, whose
 * `http.header2cgi Authorization authz` is in the grid's configurations, knows this one by this spelling alone.
 */
export function spelled(name: string): string {
	return name === 'authorization' ? 'Authorization' : name;
}

/** The request as its strategy sees it. The headers are a copy; so is the URL, made when somebody asks for it. */
export class HopRequest implements AuthRequest {
	readonly method: string;
	readonly headers: HopHeaders;
	readonly fresh: boolean;
	readonly tenant: string | undefined;
	body: Uint8Array | undefined;
	identity: Identity | undefined;
	connectionOwner: string | undefined;
	proxy: HopProxy | undefined;
	refusal: GatepassError | undefined;
	readonly #connect: HopContext['connect'];
	readonly #read: HopContext['readBody'];
	readonly #length: HopContext['bodyLength'];
	readonly #requestTarget: string | undefined;
	/** What makes of the body's bytes what is sent, where the strategy wants that. */
	encoder: BodyEncoder | undefined;
	#replayable: boolean;
	#reading: Promise<void> | undefined;
	/** The owner that {@link HopRequest.bindConnection} has set. */
	#bound: string | undefined;
	readonly #original: URL;
	#copy: URL | undefined;

	constructor(url: URL, method: string, headers: HeaderRecord, context: HopContext, rule?: RuleInfo) {
		this.#original = url;
		this.method = method;
		this.headers = new HopHeaders(headers);
		this.fresh = context.fresh;
		this.#replayable = context.replayable;
		this.tenant = context.tenant ?? rule?.tenant;
		this.#connect = context.connect;
		this.#read = context.readBody;
		this.#length = context.bodyLength;
		this.#requestTarget = context.requestTarget;
	}

	get requestTarget(): string {
		return this.#requestTarget ?? this.#original.pathname + this.#original.search;
	}

	get bodyLength(): number | undefined {
		return this.body?.byteLength ?? this.#length?.();
	}

	get encodeBody(): AuthRequest['encodeBody'] {
		if (this.#length === undefined) return undefined;
		return encoder => {
			this.encoder = encoder;
		};
	}

	/** What was read into memory can be sent again. */
	get replayable(): boolean {
		return this.#replayable;
	}

	async readBody(): Promise<Uint8Array | undefined> {
		this.#reading ??= this.#readOnce();
		await this.#reading;
		return this.body;
	}

	async #readOnce(): Promise<void> {
		if (this.#read === undefined) return;
		this.body = await this.#read();
		this.#replayable = true;
	}

	async openConnection(timeout: number): Promise<Connection | undefined> {
		return this.#connect?.(this, timeout);
	}

	get url(): URL {
		this.#copy ??= new URL(this.#original);
		return this.#copy;
	}

	/** The URL to send to: the original where the strategy left it alone. */
	get target(): URL {
		if (this.#copy === undefined || !this.addsQuery) return this.#copy ?? this.#original;
		const target = new URL(this.#copy);
		target.search = mergeQuery(this.#original, this.#copy);
		return target;
	}

	/** Whether the strategy added query parameters. */
	get addsQuery(): boolean {
		return this.#copy !== undefined && this.#copy.search !== this.#original.search;
	}

	/** Whether this is all that the strategy wants of the leg. */
	showsOnly({header: [name, value] = ['', ''], identity}: CredentialAtHand): boolean {
		const {changed} = this.headers;
		const isHeader =
			name === ''
				? changed.length === 0
				: changed.every(one => one.toLowerCase() === name) && this.headers.get(name) === value;
		return (
			isHeader &&
			this.identity === identity &&
			this.connectionOwner === undefined &&
			this.proxy === undefined &&
			this.encoder === undefined &&
			!this.addsQuery
		);
	}

	/** By what is shown, not by who is meant: what a server makes of it, nobody else knows. */
	bindConnection(): void {
		if (this.connectionOwner !== undefined && this.connectionOwner !== this.#bound) return;
		const {record, changed} = this.headers;
		const shown = [...new Set(changed)]
			.filter(name => !ofTransport.has(name.toLowerCase()))
			.map(name => [name, record[name]]);
		const text = JSON.stringify([this.tenant, shown, this.addsQuery ? this.target.search : '']);
		this.#bound = createHash('sha256').update(text).digest('base64url');
		this.connectionOwner = this.#bound;
	}

	/** A strategy may add query parameters; with another origin or path, another rule would be right. */
	checkUrl(rule: RuleInfo): void {
		const copy = this.#copy;
		if (copy === undefined || copy.href === this.#original.href) return;
		if (copy.origin !== this.#original.origin || copy.pathname !== this.#original.pathname) {
			throw new StrategyError({
				code: 'strategy-changed-target',
				what: `The strategy '${rule.strategy}' (${rule.source}) changed where the request goes`,
				hint: 'It may add query parameters only',
			});
		}
	}
}

export class HopHeaders implements AuthHeaders {
	/** For the transport: all headers, the caller's among them. */
	readonly record: HeaderRecord;
	/** The names that the strategy has set or deleted, as they stand in the record. */
	readonly changed: string[] = [];

	constructor(record: HeaderRecord) {
		this.record = record;
	}

	/** The record with the names that the strategy has changed as they are sent: {@link spelled}. */
	asSent(): HeaderRecord {
		const {authorization, ...others} = this.record;
		return authorization === undefined || !this.changed.includes('authorization')
			? this.record
			: {...others, [spelled('authorization')]: authorization};
	}

	names(): readonly string[] {
		const names: string[] = [];
		for (const name in this.record) if (this.record[name] !== undefined) names.push(name.toLowerCase());
		return names;
	}

	get(name: string): string | undefined {
		const value = this.record[this.#keyOf(name)];
		return Array.isArray(value) ? value.join(', ') : value?.toString();
	}

	has(name: string): boolean {
		return this.get(name) !== undefined;
	}

	set(name: string, value: string): void {
		const key = this.#keyOf(name);
		this.record[key] = value;
		this.changed.push(key);
	}

	delete(name: string): void {
		const key = this.#keyOf(name);
		delete this.record[key];
		this.changed.push(key);
	}

	/** got hands over lower-case names; other transports may not. */
	#keyOf(name: string): string {
		const lower = name.toLowerCase();
		if (lower in this.record) return lower;
		for (const key of Object.keys(this.record)) {
			if (key.length === lower.length && key.toLowerCase() === lower) return key;
		}
		return lower;
	}
}
