/** Which headers go through the proxy, and which belong to one connection, to the proxy or to a credential. */

/** Of one connection (RFC 9110 section 7.6.1), and what is written again for the next one. */
const ofConnection = new Set([
	'connection',
	'keep-alive',
	'proxy-connection',
	'proxy-authorization',
	'proxy-authenticate',
	'te',
	'transfer-encoding',
	'upgrade',
	'http2-settings',
	// Answered here: what stands behind it decides by itself when the body is sent.
	'expect',
	'host',
]);

/** The header in which clients of the reverse form show the secret. */
export const secretHeader = 'x-gatepass-secret';

/** What a server may repeat of a credential. Clients have no use for it. */
const ofCredentials = new Set([
	'authorization',
	'proxy-authorization',
	'authentication-info',
	'proxy-authentication-info',
	'dpop',
	'dpop-nonce',
	secretHeader,
]);

/**
 * Names of an answer as older programs know them. HTTP/2 and some servers have them in lower case, which means the same
 * (RFC 9110 section 5.1); but davix 0.8 with libcurl finds no length then, and copies an empty file.
 */
const customary: ReadonlyMap<string, string> = new Map(
	[
		...['Accept-Ranges', 'Age', 'Allow', 'Cache-Control', 'Content-Disposition', 'Content-Encoding'],
		...[
			'Content-Language',
			'Content-Length',
			'Content-Location',
			'Content-Range',
			'Content-Type',
			'DAV',
			'Date',
		],
		...['Digest', 'ETag', 'Expires', 'Last-Modified', 'Link', 'Location', 'Retry-After', 'Server'],
		...['Set-Cookie', 'Trailer', 'Vary', 'WWW-Authenticate'],
	].map(name => [name.toLowerCase(), name]),
);

/** What there is to know about the name of a header, whatever its value. */
interface HeaderName {
	readonly lower: string;
	/** As clients get it. */
	readonly written: string;
	readonly isOfConnection: boolean;
}

/** Programs and servers use the same few names all the time. Others can make them up, so there is an end to it. */
const mostNames = 1000;
const longestName = 64;
const names = new Map<string, HeaderName>();

function aboutName(name: string): HeaderName {
	const known = names.get(name);
	if (known !== undefined) return known;
	const lower = name.toLowerCase();
	const written = name === lower ? (customary.get(lower) ?? name) : name;
	const about = {lower, written, isOfConnection: ofConnection.has(lower)};
	if (name.length > longestName) return about;
	if (names.size >= mostNames) names.clear();
	names.set(name, about);
	return about;
}

/** Names and values in turn. */
export type FlatHeaders = string[];

/** Headers of a request to be sent on. `secrets`: the lower-case names of those in which the secret was shown. */
export function requestHeaders(raw: readonly string[], secrets: readonly string[]): FlatHeaders {
	const dropped = namedByConnection(raw);
	const kept: FlatHeaders = [];
	for (let index = 0; index < raw.length; index += 2) {
		const name = raw[index] as string;
		const {lower, isOfConnection} = aboutName(name);
		if (isOfConnection || lower === secretHeader) continue;
		if (secrets.includes(lower) || dropped?.has(lower) === true) continue;
		kept.push(name, raw[index + 1] as string);
	}
	return kept;
}

/** What a server's headers become. `undefined`: the header is left out. */
export type Rewrite = (lowerCaseName: string, value: string) => string | undefined;

/** Headers of an answer to be handed on. */
export function responseHeaders(raw: FlatHeaders, rewrite: Rewrite | undefined): FlatHeaders {
	const dropped = namedByConnection(raw);
	const kept: FlatHeaders = [];
	for (let index = 0; index < raw.length; index += 2) {
		const {lower, written, isOfConnection} = aboutName(raw[index] as string);
		if (isOfConnection || dropped?.has(lower) === true) continue;
		const value = raw[index + 1] as string;
		const rewritten = rewrite === undefined ? value : rewrite(lower, value);
		if (rewritten !== undefined) kept.push(written, rewritten);
	}
	return kept;
}

/** Leaves out what a server repeats of the credential that a rule has shown it. */
export function withoutCredentials(credentialHeader: string | undefined): Rewrite {
	return (name, value) => {
		if (ofCredentials.has(name) || name === credentialHeader) return undefined;
		// The answer of a mutual authentication is for whoever began it (RFC 4559 section 5).
		if (name === 'www-authenticate' && /^\s*(?:Negotiate|Kerberos|NTLM)\s+\S/i.test(value)) return undefined;
		return value;
	};
}

/** What `Connection` names belongs to the connection as well. */
function namedByConnection(raw: readonly string[]): ReadonlySet<string> | undefined {
	let named: Set<string> | undefined;
	for (let index = 0; index < raw.length; index += 2) {
		const name = raw[index] as string;
		if (name.length !== 10 || name.toLowerCase() !== 'connection') continue;
		for (const token of (raw[index + 1] as string).split(',')) {
			const lower = token.trim().toLowerCase();
			if (lower === '' || lower === 'close' || lower === 'keep-alive') continue;
			named ??= new Set();
			named.add(lower);
		}
	}
	return named;
}

/** Headers as undici gives them, over HTTP/1.1 and 2: names and values in turn, as texts. */
export function flatten(raw: unknown, headers: Readonly<Record<string, unknown>>): FlatHeaders {
	if (Array.isArray(raw)) {
		const parts: FlatHeaders = [];
		for (const part of raw as (string | Buffer)[])
			parts.push(typeof part === 'string' ? part : part.toString('latin1'));
		return parts;
	}
	const flat: FlatHeaders = [];
	for (const [name, values] of Object.entries((raw as Record<string, unknown> | null) ?? headers)) {
		if (name.startsWith(':')) continue;
		for (const value of [values].flat()) if (value !== undefined) flat.push(name, String(value));
	}
	return flat;
}
