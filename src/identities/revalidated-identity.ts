/** The identity at one place, read again when its files have changed. All rules that name the place share it. */
import type {GatepassError} from '../errors.ts';
import {stampsOf} from '../files/stamp.ts';
import type {Events} from '../observability/events.ts';
import type {Identity, Passphrases} from '../strategy/services.ts';
import {isPassphraseNeeded, isPassphraseWrong} from '../x509/passphrase.ts';
import type {JudgeChain} from './checks.ts';
import {ExpiryWarnings} from './expiry-warnings.ts';
import {isMissing} from './probe.ts';
import {type IdentityPlace, type LoadedIdentity, readIdentity} from './read-identity.ts';

/** What the identities of one gatepass share. */
export interface IdentityServices {
	readonly events: Events;
	/** Told of each identity that is given out no more, so that its connections can be ended. */
	readonly retire: (identity: Identity) => void;
	readonly passphrases?: Passphrases | undefined;
	readonly judge?: JudgeChain | undefined;
}

/** Files that change while they are read are read again, this often. */
const mostReadings = 3;
/** Files that could not be used and have not changed are not read again for this long, in milliseconds. */
const failurePause = 1000;

interface Failure {
	readonly versions: string;
	readonly error: unknown;
	readonly at: number;
}

export class WatchedIdentity {
	readonly place: IdentityPlace;
	readonly #files: readonly string[];
	readonly #services: IdentityServices;
	readonly #warnings: ExpiryWarnings;
	#identity: LoadedIdentity | undefined;
	/** The same as a promise, made once: to give it out costs nothing. */
	#ready: Promise<LoadedIdentity> | undefined;
	/** How the files stood when the identity was read; `undefined`: they may have changed since without a trace. */
	#versions: string | undefined;
	#failure: Failure | undefined;
	#reading: Promise<LoadedIdentity> | undefined;
	/** The passphrase that was asked for: it serves until a file does not open with it. */
	#answer: string | undefined;
	#complaint: string | undefined;
	/** How many sources give it out, or are about to. */
	#users = 0;

	constructor(place: IdentityPlace, services: IdentityServices) {
		this.place = place;
		this.#files = [...new Set([place.certificate, place.key])];
		this.#services = services;
		this.#warnings = new ExpiryWarnings(services.events);
	}

	/** The identity that was read, whether it has expired or not. */
	get identity(): LoadedIdentity | undefined {
		return this.#identity;
	}

	get ready(): Promise<LoadedIdentity> | undefined {
		return this.#ready;
	}

	/** What is wrong with the files while the identity read before is in use. */
	get complaint(): string | undefined {
		return this.#complaint;
	}

	isUsable(now: number): boolean {
		return this.#identity !== undefined && now < this.#identity.chooseAgainAt;
	}

	/** Whether some of the files are not there, or all. */
	lacks(which: 'some' | 'all'): boolean {
		return which === 'some' ? this.#files.some(isMissing) : this.#files.every(isMissing);
	}

	/**
	 * The identity as the files have it now. The same object as before where they say the same.
	 *
	 * @throws what `readIdentity` throws; the identity read before is kept.
	 */
	refresh(): Promise<LoadedIdentity> {
		this.#reading ??= this.#refresh().finally(() => {
			this.#reading = undefined;
		});
		return this.#reading;
	}

	/** Tell, once, that the files cannot be used and what is in use does not come from them any more. */
	complain(error: unknown): void {
		const identity = this.#identity;
		const {message} = error as Error;
		if (identity === undefined || this.#complaint === message) return;
		this.#complaint = message;
		this.#services.events.publish('gatepass:certificate:error', {
			...about(identity),
			error: error as GatepassError,
		});
	}

	/** All is well again. */
	recover(): void {
		this.#complaint = undefined;
	}

	/** Warn if the end is near. */
	lookAtEnd(now: number): void {
		if (this.#identity !== undefined) this.#warnings.look(this.#identity, now);
	}

	/** Keep the identity for one more source. `true`: it is the first one. */
	claim(): boolean {
		this.#users += 1;
		return this.#users === 1;
	}

	/** One source less gives it out. */
	release(): void {
		this.#users -= 1;
		if (this.#users > 0) return;
		const identity = this.#identity;
		this.#identity = undefined;
		this.#ready = undefined;
		this.#versions = undefined;
		this.#complaint = undefined;
		if (identity !== undefined) this.#services.retire(identity);
	}

	async #refresh(): Promise<LoadedIdentity> {
		const before = await stampsOf(this.#files);
		const identity = this.isUsable(Date.now()) ? this.#identity : undefined;
		if (identity !== undefined && this.#versions === before.text) return identity;
		const failure = this.#failure;
		if (failure?.versions === before.text && Math.abs(Date.now() - failure.at) < failurePause)
			throw failure.error;
		try {
			const {identity: read, versions} = await this.#read();
			this.#failure = undefined;
			this.#versions = versions.isSettled ? versions.text : undefined;
			return this.#take(read);
		} catch (error) {
			this.#failure = {versions: before.text, error, at: Date.now()};
			throw error;
		}
	}

	/** Read the files, at a time at which they do not change. */
	async #read() {
		for (let reading = 1; ; reading++) {
			const before = await stampsOf(this.#files);
			const result = await this.#readOrAsk().then(
				identity => ({identity}),
				(error: unknown) => ({error}),
			);
			const versions = await stampsOf(this.#files);
			if (versions.text !== before.text && reading < mostReadings) continue;
			if ('error' in result) throw result.error;
			return {identity: result.identity, versions};
		}
	}

	async #readOrAsk(): Promise<LoadedIdentity> {
		const {judge, passphrases} = this.#services;
		const read = (passphrase: string | undefined): Promise<LoadedIdentity> =>
			readIdentity({...this.place, passphrase}, judge);
		if (this.#answer !== undefined) {
			try {
				return await read(this.#answer);
			} catch (error) {
				if (!isPassphraseWrong(error)) throw error;
			}
		}
		try {
			return await read(this.place.passphrase);
		} catch (error) {
			const answer = isPassphraseNeeded(error) ? await passphrases?.find(this.place.key) : undefined;
			if (answer === undefined) throw error;
			const identity = await read(answer);
			this.#answer = answer;
			return identity;
		}
	}

	#take(identity: LoadedIdentity): LoadedIdentity {
		const previous = this.#identity;
		if (previous !== undefined && previous.material().cert === identity.material().cert) return previous;
		this.#identity = identity;
		this.#ready = Promise.resolve(identity);
		if (identity.warnings.length > 0) {
			const {warnings} = identity;
			this.#services.events.publish('gatepass:certificate:warning', {...about(identity), warnings});
		}
		if (previous !== undefined) {
			this.#services.events.publish('gatepass:certificate:replaced', {
				...about(identity),
				previous: previous.subject,
			});
			this.#services.retire(previous);
		}
		return identity;
	}
}

/** For events. */
export function about({subject, files, notAfter}: Identity): {
	subject: string;
	file: string;
	expiresAt: number;
} {
	return {subject, file: files.certificate, expiresAt: notAfter};
}
