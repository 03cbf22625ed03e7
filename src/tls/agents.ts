/**
 * One TLS agent per identity and trust store.
 *
 * Node's own pool is never left to tell identities apart: with `pfx` or `secureContext` it has reused one user's
 * socket for another (CVE-2026-56850, CVE-2026-58040). Each agent here has one secure context, made again only when CA
 * files change, which also spares parsing the CA certificates for each socket.
 */
import type {KeyObject} from 'node:crypto';
import type {Agent} from 'node:https';
import {createSecureContext, type SecureContext} from 'node:tls';
import {CertificateError} from '../errors.ts';
import type {Identity} from '../strategy/services.ts';
import type {TrustStore} from '../trust/trust-stores.ts';
import {publicKeyIn} from './not-shown.ts';
import {TrustingAgent} from './verifying-agent.ts';

/** Stands for "no identity" and "the system's roots" among the keys. */
const none = Symbol('none');

/**
 * Identities that others have taken the place of. A request that was begun with one may still ask for its agent; the
 * connections of that agent are then not kept.
 */
const retired = new WeakSet<Identity>();

export class TlsAgents {
	readonly #keepSessions: boolean;
	readonly #agents = new Map<Identity | typeof none, Map<TrustStore | typeof none, Agent>>();

	/**
	 * @param settings `keepSessions`: resume TLS sessions. Node does not know the server's certificate on a connection
	 * that resumes one. Default: `true`.
	 */
	constructor({keepSessions = true}: {keepSessions?: boolean} = {}) {
		this.#keepSessions = keepSessions;
	}

	/** The agent for connections that show `identity` and verify the server against `trust`. */
	for(identity: Identity | undefined, trust: TrustStore | undefined): Agent {
		let byTrust = this.#agents.get(identity ?? none);
		if (byTrust === undefined) {
			byTrust = new Map();
			this.#agents.set(identity ?? none, byTrust);
		}
		let agent = byTrust.get(trust ?? none);
		if (agent === undefined) {
			agent = createAgent(identity, trust, this.#keepSessions);
			if (identity !== undefined && retired.has(identity)) keepNoConnections(agent);
			byTrust.set(trust ?? none, agent);
		}
		return agent;
	}

	/** Let the connections of `identity` end: idle ones now, those in use when their requests are through. */
	retire(identity: Identity): void {
		retired.add(identity);
		const agents = [...(this.#agents.get(identity)?.values() ?? [])];
		for (const agent of agents) keepNoConnections(agent);
		this.#forgetEnded();
		for (const socket of agents.flatMap(({sockets}) => Object.values(sockets).flat())) {
			socket?.once('close', () => this.#forgetEnded());
		}
	}

	/** Close all connections. */
	close(): void {
		for (const byTrust of this.#agents.values()) for (const agent of byTrust.values()) agent.destroy();
		this.#agents.clear();
	}

	/** Let go of agents that nobody will ask for again: with each one goes a private key. */
	#forgetEnded(): void {
		for (const [identity, byTrust] of this.#agents) {
			if (identity === none || !retired.has(identity)) continue;
			for (const [trust, agent] of byTrust) if (!isInUse(agent)) byTrust.delete(trust);
			if (byTrust.size === 0) this.#agents.delete(identity);
		}
	}
}

/** Node closes the connections in use once their requests are through; the idle ones are closed here. */
function keepNoConnections(agent: Agent): void {
	(agent as {keepAlive?: boolean}).keepAlive = false;
	for (const socket of Object.values(agent.freeSockets).flat()) socket?.destroy();
}

function isInUse({sockets, requests}: Agent): boolean {
	return [sockets, requests].some(pool => Object.values(pool).some(queue => (queue?.length ?? 0) > 0));
}

function createAgent(
	identity: Identity | undefined,
	trust: TrustStore | undefined,
	keepSessions: boolean,
): Agent {
	const makeContext = (): SecureContext => {
		const ca = trust === undefined ? {} : {ca: [...trust.certificates()]};
		try {
			return createSecureContext({...identity?.material(), ...ca});
		} catch (error) {
			const files = [identity?.files.certificate, identity?.files.key, ...(trust?.files ?? [])].filter(
				Boolean,
			);
			const {code} = error as NodeJS.ErrnoException;
			throw new CertificateError({
				code: 'certificate-refused-by-openssl',
				what: `OpenSSL does not take ${files.join(', ')} (${code})`,
				hint: 'Check that they are whole and strong enough',
			});
		}
	};
	let key: KeyObject | undefined;
	const shownKey = (): KeyObject | undefined => {
		if (identity !== undefined) key ??= publicKeyIn(identity.material().cert);
		return key;
	};
	return new TrustingAgent({trust, makeContext, shownKey, ...(!keepSessions && {maxCachedSessions: 0})});
}
