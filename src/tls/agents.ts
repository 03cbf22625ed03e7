/**
 * One TLS agent per identity and trust store.
 *
 * Node's own pool is never left to tell identities apart: with `pfx` or `secureContext` it has reused one user's
 * socket for another (CVE-2026-56850, CVE-2026-58040). Each agent here has one secure context, made again only when CA
 * files change, which also spares parsing the CA certificates for each socket.
 */
import type {KeyObject} from 'node:crypto';
import type {Agent as HttpAgent} from 'node:http';
import type {Agent, AgentOptions} from 'node:https';
import {createSecureContext, type SecureContext, type SecureContextOptions} from 'node:tls';
import {CertificateError} from '../errors.ts';
import type {Identity} from '../strategy/services.ts';
import type {TrustStore} from '../trust/trust-stores.ts';
import type {CallersAgent} from './callers-agents.ts';
import {publicKeyIn} from './not-shown.ts';
import {TrustingAgent, type Way} from './verifying-agent.ts';

/** Stands for "no identity" and "the system's roots" among the keys. */
const none = Symbol('none');

/**
 * Identities that others have taken the place of. A request that was begun with one may still ask for its agent; the
 * connections of that agent are then not kept.
 */
const retired = new WeakSet<Identity>();

type ByTrust = Map<TrustStore | typeof none, Agent>;
type ByIdentity = Map<Identity | typeof none, ByTrust>;

/** Whose connections an agent makes, and by which way. */
export interface AgentSettings {
	/** In whose place it stands. */
	readonly callers?: CallersAgent | undefined;
	/** Default: directly. One object for one way, so it serves as a key. */
	readonly way?: Way | undefined;
}

export class TlsAgents {
	readonly #keepSessions: boolean;
	/** By what else there is to say of them: agents of callers, ways out. They go when that goes. */
	readonly #others = new WeakMap<object, ByIdentity>();
	readonly #all = new Set<WeakRef<ByIdentity>>();
	readonly #agents: ByIdentity;

	/**
	 * @param settings `keepSessions`: resume TLS sessions. Node does not know the server's certificate on a connection
	 * that resumes one. Default: `true`.
	 */
	constructor({keepSessions = true}: {keepSessions?: boolean} = {}) {
		this.#keepSessions = keepSessions;
		this.#agents = this.#group();
	}

	/** The agent for connections that show `identity` and verify the server against `trust`. */
	for(identity: Identity | undefined, trust: TrustStore | undefined, settings: AgentSettings = {}): Agent {
		const agents = this.#agentsOf(settings);
		let byTrust = agents.get(identity ?? none);
		if (byTrust === undefined) {
			byTrust = new Map();
			agents.set(identity ?? none, byTrust);
		}
		let agent = byTrust.get(trust ?? none);
		if (agent === undefined) {
			agent = createAgent(identity, trust, this.#keepSessions, settings);
			if (identity !== undefined && retired.has(identity)) keepNoConnections(agent);
			byTrust.set(trust ?? none, agent);
		}
		return agent;
	}

	/** Let the connections of `identity` end: idle ones now, those in use when their requests are through. */
	retire(identity: Identity): void {
		retired.add(identity);
		const agents = this.#groups().flatMap(group => [...(group.get(identity)?.values() ?? [])]);
		for (const agent of agents) keepNoConnections(agent);
		this.#forgetEnded();
		for (const socket of agents.flatMap(({sockets}) => Object.values(sockets).flat())) {
			socket?.once('close', () => this.#forgetEnded());
		}
	}

	/** Let all connections end: idle ones now, those in use when their requests are through. */
	letGo(): void {
		for (const group of this.#groups()) {
			for (const byTrust of group.values()) for (const agent of byTrust.values()) keepNoConnections(agent);
			group.clear();
		}
	}

	/** Close all connections. */
	close(): void {
		for (const group of this.#groups()) {
			for (const byTrust of group.values()) for (const agent of byTrust.values()) agent.destroy();
			group.clear();
		}
	}

	/** Let go of agents that nobody will ask for again: with each one goes a private key. */
	#forgetEnded(): void {
		for (const group of this.#groups()) {
			for (const [identity, byTrust] of group) {
				if (identity === none || !retired.has(identity)) continue;
				for (const [trust, agent] of byTrust) if (!isInUse(agent)) byTrust.delete(trust);
				if (byTrust.size === 0) group.delete(identity);
			}
		}
	}

	#agentsOf({callers, way}: AgentSettings): ByIdentity {
		const others = callers === undefined ? way : way === undefined ? callers : wayOf(callers, way);
		if (others === undefined) return this.#agents;
		let group = this.#others.get(others);
		if (group === undefined) {
			group = this.#group();
			this.#others.set(others, group);
		}
		return group;
	}

	#group(): ByIdentity {
		const group: ByIdentity = new Map();
		for (const known of this.#all) if (known.deref() === undefined) this.#all.delete(known);
		this.#all.add(new WeakRef(group));
		return group;
	}

	#groups(): ByIdentity[] {
		return [...this.#all].map(known => known.deref()).filter(group => group !== undefined);
	}
}

/** One object for each pair of a caller's agent and a way. */
const pairs = new WeakMap<CallersAgent, WeakMap<Way, object>>();

function wayOf(callers: CallersAgent, way: Way): object {
	let byWay = pairs.get(callers);
	if (byWay === undefined) {
		byWay = new WeakMap();
		pairs.set(callers, byWay);
	}
	let pair = byWay.get(way);
	if (pair === undefined) {
		pair = {};
		byWay.set(way, pair);
	}
	return pair;
}

/** Node closes the connections in use once their requests are through; the idle ones are closed here. */
export function keepNoConnections(agent: HttpAgent): void {
	(agent as {keepAlive?: boolean}).keepAlive = false;
	for (const socket of Object.values(agent.freeSockets).flat()) socket?.destroy();
}

function isInUse({sockets, requests}: Agent): boolean {
	return [sockets, requests].some(pool => Object.values(pool).some(queue => (queue?.length ?? 0) > 0));
}

/** A rule's identity takes the place of the caller's. */
const ofIdentity = ['cert', 'key', 'pfx', 'passphrase', 'clientCertEngine'];

function createAgent(
	identity: Identity | undefined,
	trust: TrustStore | undefined,
	keepSessions: boolean,
	{callers, way}: AgentSettings,
): Agent {
	const makeContext = (requested: SecureContextOptions): SecureContext => {
		const ca = trust === undefined ? {} : {ca: [...trust.certificates()]};
		const own = identity === undefined ? requested : without(requested, ofIdentity);
		try {
			return createSecureContext({...own, ...identity?.material(), ...ca});
		} catch (error) {
			const files = [identity?.files.certificate, identity?.files.key, ...(trust?.files ?? [])].filter(
				Boolean,
			);
			const {code} = error as NodeJS.ErrnoException;
			throw new CertificateError({
				code: 'certificate-refused-by-openssl',
				what:
					files.length === 0
						? `OpenSSL does not take what the caller gave for TLS (${code})`
						: `OpenSSL does not take ${files.join(', ')} (${code})`,
				hint: 'Check that they are whole and strong enough',
			});
		}
	};
	let key: KeyObject | undefined;
	const shownKey = (): KeyObject | undefined => {
		if (identity !== undefined) key ??= publicKeyIn(identity.material().cert);
		return key;
	};
	const options = without(callers?.options ?? {}, identity === undefined ? [] : ofIdentity) as AgentOptions;
	return new TrustingAgent({
		...options,
		trust,
		makeContext,
		shownKey,
		way: callers?.way ?? way,
		...(!keepSessions && {maxCachedSessions: 0}),
	});
}

function without<Options extends object>(options: Options, names: readonly string[]): Options {
	return Object.fromEntries(Object.entries(options).filter(([name]) => !names.includes(name))) as Options;
}
