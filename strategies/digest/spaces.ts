/**
 * The protection spaces that are known, by origin and realm (RFC 9110 section 11.5). A server may have several, in
 * different places: each keeps its nonce, so that requests in turn are not refused in turn.
 */
import type {ProtectionSpace} from './protection-space.ts';

/** Origins of which a nonce is kept; a rule for `*` may meet any number of them. */
const mostOrigins = 1000;
/** Realms of one origin, and places of one realm: more than any server has that means well. */
const mostRealms = 20;
const mostPlaces = 100;

interface Known {
	readonly space: ProtectionSpace;
	/** Paths below which it is, each with a slash at its end. */
	readonly places: Set<string>;
}

export class ProtectionSpaces {
	/** By origin, then by realm, the last one that was used at the end. */
	readonly #origins = new Map<string, Map<string, Known>>();

	/** The one that a request to a path is in, as far as can be told: that of the nearest place, or else the last one. */
	find({origin, pathname}: URL): ProtectionSpace | undefined {
		const realms = this.#origins.get(origin);
		if (realms === undefined) return undefined;
		let best: ProtectionSpace | undefined;
		let longest = -1;
		for (const {space, places} of realms.values()) {
			// One realm is most likely the whole server's (RFC 7616 section 3.3, `domain`).
			let near = 0;
			if (realms.size > 1)
				for (const place of places) {
					if (place.length > near && `${pathname}/`.startsWith(place)) near = place.length;
				}
			if (near < longest) continue;
			longest = near;
			best = space;
		}
		return best;
	}

	/** The server wants this one for a request. */
	keep(url: URL, space: ProtectionSpace): void {
		const {origin, pathname} = url;
		const realms = this.#origins.get(origin) ?? new Map<string, Known>();
		this.#origins.delete(origin);
		put(this.#origins, origin, realms, mostOrigins);
		const realm = space.realm;
		const places = realms.get(realm)?.places ?? new Set<string>();
		const own = [pathname.slice(0, pathname.lastIndexOf('/') + 1), ...placesNamed(space, url)];
		for (const place of own) if (places.size < mostPlaces) places.add(place);
		realms.delete(realm);
		put(realms, realm, {space, places}, mostRealms);
	}

	clear(): void {
		this.#origins.clear();
	}
}

function put<Value>(map: Map<string, Value>, key: string, value: Value, most: number): void {
	map.set(key, value);
	const [oldest] = map.keys();
	if (map.size > most && oldest !== undefined) map.delete(oldest);
}

/** What `domain` says of this server (RFC 7616 section 3.3); of another one, nobody may say it. */
function placesNamed({domain}: ProtectionSpace, {origin, href}: URL): string[] {
	return domain
		.split(/\s+/)
		.filter(text => text !== '')
		.flatMap(text => {
			const named = URL.parse(text, href);
			if (named?.origin !== origin) return [];
			return named.pathname.endsWith('/') ? named.pathname : `${named.pathname}/`;
		});
}
