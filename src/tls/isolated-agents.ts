/** Agents whose connections belong to one owner within one rule: for servers that bind a connection to its user. */
import type {Agent} from 'node:http';
import type {Identity} from '../strategy/services.ts';
import type {TrustStore} from '../trust/trust-stores.ts';
import {TlsAgents} from './agents.ts';
import {PlainAgents} from './plain-agent.ts';
import type {WayOut} from './way-out.ts';

interface Agents {
	readonly http: PlainAgents;
	readonly tls: TlsAgents;
}

/** Owners of one rule whose connections are kept: renewed tokens and tenants come and go. */
export const mostOwners = 500;

function letGoOfOldest(byOwner: Map<string, Agents>): void {
	for (const [owner, {http, tls}] of byOwner) {
		byOwner.delete(owner);
		http.letGo();
		tls.letGo();
		return;
	}
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
		url: URL,
		identity: Identity | undefined,
		trust: TrustStore | undefined,
		{way}: {way?: WayOut | undefined} = {},
	): Agent {
		let byOwner = this.#agents.get(rule);
		if (byOwner === undefined) {
			byOwner = new Map();
			this.#agents.set(rule, byOwner);
		}
		let agents = byOwner.get(owner);
		agents ??= {http: new PlainAgents(), tls: new TlsAgents({keepSessions: false})};
		// The one that was used last stands last.
		byOwner.delete(owner);
		byOwner.set(owner, agents);
		if (byOwner.size > mostOwners) letGoOfOldest(byOwner);
		return url.protocol === 'https:'
			? agents.tls.for(identity, trust, {way})
			: agents.http.for(way?.proxyFor(url), way);
	}

	/** Let the connections of `identity` end: idle ones now, those in use when their requests are through. */
	retire(identity: Identity): void {
		for (const byOwner of this.#agents.values()) for (const {tls} of byOwner.values()) tls.retire(identity);
	}

	/** Close all connections. */
	close(): void {
		for (const byOwner of this.#agents.values()) {
			for (const {http, tls} of byOwner.values()) {
				http.close();
				tls.close();
			}
		}
		this.#agents.clear();
	}
}
