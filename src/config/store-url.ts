/** What kind of token store a URL names, and what that kind needs. */
import {createRequire} from 'node:module';

export type StoreKind = 'memory' | 'sqlite' | 'redis' | 'postgres';

const kinds: Readonly<Record<string, StoreKind>> = {
	'memory:': 'memory',
	'sqlite:': 'sqlite',
	'redis:': 'redis',
	'rediss:': 'redis',
	'postgres:': 'postgres',
	'postgresql:': 'postgres',
};

/** Optional peers of gatepass: the user installs the one that the configuration asks for. */
const packages: Readonly<Partial<Record<StoreKind, string>>> = {
	redis: '@keyv/redis',
	postgres: '@keyv/postgres',
};

/** What a URL of a store says. */
export interface StoreUrl {
	readonly kind: StoreKind;
	/** As URLs are read everywhere: what is special in a user name or a password is percent-encoded. */
	readonly url: string;
}

/** The kind that the scheme names, whether or not the rest can be read; `undefined` where gatepass knows none. */
export function storeKindOf(url: string): StoreKind | undefined {
	return kinds[/^[a-z]+:/i.exec(url)?.[0].toLowerCase() ?? ''];
}

/** `undefined`: it names no store that gatepass knows, or a server's URL cannot be read. */
export function readStoreUrl(text: string): StoreUrl | undefined {
	const kind = storeKindOf(text);
	if (kind === undefined || !isSharedKind(kind)) return kind && {kind, url: text};
	const url = withEncodedUser(text, kind);
	return url === undefined ? undefined : {kind, url};
}

/**
 * A password that comes from a variable is not encoded, and may hold what ends the host in a URL. Whatever stands before
 * the last @ is the user's, then: unless the URL makes sense as it is, which is left alone but for a % that encodes nothing.
 */
function withEncodedUser(text: string, kind: StoreKind): string | undefined {
	const asWritten = URL.parse(text);
	const makesSense =
		asWritten !== null && asWritten.hash === '' && (kind !== 'redis' || /^\/?\d*$/.test(asWritten.pathname));
	const pattern = makesSense ? /^([a-z]+:\/\/)([^/?#]*)@(.*)$/is : /^([a-z]+:\/\/)(.*)@(.*)$/is;
	const [, scheme, user, rest] = pattern.exec(text) ?? [];
	if (user === undefined) return asWritten === null ? undefined : text;
	const [name = '', ...password] = user.split(':');
	const encoded = [name, ...(password.length > 0 ? [password.join(':')] : [])].map(encode).join(':');
	const url = `${scheme}${encoded}@${rest}`;
	return URL.canParse(url) ? url : undefined;
}

function encode(text: string): string {
	return text.replace(/%(?![0-9a-f]{2})|[^\w%.~!$&'()*+,;=-]/giu, encodeURIComponent);
}

/** Whether others than this user can read such a store: then it takes a key, or the user's word that none is wanted. */
export function isSharedKind(kind: StoreKind): boolean {
	return kind === 'redis' || kind === 'postgres';
}

/** The package that such a store needs besides gatepass. */
export function packageOf(kind: StoreKind): string | undefined {
	return packages[kind];
}

/** The package that such a store needs and that is not installed. */
export function missingPackageOf(kind: StoreKind): string | undefined {
	const name = packageOf(kind);
	if (name === undefined) return undefined;
	try {
		createRequire(import.meta.url).resolve(name);
		return undefined;
	} catch {
		return name;
	}
}
