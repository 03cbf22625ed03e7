/** The identities of one gatepass: all rules that name the same files share one, and with it its connections. */
import {CredentialUnavailableError} from '../errors.ts';
import {Events} from '../observability/events.ts';
import type {Environment, Identities, Identity, IdentitySource, IdentityText} from '../strategy/services.ts';
import {type Discovery, type DiscoverySettings, discover, nothingFound} from './discover.ts';
import {adoptIdentity, type IdentityPlace} from './read-identity.ts';
import {type IdentityServices, WatchedIdentity} from './revalidated-identity.ts';
import {WatchedSource} from './revalidated-source.ts';

export interface IdentityStoreSettings extends Partial<IdentityServices>, DiscoverySettings {}

export class IdentityStore implements Identities {
	readonly #folder: string;
	readonly #environment: Environment;
	readonly #settings: DiscoverySettings;
	readonly #services: IdentityServices;
	/** By the source itself, so that a strategy's own is found at once; and by what it says. */
	readonly #bySource = new WeakMap<IdentitySource, WatchedSource>();
	readonly #sources = new Map<string, WatchedSource>();
	readonly #places = new Map<string, WatchedIdentity>();

	/** @param folder where relative paths in sources start. */
	constructor(
		folder: string,
		environment: Environment,
		{
			proxyFolder,
			lineages,
			events = new Events(),
			retire = () => {},
			...services
		}: IdentityStoreSettings = {},
	) {
		this.#folder = folder;
		this.#environment = environment;
		this.#settings = {proxyFolder, lineages};
		this.#services = {events, retire, ...services};
	}

	load(source: IdentitySource): Promise<Identity> {
		return (this.#bySource.get(source) ?? this.#watch(source)).load();
	}

	atHand(source: IdentitySource): Identity | undefined {
		return this.#bySource.get(source)?.atHand;
	}

	explain(source: IdentitySource): readonly string[] {
		const complaint = this.#watch(source).complaint;
		const keeps = complaint === undefined ? [] : [`The certificate read before stays in use: ${complaint}`];
		try {
			const {found, passedOver} = this.#discover(source);
			const places = passedOver.map(({place, reason}) => `${place}: passed over: ${reason}`);
			return [...places, ...(found === undefined ? [] : [describe(found)]), ...keeps];
		} catch (error) {
			if (!(error instanceof CredentialUnavailableError)) throw error;
			return [error.message, ...keeps];
		}
	}

	adopt(text: IdentityText): Promise<Identity> {
		return adoptIdentity(text, this.#services.judge);
	}

	release(identity: Identity): void {
		this.#services.retire(identity);
	}

	/**
	 * Where the identity of a source is, whether it can be used or not.
	 *
	 * @throws {CredentialUnavailableError} where there is none.
	 */
	find(source: IdentitySource): IdentityPlace {
		const discovery = this.#discover(source);
		if (discovery.found === undefined) throw nothingFound(discovery);
		return discovery.found;
	}

	#discover(source: IdentitySource): Discovery {
		return discover(source, this.#folder, this.#environment, this.#settings);
	}

	#watch(source: IdentitySource): WatchedSource {
		const {certificate, key, pkcs12, proxy, passphrase, directory, lineage} = source;
		const {requireRobot, alias, thumbprint} = source;
		const place = {certificate, key, pkcs12, proxy, passphrase, directory, lineage};
		const copy = {...place, requireRobot, alias, thumbprint};
		const name = JSON.stringify(Object.values(copy));
		let watched = this.#sources.get(name);
		if (watched === undefined) {
			watched = new WatchedSource(
				() => this.#discover(copy),
				place => this.#open(place),
				this.#services,
			);
			this.#sources.set(name, watched);
		}
		this.#bySource.set(source, watched);
		return watched;
	}

	#open(place: IdentityPlace): WatchedIdentity {
		const {kind, certificate, key, passphrase, requireRobot = false, alias, thumbprint} = place;
		// A proxy and a pair in one file are read alike. What only one rule demands must not be given to another unseen.
		const parts = [kind === 'pkcs12', certificate, key, passphrase, requireRobot, alias, thumbprint];
		const name = JSON.stringify(parts);
		let watched = this.#places.get(name);
		if (watched === undefined) {
			watched = new WatchedIdentity(place, this.#services);
			this.#places.set(name, watched);
		}
		return watched;
	}
}

function describe({certificate, key, namedBy}: IdentityPlace): string {
	const files = certificate === key ? certificate : `${certificate} with ${key}`;
	return `${files}: ${namedBy === 'discovery' ? 'taken' : `named by ${namedBy}`}`;
}
