/** The secret that clients of the proxy show: 256 bits, compared in constant time. */
import {createHash, randomBytes, timingSafeEqual} from 'node:crypto';

/** Of letters, digits, dashes and underscores, so that it can stand in a URL. */
export function makeSecret(): string {
	return randomBytes(32).toString('base64url');
}

/** Knows whether what a client shows is the secret. */
export class Secret {
	readonly #digest: Buffer;

	constructor(text: string) {
		this.#digest = digestOf(text);
	}

	/** Digests are of one length, whatever is shown: how long it takes tells nothing. */
	matches(shown: string): boolean {
		return timingSafeEqual(this.#digest, digestOf(shown));
	}

	/** Whether a value of `Authorization` or `Proxy-Authorization` shows it: `Bearer`, or `Basic` in either place. */
	isIn(value: string | undefined): boolean {
		const [, scheme = '', credentials = ''] = /^(Basic|Bearer) +(\S+) *$/i.exec(value ?? '') ?? [];
		if (scheme.toLowerCase() === 'bearer') return this.matches(credentials);
		if (scheme === '') return false;
		const decoded = Buffer.from(credentials, 'base64').toString();
		const colon = decoded.indexOf(':');
		const [name, password] =
			colon === -1 ? [decoded, ''] : [decoded.slice(0, colon), decoded.slice(colon + 1)];
		// Both are compared in every case.
		const isName = this.matches(name);
		return this.matches(password) || isName;
	}
}

function digestOf(text: string): Buffer {
	return createHash('sha256').update(text).digest();
}

/** Wrong secrets within the last minute, of which there should be none. */
export class Attempts {
	/** More than a person mistypes. */
	static readonly most = 10;
	static readonly period = 60_000;
	#times: number[] = [];

	/** Note one more. Whether there were too many. */
	note(now = performance.now()): boolean {
		this.#times = this.#times.filter(time => now - time < Attempts.period).slice(-Attempts.most);
		const isTooMany = this.#times.length >= Attempts.most;
		this.#times.push(now);
		return isTooMany;
	}
}
