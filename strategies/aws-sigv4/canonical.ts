/** The canonical forms of AWS's Signature Version 4: a server makes the same ones of what it gets. */

/** A request as it will be sent. */
export interface CanonicalInput {
	readonly method: string;
	/** As it is sent, without the query. */
	readonly path: string;
	/** As it is sent, without the question mark. */
	readonly query: string;
	/** Those that are signed, by lower-case name. */
	readonly headers: readonly (readonly [name: string, value: string])[];
	/** Of the payload, in hexadecimal digits, or what stands in its place. */
	readonly payloadHash: string;
}

export interface Canonical {
	readonly text: string;
	/** The names, as they stand in the signature. */
	readonly signedHeaders: string;
}

/** The services whose paths are signed as they are: a key may hold two slashes, and a dot. */
const plainPaths = new Set(['s3', 's3express', 's3-outposts', 's3-object-lambda']);

export function keepsPath(service: string): boolean {
	return plainPaths.has(service);
}

export function canonicalRequest(
	{method, path, query, headers, payloadHash}: CanonicalInput,
	service: string,
): Canonical {
	const sorted = headers.length > 1 ? [...headers].sort(([a], [b]) => (a < b ? -1 : 1)) : headers;
	let lines = '';
	let names = '';
	for (const [name, value] of sorted) {
		lines += `${name}:${trimmed(value)}\n`;
		names += names === '' ? name : `;${name}`;
	}
	const where = keepsPath(service) ? normalEscapes(path, false) : escapedTwice(path);
	return {
		text: `${method}\n${where}\n${canonicalQuery(query)}\n${lines}\n${names}\n${payloadHash}`,
		signedHeaders: names,
	};
}

function trimmed(value: string): string {
	const text = value.trim();
	return text.includes('  ') ? text.replace(/ +/g, ' ') : text;
}

const onlyUnreserved = /^[\w.~/-]*$/;

/** Without dots and double slashes, and escaped once more than it is sent. */
function escapedTwice(path: string): string {
	const plain = path.includes('//') || path.includes('/.') ? withoutDots(path) : path;
	return onlyUnreserved.test(plain) ? plain : plain.split('/').map(escaped).join('/');
}

function withoutDots(path: string): string {
	const parts: string[] = [];
	for (const part of path.split('/')) {
		if (part === '..') parts.pop();
		else if (part !== '' && part !== '.') parts.push(part);
	}
	const end = parts.length > 0 && /\/(?:\.{1,2})?$/.test(path) ? '/' : '';
	return `/${parts.join('/')}${end}`;
}

/** By name, then by value. What stands in the query as it is sent is not changed by that. */
function canonicalQuery(query: string): string {
	if (query === '') return '';
	const pairs: [string, string][] = [];
	for (const part of query.split('&')) {
		if (part === '') continue;
		const equals = part.indexOf('=');
		const name = equals === -1 ? part : part.slice(0, equals);
		const value = equals === -1 ? '' : part.slice(equals + 1);
		pairs.push([normalEscapes(name, true), normalEscapes(value, true)]);
	}
	pairs.sort(([a, x], [b, y]) => (a === b ? compare(x, y) : compare(a, b)));
	return pairs.map(([name, value]) => `${name}=${value}`).join('&');
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/**
 * Every byte escaped that is not unreserved, and no other, in capital digits. In a query a plus is a space, as servers
 * read it, and a slash is escaped.
 */
function normalEscapes(text: string, isQuery: boolean): string {
	if (isQuery ? /^[\w.~-]*$/.test(text) : onlyUnreserved.test(text)) return text;
	return text.replace(/%([\dA-Fa-f]{2})|[^\w.~-]/gu, (whole, digits: string | undefined) => {
		if (digits !== undefined) {
			const character = String.fromCharCode(Number.parseInt(digits, 16));
			// In a path of S3 it is part of the key, which has no other slash than this.
			const isPlain = /[\w.~-]/.test(character) || (!isQuery && character === '/');
			return isPlain ? character : whole.toUpperCase();
		}
		if (isQuery && whole === '+') return '%20';
		return !isQuery && whole === '/' ? whole : escaped(whole);
	});
}

/** As RFC 3986 has it: what `encodeURIComponent` leaves besides is escaped, too. */
export function escaped(text: string): string {
	return encodeURIComponent(text.toWellFormed()).replace(
		/[!'()*]/g,
		character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
	);
}
