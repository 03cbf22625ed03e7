/**
 * Finds the most specific entry for a URL. Its cost does not grow with the number of entries: each step is one
 * look-up in a map, and there are as many steps as the host has labels and the path has segments.
 *
 * Host, then port, then path, then methods; what is still equal goes to the later entry. Host rules and trust
 * entries both use it.
 */
import {withoutTrailingDot} from '../strategy/hosts.ts';
import {decodeUnreserved, type Pattern} from './pattern.ts';

/** Something that is chosen by URL. */
export interface Entry<Value> {
	readonly pattern: Pattern;
	/** Upper-case; absent: every method. */
	readonly methods?: readonly string[] | undefined;
	readonly value: Value;
}

/** What an entry is found by: a URL, or the same parts of one. */
export type Place = Pick<URL, 'protocol' | 'host' | 'hostname' | 'port' | 'pathname'>;

/** Entries that differ by method only. */
interface MethodTable<Value> {
	byMethod: Map<string, Entry<Value>> | undefined;
	anyMethod: Entry<Value> | undefined;
}

/** Entries of one path. */
interface PathEntries<Value> extends MethodTable<Value> {
	readonly path: string;
}

/** Entries of one host and port; those for the whole host stand in the table itself. */
interface PathTable<Value> extends MethodTable<Value> {
	/** The one path of a host that has no others: it takes no map to find it. */
	only: PathEntries<Value> | undefined;
	/** All paths, where there are several. */
	byPath: Map<string, PathEntries<Value>> | undefined;
	/** The longest path that occurs, so that nothing longer is looked up. */
	longest: number;
}

/**
 * By host and port together, as `hostKey` joins them: with 10,000 hosts, each table on the way is a miss of the
 * processor's cache, and these are what a look-up costs.
 */
interface HostTable<Value> {
	readonly paths: Map<string, PathTable<Value>>;
	/** Whether any entry is for every port; spares the second look-up where none is. */
	hasAnyPort: boolean;
	/** The length of the longest host that occurs, so that nothing longer is looked up. */
	longest: number;
}

interface SchemeTable<Value> {
	readonly exact: HostTable<Value>;
	/** By suffix; that of the pattern `*` is empty. */
	readonly wildcard: HostTable<Value>;
}

/** An index over entries. Built once; a look-up changes nothing. */
export class Matcher<Value> {
	readonly #http = newSchemeTable<Value>();
	readonly #https = newSchemeTable<Value>();

	constructor(entries: Iterable<Entry<Value>>) {
		for (const entry of entries) this.#add(entry);
	}

	/** The most specific entry, or `undefined` where none matches. */
	find(url: Place, method: string): Entry<Value> | undefined {
		const {protocol} = url;
		const table = protocol === 'https:' ? this.#https : protocol === 'http:' ? this.#http : undefined;
		if (table === undefined) return undefined;
		// Mostly the rule is for the exact host, and `url.host` is its key as it stands: the shortest way there is.
		const paths = table.exact.paths.get(url.host);
		const entry = paths === undefined ? undefined : findInPaths(paths, url, method);
		return entry ?? findAtHosts(table, url, paths => findInPaths(paths, url, method));
	}

	/** What {@link find} gives for every path and method of the URL's origin; `undefined` where that differs. */
	findForAll(url: Place): {readonly entry: Entry<Value> | undefined} | undefined {
		const {protocol} = url;
		const table = protocol === 'https:' ? this.#https : protocol === 'http:' ? this.#http : undefined;
		const first = table && findAtHosts(table, url, paths => paths);
		if (first === undefined) return {entry: undefined};
		const isForAll = first.only === undefined && first.byPath === undefined && first.byMethod === undefined;
		return isForAll ? {entry: first.anyMethod} : undefined;
	}

	#add(entry: Entry<Value>): void {
		const {scheme, kind, host, port, path} = entry.pattern;
		const {exact, wildcard} = scheme === 'https' ? this.#https : this.#http;
		const table = kind === 'exact' ? exact : wildcard;
		if (port === '*') table.hasAnyPort = true;
		table.longest = Math.max(table.longest, host.length);
		const paths = getOrCreate(table.paths, hostKey(host, port), newPathTable<Value>);
		addToMethods(methodsFor(paths, path), entry);
	}
}

function newSchemeTable<Value>(): SchemeTable<Value> {
	const newHostTable = (): HostTable<Value> => ({paths: new Map(), hasAnyPort: false, longest: 0});
	return {exact: newHostTable(), wildcard: newHostTable()};
}

/** No host has a colon outside of brackets, so no two pairs have the same key. */
function hostKey(host: string, port: string): string {
	return port === '' ? host : `${host}:${port}`;
}

function newPathTable<Value>(): PathTable<Value> {
	return {byMethod: undefined, anyMethod: undefined, only: undefined, byPath: undefined, longest: 0};
}

function methodsFor<Value>(paths: PathTable<Value>, path: string): MethodTable<Value> {
	if (path === '') return paths;
	const {only} = paths;
	if (only?.path === path) return only;
	const added = (): PathEntries<Value> => ({path: ownCopy(path), byMethod: undefined, anyMethod: undefined});
	paths.longest = Math.max(paths.longest, path.length);
	if (only === undefined && paths.byPath === undefined) {
		paths.only = added();
		return paths.only;
	}
	paths.byPath ??= new Map(only && [[only.path, only]]);
	paths.only = undefined;
	return getOrCreate(paths.byPath, path, added);
}

function addToMethods<Value>(table: MethodTable<Value>, entry: Entry<Value>): void {
	// A later entry takes the place of an equal one.
	if (entry.methods === undefined) {
		table.anyMethod = entry;
		return;
	}
	table.byMethod ??= new Map();
	for (const method of entry.methods) table.byMethod.set(method, entry);
}

type Find<Value, Found> = (paths: PathTable<Value>) => Found | undefined;

/** What is found first, from the exact host to the pattern `*`. */
function findAtHosts<Value, Found>(
	{exact, wildcard}: SchemeTable<Value>,
	{hostname, port}: Place,
	find: Find<Value, Found>,
): Found | undefined {
	const host = withoutTrailingDot(hostname);
	const inExact = findAtHost(exact, host, port, find);
	if (inExact !== undefined || wildcard.paths.size === 0) return inExact;
	if (!host.startsWith('[')) {
		// From the longest suffix that any entry has to shorter ones.
		const start = Math.max(0, host.length - wildcard.longest - 1);
		for (let dot = host.indexOf('.', start); dot !== -1; dot = host.indexOf('.', dot + 1)) {
			const found = findAtHost(wildcard, host.slice(dot + 1), port, find);
			if (found !== undefined) return found;
		}
	}
	return findAtHost(wildcard, '', port, find);
}

function findAtHost<Value, Found>(
	table: HostTable<Value>,
	host: string,
	port: string,
	find: Find<Value, Found>,
): Found | undefined {
	if (host.length > table.longest) return undefined;
	const paths = table.paths.get(hostKey(host, port));
	const found = paths === undefined ? undefined : find(paths);
	if (found !== undefined || !table.hasAnyPort) return found;
	const onAnyPort = table.paths.get(hostKey(host, '*'));
	return onAnyPort === undefined ? undefined : find(onAnyPort);
}

function findInPaths<Value>(table: PathTable<Value>, url: Place, method: string): Entry<Value> | undefined {
	const {only} = table;
	if (only !== undefined) {
		const path = decodeUnreserved(url.pathname);
		const matches =
			path.startsWith(only.path) && (path.length === only.path.length || path[only.path.length] === '/');
		const entry = matches ? findInMethods(only, method) : undefined;
		if (entry !== undefined) return entry;
	} else if (table.byPath !== undefined) {
		const path = decodeUnreserved(url.pathname);
		// From the whole path upwards, segment by segment, starting no deeper than any entry goes.
		let end = path.length <= table.longest ? path.length : nextSegmentEnd(path, table.longest);
		while (end > 0) {
			const methods = table.byPath.get(path.slice(0, end));
			const entry = methods === undefined ? undefined : findInMethods(methods, method);
			if (entry !== undefined) return entry;
			end = path.lastIndexOf('/', end - 1);
		}
	}
	return findInMethods(table, method);
}

/** Where the last segment ends that is not longer than `limit`. */
function nextSegmentEnd(path: string, limit: number): number {
	return path.charCodeAt(limit) === 47 /* slash */ ? limit : path.lastIndexOf('/', limit);
}

function findInMethods<Value>(table: MethodTable<Value>, method: string): Entry<Value> | undefined {
	return table.byMethod?.get(method) ?? table.anyMethod;
}

function getOrCreate<Value>(map: Map<string, Value>, key: string, create: () => Value): Value {
	let value = map.get(key);
	if (value === undefined) {
		value = create();
		map.set(ownCopy(key), value);
	}
	return value;
}

/**
 * What `URL` gives are slices of its whole text. As keys they would keep that text in memory, and each comparison
 * would go by way of it: a quarter of the time of a look-up among 10,000.
 */
export function ownCopy(text: string): string {
	return Buffer.from(text).toString();
}
