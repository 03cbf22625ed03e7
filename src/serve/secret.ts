/** The secret that clients of the proxy show: 256 bits, compared in constant time. */
import {randomBytes, timingSafeEqual} from 'node:crypto';

/** Of letters, digits, dashes and underscores, so that it can stand in a URL. */
export function makeSecret(): string {
	return randomBytes(32).toString('base64url');
}

/** AWS's Signature Version 4, and Version 2 of S3: the identifier of the key stands in front of the signature. */
const signed = /^(?:AWS4-HMAC-SHA256 +Credential=([^/,\s]+)\/|AWS +([^:\s]+):)/;

/** The bytes in front of a text that say how long it is. */
const lengthBytes = 4;

/** Knows whether what a client shows is the secret. */
export class Secret {
	readonly #own: Buffer;
	/** What is shown, cut off or filled up to the length of the secret. */
	readonly #shown: Buffer;

	constructor(text: string) {
		this.#own = Buffer.alloc(lengthBytes + Buffer.byteLength(text));
		this.#shown = Buffer.alloc(this.#own.length);
		layOut(text, this.#own);
	}

	/** As many bytes are compared whatever is shown: how long it takes tells nothing of the secret. */
	matches(shown: string): boolean {
		layOut(shown, this.#shown);
		return timingSafeEqual(this.#own, this.#shown);
	}

	/**
	 * Whether a value of `Authorization` or `Proxy-Authorization` shows it: `Bearer`, `Basic` in either place, or as the
	 * key by whose name programs for S3 sign, which often can show nothing else.
	 */
	isIn(value: string | undefined): boolean {
		const [, ofVersion4, ofVersion2] = signed.exec(value ?? '') ?? [];
		const signer = ofVersion4 ?? ofVersion2;
		if (signer !== undefined) return this.matches(signer);
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

function layOut(text: string, buffer: Buffer): void {
	buffer.fill(0);
	buffer.writeUInt32BE(Buffer.byteLength(text));
	buffer.write(text, lengthBytes);
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
