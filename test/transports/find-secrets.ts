/** Looks for secrets in all that can be reached from a value, and in all that would be printed of it. */
import {inspect} from 'node:util';

/** Where secrets are: the paths to them, such as `.request._request._header`; empty where there are none. */
export function findSecrets(root: unknown, secrets: readonly string[]): string[] {
	return [...findReachable(root, secrets), ...findPrinted(root, secrets)];
}

/**
 * Walks over everything that code can reach: properties of any name, symbols, getters, prototypes, collections,
 * bytes, and so also agents and sockets. What closures and private members hold, nobody can print.
 */
function findReachable(root: unknown, secrets: readonly string[]): string[] {
	const found: string[] = [];
	const seen = new Set<unknown>();
	const queue: [value: unknown, path: string][] = [[root, '']];
	for (const [value, path] of queue) {
		if (typeof value === 'string') {
			for (const secret of secrets) if (value.includes(secret)) found.push(`${path} = …${secret}…`);
			continue;
		}
		if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value))
			continue;
		seen.add(value);
		if (ArrayBuffer.isView(value)) {
			queue.push([Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1'), path]);
			continue;
		}
		if (value instanceof Map) for (const entry of value) queue.push([entry, `${path}.entries`]);
		if (value instanceof Set) for (const member of value) queue.push([member, `${path}.members`]);
		for (const [name, member] of membersOf(value)) {
			queue.push([member, `${path}.${name}`], [name, `${path} (a name)`]);
		}
	}
	return found;
}

function* membersOf(value: object): Generator<[name: string, member: unknown]> {
	let holder: object | null = value;
	while (holder !== null && holder !== Object.prototype && holder !== Function.prototype) {
		for (const key of Reflect.ownKeys(holder)) {
			try {
				const member: unknown = Reflect.get(holder, key, value);
				// Some getters reject where others throw.
				if (member instanceof Promise) member.catch(() => {});
				yield [String(key), member];
			} catch {
				// A getter that does not like to be called shows nothing.
			}
		}
		holder = Object.getPrototypeOf(holder);
	}
}

function findPrinted(value: unknown, secrets: readonly string[]): string[] {
	const printed: Record<string, string> = {
		String: String(value),
		'util.inspect': inspect(value, {showHidden: true, depth: 8, maxStringLength: null, maxArrayLength: null}),
		'JSON.stringify': stringify(value),
	};
	return Object.entries(printed).flatMap(([name, text]) =>
		secrets.filter(secret => text.includes(secret)).map(secret => `${name} shows …${secret}…`),
	);
}

function stringify(value: unknown): string {
	try {
		return JSON.stringify(value) ?? '';
	} catch {
		// Circular, as many an object of Node's: then it is not printed this way at all.
		return '';
	}
}
