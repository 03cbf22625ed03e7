/** One configuration in force, with what the proxy asks of it. When it is replaced, what it has begun is finished. */
import {isIP} from 'node:net';
import type {Duplex} from 'node:stream';
import type {Dispatcher} from 'undici';
import type {ServeSettings} from '../config/serve-settings.ts';
import type {Gatepass, ServingGatepass} from '../gatepass.ts';
import type {BoundRule} from '../hop/router.ts';
import type {Pattern} from '../host-rules/pattern.ts';
import {withoutTrailingDot} from '../strategy/hosts.ts';
import type {ProxyServer} from '../tls/way-out.ts';
import {loadUndici} from '../transports/undici/load.ts';
import {guardedLookup, refusalOfName} from './targets.ts';

/** Answers that are remembered: clients choose the hosts, so there is an end to it. */
const mostRemembered = 10_000;

export class Generation {
	readonly gatepass: Gatepass;
	readonly settings: ServeSettings;
	/** Whether there is an authority to renew certificates with. */
	readonly renewsCertificates: boolean;
	readonly #serving: ServingGatepass;
	readonly #patterns: readonly Pattern[];
	readonly #remembered = new Map<string, boolean>();
	readonly #guarded = new Map<boolean, {dispatcher: Dispatcher; agent: Dispatcher}>();
	#users = 0;
	#retired: PromiseWithResolvers<void> | undefined;

	constructor(serving: ServingGatepass) {
		this.gatepass = serving.gatepass;
		this.settings = serving.configuration.serve;
		this.renewsCertificates = serving.configuration.certificates.server !== undefined;
		this.#serving = serving;
		this.#patterns = serving.configuration.hostRules
			.filter(({strategy}) => strategy !== 'none')
			.flatMap(({patterns}) => patterns);
	}

	/** The patterns of all rules that show a credential. */
	get patterns(): readonly Pattern[] {
		return this.#patterns;
	}

	ruleFor(url: URL, method: string): BoundRule | undefined {
		return this.#serving.ruleFor(url, method);
	}

	/** Whether a rule may show a credential to some URL of this server. */
	hasRule(scheme: 'http' | 'https', hostname: string, port: number): boolean {
		const isDefault = port === (scheme === 'https' ? 443 : 80);
		const host = withoutTrailingDot(hostname);
		return this.#remember(`${scheme} ${host} ${port}`, () =>
			this.#patterns.some(
				pattern =>
					pattern.scheme === scheme &&
					matchesHost(pattern, host) &&
					(pattern.port === '*' || pattern.port === (isDefault ? '' : String(port))),
			),
		);
	}

	/** Whether a rule names this very host and port. */
	names(hostname: string, port: number): boolean {
		const host = withoutTrailingDot(hostname);
		return this.#remember(`named ${host} ${port}`, () =>
			this.#patterns.some(
				({kind, host: named, scheme, port: own}) =>
					kind === 'exact' &&
					named === host &&
					(own === '*' || Number(own || (scheme === 'https' ? 443 : 80)) === port),
			),
		);
	}

	isPinned(hostname: string): boolean {
		return this.settings.pinned.some(pattern => matchesHost(pattern, withoutTrailingDot(hostname)));
	}

	/** The first of the proxies on the way out for which this is true. */
	findProxy(isWanted: (hostname: string, port: number) => boolean): ProxyServer | undefined {
		return this.#serving.proxies.find(({url}) => isWanted(url.hostname, portOf(url)));
	}

	/** The proxy on the way out to a URL. */
	proxyFor(url: URL): ProxyServer | undefined {
		return this.#serving.wayFor(url).proxyFor(url);
	}

	/** A tunnel through the proxy on the way out; `undefined`: there is none. */
	openTunnel(hostname: string, port: number): Promise<Duplex> | undefined {
		const host = addressIn(hostname) ?? hostname;
		return this.#serving.wayFor(new URL(`https://${hostname}:${port}`)).open({host, port});
	}

	/**
	 * Why nobody is led to what the name in a URL stands for now; `undefined`: nothing speaks against it. Where a proxy
	 * is on the way out, names are looked up by it.
	 */
	async refusalOf(url: URL): Promise<string | undefined> {
		if (this.names(url.hostname, portOf(url)) || this.proxyFor(url) !== undefined) return undefined;
		return refusalOfName(url.hostname);
	}

	/**
	 * Sends to servers that clients choose, and so not to every address. Where a proxy is on the way out, names are
	 * looked up by it.
	 */
	guardedDispatcher(url: URL): Dispatcher {
		if (this.proxyFor(url) !== undefined) return this.gatepass.dispatcher;
		const isNamed = this.names(url.hostname, portOf(url));
		let made = this.#guarded.get(isNamed);
		if (made === undefined) {
			const {Agent} = loadUndici();
			const agent = new Agent({connect: {lookup: guardedLookup(isNamed), rejectUnauthorized: true}});
			made = {agent, dispatcher: this.gatepass.intercept(agent)};
			this.#guarded.set(isNamed, made);
		}
		return made.dispatcher;
	}

	/** A request begins. */
	enter(): void {
		this.#users += 1;
	}

	/** It is over: once for each that has begun. */
	leave(): void {
		this.#users -= 1;
		if (this.#users === 0) this.#retired?.resolve();
	}

	/** Close it when what it has begun is through, or `deadline` is over. */
	async retire(deadline?: Promise<unknown>): Promise<void> {
		this.#retired ??= Promise.withResolvers();
		if (this.#users === 0) this.#retired.resolve();
		await Promise.race([this.#retired.promise, ...(deadline === undefined ? [] : [deadline])]);
		for (const {agent} of this.#guarded.values()) agent.destroy(null).catch(() => {});
		await this.gatepass.close();
	}

	#remember(key: string, find: () => boolean): boolean {
		const known = this.#remembered.get(key);
		if (known !== undefined) return known;
		if (this.#remembered.size >= mostRemembered) this.#remembered.clear();
		const found = find();
		this.#remembered.set(key, found);
		return found;
	}
}

/** @param host as `URL.hostname` gives it, without a dot at its end. */
export function matchesHost({kind, host: named}: Pattern, host: string): boolean {
	if (kind === 'any') return true;
	return kind === 'exact' ? host === named : host.endsWith(`.${named}`);
}

/** The port of a URL, also where it is the scheme's own. */
export function portOf({protocol, port}: URL): number {
	return Number(port || (protocol === 'https:' ? 443 : 80));
}

/** An address as Node takes it, without brackets; `undefined` for a name. */
export function addressIn(hostname: string): string | undefined {
	const bare = hostname.replace(/^\[(.*)\]$/, '$1');
	return isIP(bare) === 0 ? undefined : bare;
}
