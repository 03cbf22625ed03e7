/** The pattern of a host rule: `[scheme://]host[:port][/path]`, taken apart and normalised as a URL would be. */
import {withoutTrailingDot} from '../strategy/hosts.ts';

/** A pattern, ready to be compared with URLs. */
export interface Pattern {
	/** As the user wrote it. */
	readonly text: string;
	readonly scheme: 'http' | 'https';
	/** `exact`: `host` itself; `wildcard`: any host below `host`; `any`: every host (`host` is empty then). */
	readonly kind: 'exact' | 'wildcard' | 'any';
	/** Normalised: lower case, punycode, no trailing dot, addresses in their shortest form. */
	readonly host: string;
	/** As `URL.port` gives it: empty for the scheme's default; `*` for any. */
	readonly port: string;
	/** Without a slash at its end, so empty for the whole host. */
	readonly path: string;
}

/** Why a pattern cannot be used, and what to write instead. */
export class PatternError extends Error {
	readonly hint: string;

	constructor(message: string, hint: string) {
		super(message);
		this.hint = hint;
	}
}

/**
 * Take a pattern apart.
 *
 * @throws {PatternError} for one that is malformed or could never match.
 */
export function parsePattern(text: string): Pattern {
	refuseForeignParts(text);
	const {scheme, rest} = splitScheme(text);
	const slash = rest.indexOf('/');
	const {host: writtenHost, port} = splitPort(slash === -1 ? rest : rest.slice(0, slash), scheme);
	const path = slash === -1 ? '' : normalisePath(rest.slice(slash));
	return {text, scheme, port, path, ...normaliseHost(writtenHost)};
}

/**
 * Percent-encoded unreserved characters are the same as the characters themselves (RFC 3986 section 6.2.2.2),
 * and servers treat them so; `URL` leaves them encoded.
 */
export function decodeUnreserved(pathname: string): string {
	if (!pathname.includes('%')) return pathname;
	return pathname.replaceAll(/%[\da-f]{2}/gi, encoded => {
		const character = String.fromCharCode(Number.parseInt(encoded.slice(1), 16));
		return /[\w.~-]/.test(character) ? character : encoded.toUpperCase();
	});
}

function refuseForeignParts(text: string): void {
	if (text === '')
		throw new PatternError('the pattern is empty', 'Write a host, such as https://api.example.org');
	// None of these repeat the text: what does not belong into a pattern may be a password or a key.
	if (/[\s\\]/.test(text)) {
		throw new PatternError('the pattern has white space or a backslash in it', 'Take it out');
	}
	const [authority = ''] = text.replace(/^[^/?#]*:\/\//, '').split(/[/?#]/, 1);
	if (authority.includes('@')) {
		throw new PatternError(
			'a pattern has no user information',
			"Take out what stands before the '@', and the '@'",
		);
	}
	const tail = /[?#]/.exec(text);
	if (tail) {
		throw new PatternError(
			`the pattern has a ${tail[0] === '?' ? 'query' : 'fragment'}`,
			`Take out the '${tail[0]}' and what follows it: a path matches whatever the query is`,
		);
	}
}

function splitScheme(text: string): {scheme: Pattern['scheme']; rest: string} {
	const end = text.indexOf('://');
	if (end === -1) {
		if (/^https?:(?![\d*])/i.test(text)) {
			throw new PatternError('the scheme lacks its slashes', "Write '://' behind http or https");
		}
		return {scheme: 'https', rest: text};
	}
	const scheme = text.slice(0, end).toLowerCase();
	if (scheme !== 'http' && scheme !== 'https') {
		throw new PatternError(
			`'${text}' can never match: only http and https requests are sent`,
			'Write https://',
		);
	}
	return {scheme, rest: text.slice(end + 3)};
}

function splitPort(authority: string, scheme: Pattern['scheme']): {host: string; port: string} {
	const colon = authority.lastIndexOf(':');
	if (colon === -1 || authority.endsWith(']')) return {host: authority, port: ''};
	const host = authority.slice(0, colon);
	const port = authority.slice(colon + 1);
	if (host.includes(':') && !host.startsWith('[')) {
		throw new PatternError(`'${authority}' is no host`, 'Write an IPv6 address in brackets, such as [::1]');
	}
	if (port === '*') return {host, port};
	if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535 || Number(port) === 0) {
		throw new PatternError(
			'the port is no number from 1 to 65535',
			'Write such a number, or * for any port, or leave out the colon',
		);
	}
	const isDefault = Number(port) === (scheme === 'https' ? 443 : 80);
	return {host, port: isDefault ? '' : String(Number(port))};
}

function normaliseHost(written: string): Pick<Pattern, 'kind' | 'host'> {
	if (written === '') throw new PatternError('the pattern has no host', 'Write one, or * for every host');
	if (written === '*') return {kind: 'any', host: ''};
	const wildcard = written.startsWith('*.');
	const name = wildcard ? written.slice(2) : written;
	if (name.includes('*')) {
		throw new PatternError(
			`'${written}' has a star inside a label or behind the first one`,
			'A star stands for whole labels at the front: *.example.org',
		);
	}
	const host = parseHost(name, written);
	if (wildcard && isAddress(host)) {
		throw new PatternError(`'${written}' can never match: an address has no subdomains`, `Write ${host}`);
	}
	return {kind: wildcard ? 'wildcard' : 'exact', host};
}

function parseHost(name: string, written: string): string {
	// The URL parser would take these for the start of another part, or drop them.
	const url = /[/?#@%]|^:|:$|^\.|\.\./.test(name) ? null : URL.parse(`https://${name}/`);
	const host = url === null ? '' : withoutTrailingDot(url.hostname);
	if (host === '' || url?.port !== '') {
		throw new PatternError(`'${written}' is no host`, 'Write a name such as api.example.org, or an address');
	}
	return host;
}

function isAddress(host: string): boolean {
	return host.startsWith('[') || /^\d{1,3}(?:\.\d{1,3}){3}$/.test(host);
}

function normalisePath(written: string): string {
	if (written.includes('*')) {
		throw new PatternError(
			`'${written}' has a star in the path`,
			`A path matches whatever is below it: write ${written.replace(/\/?\*.*$/, '') || 'no path'}`,
		);
	}
	const pathname = decodeUnreserved(new URL(`https://host${written}`).pathname);
	if (/(?:^|\/)\.{1,2}(?:\/|$)/.test(decodeUnreserved(written))) {
		throw new PatternError(
			`'${written}' can never match: requests have no dot segments`,
			`Write ${pathname}`,
		);
	}
	return pathname.endsWith('/') ? pathname.slice(0, -1) : pathname;
}
