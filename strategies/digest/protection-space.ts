/** What a server has said of one protection space (RFC 9110 section 11.5), and the answers to it. */
import {randomBytes} from 'node:crypto';
import type {Challenge} from '../../src/strategy/index.ts';
import {algorithms, type DigestAlgorithm, findAlgorithm} from './algorithms.ts';
import type {DigestOptions} from './options.ts';

/** What is sent: RFC 7616 section 3.4. */
export interface Sent {
	readonly method: string;
	/** Path and query. */
	readonly target: string;
	/** Where the server wants it protected. */
	readonly body?: Uint8Array | undefined;
}

/** The quality of protection: nothing but the request line, or the body, too. */
type Quality = 'auth' | 'auth-int';

export class ProtectionSpace {
	readonly #challenge: ReadonlyMap<string, string>;
	readonly #algorithm: DigestAlgorithm;
	/** A server of RFC 2069 names none. */
	readonly #quality: Quality | undefined;
	/** One for the life of the nonce: with `-sess`, the key is made of it. */
	#clientNonce: string;
	#nonce: string;
	#count = 0;
	#key: string | undefined;

	constructor(
		challenge: ReadonlyMap<string, string>,
		algorithm: DigestAlgorithm,
		nonce: string,
		clientNonce = newClientNonce(),
	) {
		this.#clientNonce = clientNonce;
		this.#challenge = challenge;
		this.#algorithm = algorithm;
		this.#quality = qualityOf(challenge);
		this.#nonce = nonce;
	}

	get realm(): string {
		return this.#challenge.get('realm') ?? '';
	}

	/** The places that it is in, by URLs with blanks between them. */
	get domain(): string {
		return this.#challenge.get('domain') ?? '';
	}

	/** Whether the body is part of the answer (`auth-int`). */
	get protectsBody(): boolean {
		return this.#quality === 'auth-int';
	}

	/** The server names the nonce for the requests to come (RFC 7616 section 3.5). */
	renew(nonce: string): void {
		if (nonce === this.#nonce) return;
		this.#nonce = nonce;
		this.#count = 0;
		this.#clientNonce = newClientNonce();
		this.#key = undefined;
	}

	/** The value of `Authorization` for one request. Each has a count of its own, so that none is a replay. */
	authorization(
		{method, target, body = new Uint8Array()}: Sent,
		{username, password}: DigestOptions,
	): string {
		const {hash, isSession, name} = this.#algorithm;
		const {realm} = this;
		const [nonce, clientNonce] = [this.#nonce, this.#clientNonce];
		this.#count += 1;
		const count = this.#count.toString(16).padStart(8, '0');
		if (this.#key === undefined) {
			const base = hash(`${username}:${realm}:${password}`);
			this.#key = isSession ? hash(`${base}:${nonce}:${clientNonce}`) : base;
		}
		const quality = this.#quality;
		const middle = quality === undefined ? [nonce] : [nonce, count, clientNonce, quality];
		const what = this.protectsBody ? `${method}:${target}:${hash(body)}` : `${method}:${target}`;
		const response = hash([this.#key, ...middle, hash(what)].join(':'));
		const isHashed = this.#challenge.get('userhash')?.toLowerCase() === 'true';
		const opaque = this.#challenge.get('opaque');
		return `Digest ${[
			isHashed ? `username=${quote(hash(`${username}:${realm}`))}` : userParameter(username),
			`realm=${quote(realm)}`,
			`nonce=${quote(nonce)}`,
			`uri=${quote(target)}`,
			`response=${quote(response)}`,
			...(this.#challenge.has('algorithm') ? [`algorithm=${name}`] : []),
			...(opaque === undefined ? [] : [`opaque=${quote(opaque)}`]),
			...(quality !== undefined || isSession ? [`cnonce=${quote(clientNonce)}`] : []),
			...(quality === undefined ? [] : [`qop=${quality}`, `nc=${count}`]),
			...(isHashed ? ['userhash=true'] : []),
		].join(', ')}`;
	}
}

const newClientNonce = (): string => randomBytes(16).toString('hex');

/** The challenge to answer: the strongest that can be. `undefined`: there is none. */
export function openProtectionSpace(challenges: readonly Challenge[]): ProtectionSpace | undefined {
	const usable = challenges.flatMap(({parameters}) => {
		const algorithm = findAlgorithm(parameters.get('algorithm'));
		const nonce = parameters.get('nonce');
		const isUsable = !parameters.has('qop') || qualityOf(parameters) !== undefined;
		return algorithm === undefined || nonce === undefined || !isUsable
			? []
			: [{parameters, algorithm, nonce}];
	});
	const [best] = usable.sort((a, b) => algorithms.indexOf(a.algorithm) - algorithms.indexOf(b.algorithm));
	return best && new ProtectionSpace(best.parameters, best.algorithm, best.nonce);
}

/** The one that is used: with the body only where the server wants that, for then it has to be read before it is sent. */
function qualityOf(parameters: ReadonlyMap<string, string>): Quality | undefined {
	const offered = parameters.get('qop')?.split(',') ?? [];
	const named = offered.map(value => value.trim().toLowerCase());
	return (['auth', 'auth-int'] as const).find(quality => named.includes(quality));
}

/** RFC 7616 section 3.4: what no quoted string can hold is sent in the form of RFC 8187. */
function userParameter(username: string): string {
	return /^[\x20-\x7E]*$/.test(username)
		? `username=${quote(username)}`
		: `username*=UTF-8''${encodeURIComponent(username).replace(/['()*]/g, character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)}`;
}

function quote(text: string): string {
	return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
