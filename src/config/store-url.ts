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

/** The kind of store; `undefined` where it is none that gatepass knows, or a server's URL that cannot be read. */
export function storeKindOf(url: string): StoreKind | undefined {
	const kind = kinds[/^[a-z]+:/i.exec(url)?.[0].toLowerCase() ?? ''];
	return kind !== undefined && isSharedKind(kind) && !URL.canParse(url) ? undefined : kind;
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
