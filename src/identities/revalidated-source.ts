/**
 * What one source names, looked at again at most once a second, when it is used.
 *
 * Between, an identity is given out without looking at any file and without making anything. See
 * docs/decisions/0008-files-looked-at-in-use.md.
 */
import {stampsOf} from '../files/stamp.ts';
import type {Identity} from '../strategy/services.ts';
import {type Discovery, nothingFound} from './discover.ts';
import {about, type IdentityServices, type WatchedIdentity} from './revalidated-identity.ts';

/** Milliseconds for which files are not looked at again. */
const lookInterval = 1000;
/** Milliseconds after which files that cannot be used are tried again although they have not changed. */
const failurePause = 60_000;

export class WatchedSource {
	readonly #discover: () => Discovery;
	readonly #open: (place: NonNullable<Discovery['found']>) => WatchedIdentity;
	readonly #services: IdentityServices;
	/** What is given out. */
	#held: WatchedIdentity | undefined;
	#lookedAt = 0;
	#looking: Promise<Identity> | undefined;
	/** The files on which the search depends, and how they stood. */
	#files: readonly string[] = [];
	#versions: string | undefined;
	/** When to search again although the files have not changed. */
	#searchAgainAt = 0;
	/** Whether files in use were gone at the last look: whoever renews them may take them away for a moment. */
	#wereGone = false;

	constructor(
		discover: () => Discovery,
		open: (place: NonNullable<Discovery['found']>) => WatchedIdentity,
		services: IdentityServices,
	) {
		this.#discover = discover;
		this.#open = open;
		this.#services = services;
	}

	load(): Promise<Identity> {
		const now = Date.now();
		const held = this.#held;
		if (held?.ready !== undefined && this.#isFresh(held, now)) return held.ready;
		this.#looking ??= this.#look(now).finally(() => {
			this.#looking = undefined;
		});
		return this.#looking;
	}

	/** What {@link load} gives, where it need not look at any file. */
	get atHand(): Identity | undefined {
		const held = this.#held;
		return held?.ready !== undefined && this.#isFresh(held, Date.now()) ? held.identity : undefined;
	}

	#isFresh(held: WatchedIdentity, now: number): boolean {
		return held.isUsable(now) && Math.abs(now - this.#lookedAt) < lookInterval;
	}

	/** What is wrong with the files while the identity read before is in use. */
	get complaint(): string | undefined {
		return this.#held?.complaint;
	}

	async #look(now: number): Promise<Identity> {
		const {text, isSettled} = await stampsOf(this.#files);
		const held = this.#held;
		const hasChanged = text !== this.#versions || now >= this.#searchAgainAt || !held?.isUsable(now);
		if (hasChanged) {
			this.#versions = text;
			this.#searchAgainAt = isSettled ? Number.POSITIVE_INFINITY : now;
			await this.#search(now);
		}
		const identity = this.#held?.identity as Identity;
		this.#lookedAt = now;
		this.#held?.lookAtEnd(now);
		return identity;
	}

	/** Have something to give out, or throw. */
	async #search(now: number): Promise<void> {
		const held = this.#held?.isUsable(now) ? this.#held : undefined;
		const wereGone = this.#wereGone;
		this.#wereGone = false;
		try {
			const next = this.#find();
			if (next !== held && held?.lacks('some') && !wereGone) {
				this.#waitForFiles(now);
				return;
			}
			await this.#take(next);
		} catch (error) {
			if (held?.lacks('all') && !wereGone) {
				this.#waitForFiles(now);
				return;
			}
			if (held === undefined || held.lacks('all')) {
				this.#drop();
				throw error;
			}
			held.complain(error);
			this.#searchAgainAt = Math.min(this.#searchAgainAt, now + failurePause);
		}
	}

	#find(): WatchedIdentity {
		const discovery = this.#discover();
		// Where these are others than before, the next look searches once more, as they stand in another way.
		this.#files = discovery.lookedAt;
		if (discovery.found === undefined) throw nothingFound(discovery);
		return this.#open(discovery.found);
	}

	/** Go on with what is in use, until the next look. */
	#waitForFiles(now: number): void {
		this.#wereGone = true;
		this.#searchAgainAt = now;
	}

	async #take(next: WatchedIdentity): Promise<void> {
		const previous = this.#held;
		const before = previous?.identity;
		// Claimed first: it must not be retired meanwhile.
		const isFirst = next.claim();
		try {
			const identity = await next.refresh();
			if (isFirst && before !== undefined) {
				const payload = {...about(identity), previous: before.subject};
				this.#services.events.publish('gatepass:certificate:replaced', payload);
			}
		} catch (error) {
			next.release();
			throw error;
		}
		next.recover();
		this.#held = next;
		previous?.release();
	}

	#drop(): void {
		this.#held?.release();
		this.#held = undefined;
	}
}
