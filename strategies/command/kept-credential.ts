/**
 * A credential that is kept in this process alone, such as a private key, which no store should see: fetched once for all
 * who want it, renewed ahead of its end, and never used past it.
 */

export interface Expiring {
	readonly expiresAt: number | undefined;
}

/** Of its life, after which it is renewed in the background. */
const renewalShare = 0.75;
/** Milliseconds before its end in which it is used no more: it could end on its way. */
const longestLeeway = 10_000;
/** Milliseconds before a failed renewal is tried again. */
const renewalPause = 10_000;
/** So many in a row that a server refuses are replaced at once; after that, one in this many milliseconds. */
const replacedAtOnce = 2;
const replacementPause = 10_000;

interface Kept<Credential> {
	readonly credential: Credential;
	readonly usableUntil: number;
	renewAfter: number;
}

export class KeptCredential<Credential extends Expiring> {
	readonly #fetch: () => Promise<Credential>;
	readonly #replaced: (previous: Credential) => void;
	#kept: Kept<Credential> | undefined;
	#underWay: Promise<Credential> | undefined;
	#previous: Credential | undefined;
	/** How many in a row were dropped because a server refused them, and when the last one was. */
	#dropped = {inARow: 0, at: Number.NEGATIVE_INFINITY};

	/** @param replaced gets each one that another has taken the place of. */
	constructor(fetch: () => Promise<Credential>, replaced: (previous: Credential) => void = () => {}) {
		this.#fetch = fetch;
		this.#replaced = replaced;
	}

	/** The one at hand, or a new one. */
	async get(fresh = false): Promise<Credential> {
		const kept = this.#kept;
		const now = Date.now();
		if (fresh || kept === undefined || now >= kept.usableUntil) return this.#renew();
		if (now >= kept.renewAfter) {
			kept.renewAfter = now + renewalPause;
			// Whatever comes of it: the one at hand is still good.
			this.#renew().catch(() => {});
		}
		return kept.credential;
	}

	/** What is at hand, without fetching. */
	peek(): Credential | undefined {
		return this.#kept !== undefined && Date.now() < this.#kept.usableUntil
			? this.#kept.credential
			: undefined;
	}

	/** The one that {@link KeptCredential.get} would give, where it has nothing else to do. */
	get atHand(): Credential | undefined {
		const kept = this.#kept;
		const now = Date.now();
		return kept !== undefined && now < kept.usableUntil && now < kept.renewAfter
			? kept.credential
			: undefined;
	}

	/** Use this one no more, unless another has taken its place, or too many were refused. Returns whether it is gone. */
	drop(credential: Credential): boolean {
		if (this.#kept?.credential !== credential) return true;
		const now = performance.now();
		const {inARow, at} = this.#dropped;
		const isNext = now < at + 2 * replacementPause;
		if (isNext && inARow >= replacedAtOnce && now < at + replacementPause) return false;
		this.#dropped = {inARow: isNext ? inARow + 1 : 1, at: now};
		this.#kept = undefined;
		return true;
	}

	clear(): void {
		this.#kept = undefined;
		this.#underWay = undefined;
	}

	#renew(): Promise<Credential> {
		this.#underWay ??= this.#begin();
		return this.#underWay;
	}

	#begin(): Promise<Credential> {
		const begun: Promise<Credential> = this.#fetch()
			.then(credential => {
				// Not where it was cleared meanwhile.
				if (this.#underWay === begun) this.#keep(credential);
				return credential;
			})
			.finally(() => {
				if (this.#underWay === begun) this.#underWay = undefined;
			});
		return begun;
	}

	#keep(credential: Credential): void {
		const now = Date.now();
		const left = (credential.expiresAt ?? Number.POSITIVE_INFINITY) - now;
		this.#kept = {
			credential,
			usableUntil: now + left - Math.min(longestLeeway, left / 10),
			renewAfter: now + left * renewalShare,
		};
		if (this.#previous !== undefined && this.#previous !== credential) this.#replaced(this.#previous);
		this.#previous = credential;
	}
}
