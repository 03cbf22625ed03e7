/** Agents whose connections belong to one owner within one rule: for servers that bind a connection to its user. */
import {Agent} from 'node:http';
import type {Identity} from '../strategy/services.ts';
import type {TrustStore} from '../trust/trust-stores.ts';
import {TlsAgents} from './agents.ts';
import {keptAlive} from './kept-alive.ts';

interface Agents {
	readonly http: Agent;
	readonly tls: TlsAgents;
}

export class OwnedAgents {
	/** By rule, then by owner. */
	readonly #agents = new Map<unknown, Map<string, Agents>>();

	/**
	 * The agent for connections of `owner` under `rule`, which may be any object that stands for it.
	 * Sessions are not resumed, so that the server's certificate is known on each connection.
	 */
	for(
		rule: unknown,
		owner: string,
		protocol: string,
		identity: Identity | undefined,
		trust: TrustStore | undefined,
	): Agent {
		let byOwner = this.#agents.get(rule);
		if (byOwner === undefined) {
			byOwner = new Map();
			this.#agents.set(rule, byOwner);
		}
		let agents = byOwner.get(owner);
		if (agents === undefined) {
			agents = {http: new Agent(keptAlive), tls: new TlsAgents({keepSessions: false})};
			byOwner.set(owner, agents);
		}
		return protocol === 'https:' ? agents.tls.for(identity, trust) : agents.http;
	}

	/** Let the connections of `identity` end: idle ones now, those in use when their requests are through. */
	retire(identity: Identity): void {
		for (const byOwner of this.#agents.values()) for (const {tls} of byOwner.values()) tls.retire(identity);
	}

	/** Close all connections. */
	close(): void {
		for (const byOwner of this.#agents.values()) {
			for (const {http, tls} of byOwner.values()) {
				http.destroy();
				tls.close();
			}
		}
		this.#agents.clear();
	}
}
