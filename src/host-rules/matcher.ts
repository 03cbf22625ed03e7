/**
 * Finds the most specific entry for a URL. Its cost does not grow with the number of entries: each step is one
 * look-up in a map, and there are as many steps as the host has labels and the path has segments.
 *
 * Host, then port, then path, then methods; what is still equal goes to the later entry. Host rules and trust
 * entries both use it.
 */
import {withoutTrailingDot} from '../hosts.ts';
import {decodeUnreserved, type Pattern} from './pattern.ts';

/** Something that is chosen by URL. */
export interface Entry<Value> {
	readonly pattern: Pattern;
	/** Upper-case; absent: every method. */
	readonly methods?: readonly string[] | undefined;
	readonly value: Value;
}

/** Entries of one host, port and path: they differ by method only. */
interface MethodTable<Value> {
	byMethod: Map<string, Entry<Value>> | undefined;
	anyMethod: Entry<Value> | undefined;
}

/** Entries of one host and port. */
interface PathTable<Value> {
	byPath: Map<string, MethodTable<Value>> | undefined;
	/** The longest path that occurs, so that nothing longer is looked up. */
	longest: number;
	wholeHost: MethodTable<Value> | undefined;
}

/** Entries of one host and scheme. */
interface PortTable<Value> {
	byPort: Map<string, PathTable<Value>>;
	anyPort: PathTable<Value> | undefined;
}

type HostTable<Value> = Map<string, PortTable<Value>>;

interface SchemeTable<Value> {
	exact: HostTable<Value>;
	wildcard: HostTable<Value>;
	any: PortTable<Value> | undefined;
}

/** An index over entries. Built once; a look-up changes nothing. */
export class Matcher<Value> {
	readonly #http: SchemeTable<Value> = {exact: new Map(), wildcard: new Map(), any: undefined};
	readonly #https: SchemeTable<Value> = {exact: new Map(), wildcard: new Map(), any: undefined};

	constructor(entries: Iterable<Entry<Value>>) {
		for (const entry of entries) this.#add(entry);
	}

	/** The most specific entry, or `undefined` where none matches. */
	find(url: URL, method: string): Entry<Value> | undefined {
		const {protocol} = url;
		const table = protocol === 'https:' ? this.#https : protocol === 'http:' ? this.#http : undefined;
		if (table === undefined) return undefined;
		const host = withoutTrailingDot(url.hostname);
		const {port, pathname} = url;
		const exact = table.exact.get(host);
		if (exact !== undefined) {
			const entry = findInPorts(exact, port, pathname, method);
			if (entry !== undefined) return entry;
		}
		if (table.wildcard.size > 0 && !host.startsWith('[')) {
			for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
				const wildcard = table.wildcard.get(host.slice(dot + 1));
				const entry = wildcard === undefined ? undefined : findInPorts(wildcard, port, pathname, method);
				if (entry !== undefined) return entry;
			}
		}
		return table.any === undefined ? undefined : findInPorts(table.any, port, pathname, method);
	}

	#add(entry: Entry<Value>): void {
		const {scheme, kind, host, port, path} = entry.pattern;
		const table = scheme === 'https' ? this.#https : this.#http;
		let ports: PortTable<Value>;
		if (kind === 'any') {
			table.any ??= {byPort: new Map(), anyPort: undefined};
			ports = table.any;
		} else {
			ports = getOrCreate(table[kind], host, () => ({byPort: new Map(), anyPort: undefined}));
		}
		const newPaths = (): PathTable<Value> => ({byPath: undefined, longest: 0, wholeHost: undefined});
		let paths: PathTable<Value>;
		if (port === '*') {
			ports.anyPort ??= newPaths();
			paths = ports.anyPort;
		} else {
			paths = getOrCreate(ports.byPort, port, newPaths);
		}
		addToMethods(methodsFor(paths, path), entry);
	}
}

function methodsFor<Value>(paths: PathTable<Value>, path: string): MethodTable<Value> {
	const newMethods = (): MethodTable<Value> => ({byMethod: undefined, anyMethod: undefined});
	if (path === '') {
		paths.wholeHost ??= newMethods();
		return paths.wholeHost;
	}
	paths.byPath ??= new Map();
	paths.longest = Math.max(paths.longest, path.length);
	return getOrCreate(paths.byPath, path, newMethods);
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

function findInPorts<Value>(
	table: PortTable<Value>,
	port: string,
	pathname: string,
	method: string,
): Entry<Value> | undefined {
	const paths = table.byPort.get(port);
	const entry = paths === undefined ? undefined : findInPaths(paths, pathname, method);
	if (entry !== undefined || table.anyPort === undefined) return entry;
	return findInPaths(table.anyPort, pathname, method);
}

function findInPaths<Value>(
	table: PathTable<Value>,
	pathname: string,
	method: string,
): Entry<Value> | undefined {
	if (table.byPath !== undefined) {
		const path = decodeUnreserved(pathname);
		// From the whole path upwards, segment by segment, starting no deeper than any entry goes.
		let end = path.length <= table.longest ? path.length : nextSegmentEnd(path, table.longest);
		while (end > 0) {
			const methods = table.byPath.get(path.slice(0, end));
			const entry = methods === undefined ? undefined : findInMethods(methods, method);
			if (entry !== undefined) return entry;
			end = path.lastIndexOf('/', end - 1);
		}
	}
	return table.wholeHost === undefined ? undefined : findInMethods(table.wholeHost, method);
}

/** Where the last segment ends that is not longer than `limit`. */
function nextSegmentEnd(path: string, limit: number): number {
	return path.charCodeAt(limit) === 47 /* slash */ ? limit : path.lastIndexOf('/', limit);
}

function findInMethods<Value>(table: MethodTable<Value>, method: string): Entry<Value> | undefined {
	return table.byMethod?.get(method) ?? table.anyMethod;
}

function getOrCreate<Key, Value>(map: Map<Key, Value>, key: Key, create: () => Value): Value {
	let value = map.get(key);
	if (value === undefined) {
		value = create();
		map.set(key, value);
	}
	return value;
}
