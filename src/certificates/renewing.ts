/** Renews what is due: hooks around all of it, each lineage on its own, failures remembered. */
import {createPrivateKey, X509Certificate} from 'node:crypto';
import {setTimeout as pause, setImmediate as turn} from 'node:timers/promises';
import type {AcmeError} from '../errors.ts';
import {identifierOf} from '../issuers/acme/certificate-request.ts';
import {inLanes} from '../issuers/acme/lanes.ts';
import type {Progress} from '../issuers/acme/obtain.ts';
import {fetchRenewalInformation, renewalIdentifier} from '../issuers/acme/renewal-information.ts';
import type {CertbotFolder} from '../lineages/certbot/folder.ts';
import {glanceAt} from '../lineages/certbot/glance.ts';
import {domainsOf, Lineage, versionFiles} from '../lineages/certbot/lineage.ts';
import {
	afterFailure,
	dueAt,
	readState,
	rememberInformation,
	stateIn,
	wantsInformation,
	writeState,
} from './due.ts';
import {HookRun} from './hook-run.ts';
import type {ObtainOptions, Ordered, Ordering} from './ordering.ts';
import {type ManagerParts, serverOf} from './parts.ts';
import {isKeyGivenUp, readParameters} from './renewal-parameters.ts';
import {latenessOf} from './status.ts';

/** What `renew` takes. */
export interface RenewOptions {
	/** Default: all. */
	readonly name?: string;
	/** Also what is not due. */
	readonly force?: boolean;
	/** Try it all, and keep nothing. */
	readonly dryRun?: boolean;
	/** Whether to wait for a random part of the configuration's `jitter` before each. Default: `true`. */
	readonly jitter?: boolean;
	readonly onProgress?: (progress: Progress & {readonly name: string}) => void;
	readonly signal?: AbortSignal;
}

/** What came of a renewal, by the names of lineages. */
export interface RenewalResult {
	readonly renewed: readonly string[];
	readonly failed: readonly {readonly name: string; readonly error: Error}[];
	/** Not due yet. */
	readonly skipped: readonly string[];
	/** Hooks that failed, and certificates that expire for want of a renewal: a sentence each. */
	readonly warnings: readonly string[];
}

/** What came of a look, and when the next one is worth while: milliseconds since 1970. */
export interface Look {
	readonly result: RenewalResult;
	readonly next: number | undefined;
}

/** Lineages that are renewed at once. Orders of authenticators that are not for several go one by one all the same. */
const lanes = 6;
/** After so many quick looks, others get their turn. */
const looksAtOnce = 64;

export class Renewing {
	readonly #parts: ManagerParts;
	readonly #folder: CertbotFolder;
	readonly #ordering: Ordering;
	readonly #deploy: (lineage: Lineage) => Promise<void>;
	/** What was told already: a certificate's serial number with the sentence. */
	readonly #told = new Set<string>();

	/** `deploy` is called for each renewed lineage. */
	constructor(
		parts: ManagerParts,
		folder: CertbotFolder,
		ordering: Ordering,
		deploy: (lineage: Lineage) => Promise<void>,
	) {
		this.#parts = parts;
		this.#folder = folder;
		this.#ordering = ordering;
		this.#deploy = deploy;
	}

	/** A failure of one keeps no other from being renewed. */
	async renew({name, ...options}: RenewOptions): Promise<Look> {
		const {signal, force = false, dryRun = false} = options;
		const names = name === undefined ? await this.#folder.names() : [name];
		const run = new Run(this.#parts, this.#told, signal);
		const open: string[] = [];
		for (const [index, each] of names.entries()) {
			if (force || dryRun || !this.#isSurelyNotDue(each, run)) open.push(each);
			else run.skipped(each);
			if (index % looksAtOnce === looksAtOnce - 1) await turn();
			signal?.throwIfAborted();
		}
		// Each waits with its hooks for those before it, so that they run in the order of the names.
		const ends = open.map(() => Promise.withResolvers<void>());
		await inLanes(open, lanes, async (each, index) => {
			signal?.throwIfAborted();
			const before = ends[index - 1]?.promise ?? Promise.resolve();
			let lineage: Lineage | undefined;
			try {
				lineage = await Lineage.open(this.#folder, each);
				await this.#renewIfDue(lineage, options, run, before);
			} catch (error) {
				if (signal?.aborted === true) throw error;
				await run.failed(each, error as Error, lineage);
			} finally {
				void before.then(ends[index]?.resolve);
			}
		}).catch(async error => {
			await run.finish(names);
			throw error;
		});
		return run.finish(names);
	}

	/** By a quick look: most of many are not. What is unusual, or was not renewed in time, is looked at in full. */
	#isSurelyNotDue(name: string, run: Run): boolean {
		const glance = glanceAt(this.#folder, name);
		if (glance === undefined) return false;
		const {certificate, remembered} = glance;
		const state = stateIn(key => remembered.get(key));
		const now = Date.now();
		if (state.attempts > 0) return false;
		if (this.#parts.settings.renewalInformation) {
			if (wantsInformation(state, certificate, now)) return false;
			run.next(state.askAgainAt);
		}
		const {at} = dueAt(certificate, state);
		run.next(at);
		return now < at;
	}

	async #renewIfDue(
		lineage: Lineage,
		options: Omit<RenewOptions, 'name'>,
		run: Run,
		before: Promise<void>,
	): Promise<void> {
		const {force = false, dryRun = false, jitter = true, onProgress, signal} = options;
		const {name} = lineage;
		if (!force && !dryRun) {
			if (!(await this.#isDue(lineage, signal, run))) {
				run.skipped(name);
				// Put off by failures: authorities send no mail any more, so this is who tells.
				if (readState(lineage.configuration).attempts > 0) await run.late(lineage);
				return;
			}
			if (jitter) await pause(Math.random() * this.#parts.settings.jitter, undefined, {signal});
		}
		await run.begin(lineage);
		await this.#renew(lineage, {
			dryRun,
			...(onProgress !== undefined && {onProgress: progress => onProgress({...progress, name})}),
			...(signal !== undefined && {signal}),
		});
		await before;
		await run.renewed(lineage, this.#folder.live(name), dryRun);
	}

	/** Ask the server when to renew, where it is time to ask; then look at the clock. */
	async #isDue(lineage: Lineage, signal: AbortSignal | undefined, run: Run): Promise<boolean> {
		const certificate = await lineage.certificate();
		let state = readState(lineage.configuration);
		const now = Date.now();
		if (state.attempts > 0 && state.nextAttempt !== undefined && now < state.nextAttempt) {
			run.next(state.nextAttempt);
			return false;
		}
		if (this.#parts.settings.renewalInformation && wantsInformation(state, certificate, now)) {
			const {server} = readParameters(lineage.configuration);
			const connection = this.#parts.connect(serverOf(this.#parts, server));
			// Without an answer, what it said before decides, or the lifetime.
			const information = await fetchRenewalInformation(connection, certificate, signal).catch(
				() => 'failed' as const,
			);
			state = rememberInformation(state, certificate, information, now);
			writeState(lineage.configuration, state);
			await lineage.save();
		}
		const {at} = dueAt(certificate, state);
		run.next(at);
		return now >= at;
	}

	async #renew(lineage: Lineage, options: ObtainOptions): Promise<void> {
		const parameters = readParameters(lineage.configuration);
		const {certificate, files} = await lineage.read();
		const isReused =
			(parameters.reuseKey === true || this.#parts.settings.reuseKey) &&
			!isKeyGivenUp(lineage.configuration, certificate.serialNumber);
		try {
			const order = (): Promise<Ordered> =>
				this.#ordering.forLineage(
					lineage.name,
					domainsOf(certificate).map(identifierOf),
					{
						account: parameters.account,
						replaces: renewalIdentifier(certificate),
						key: isReused ? createPrivateKey(files.privkey) : undefined,
					},
					{...withoutUndefined(parameters), ...options},
				);
			let {key, obtained} = await order();
			if (new X509Certificate(obtained.certificate).fingerprint256 === certificate.fingerprint256) {
				// The order whose certificate is in use: a process was killed before it could forget it.
				await this.#ordering.finish(lineage.name);
				({key, obtained} = await order());
			}
			if (options.dryRun === true) return;
			await lineage.add(versionFiles(obtained, key));
			await this.#ordering.finish(lineage.name);
			writeState(lineage.configuration, {attempts: 0});
			await lineage.save();
		} catch (error) {
			if (options.dryRun !== true && options.signal?.aborted !== true) {
				const state = readState(lineage.configuration);
				const {retryAfter} = error as AcmeError;
				writeState(lineage.configuration, afterFailure(state, Date.now(), retryAfter));
				await lineage.save();
			}
			throw error;
		}
		if (this.#parts.settings.installer !== undefined) await this.#deploy(lineage);
	}
}

/** One run over all lineages: what came of each, and the hooks around them. */
class Run {
	readonly #parts: ManagerParts;
	readonly #told: Set<string>;
	readonly #hooks: HookRun;
	readonly #result = {
		renewed: [] as string[],
		failed: [] as {name: string; error: Error}[],
		skipped: [] as string[],
	};
	readonly #late: string[] = [];
	#hasBegun = false;
	#next: number | undefined;

	constructor(parts: ManagerParts, told: Set<string>, signal: AbortSignal | undefined) {
		this.#parts = parts;
		this.#told = told;
		this.#hooks = new HookRun(parts, true, signal);
	}

	/** Something is to be done then. */
	next(time: number | undefined): void {
		if (time === undefined || time < Date.now()) return;
		this.#next = Math.min(this.#next ?? time, time);
	}

	/** Something is renewed: run what comes before, once. */
	async begin(lineage: Lineage): Promise<void> {
		this.#hasBegun = true;
		await this.#hooks.before(readParameters(lineage.configuration));
	}

	skipped(name: string): void {
		this.#result.skipped.push(name);
	}

	async renewed(lineage: Lineage, live: string, isDryRun: boolean): Promise<void> {
		const {name} = lineage;
		this.#result.renewed.push(name);
		if (isDryRun) return;
		const certificate = await lineage.certificate();
		const domains = domainsOf(certificate);
		const notAfter = certificate.validToDate.getTime();
		this.#parts.report?.({kind: 'renewed', name, detail: `renewed ${name}`, notAfter});
		await this.#hooks.deployed(live, domains, readParameters(lineage.configuration));
	}

	/** A certificate that should have been renewed by now is told of, once as long as nothing changes. */
	async late(lineage: Lineage): Promise<void> {
		const certificate = await lineage.certificate();
		for (const sentence of latenessOf(certificate)) {
			const detail = `${lineage.name}: ${sentence}`;
			this.#late.push(detail);
			const key = `${certificate.serialNumber} ${sentence}`;
			if (this.#told.has(key)) continue;
			this.#told.add(key);
			const notAfter = certificate.validToDate.getTime();
			this.#parts.report?.({kind: 'expiring', name: lineage.name, detail, notAfter});
		}
	}

	async failed(name: string, error: Error, lineage: Lineage | undefined): Promise<void> {
		this.#result.failed.push({name, error});
		const certificate = await lineage?.certificate().catch(() => undefined);
		this.#hooks.failed(certificate === undefined ? [name] : domainsOf(certificate));
		if (lineage === undefined || certificate === undefined) return;
		this.next(readState(lineage.configuration).nextAttempt);
		await this.late(lineage);
	}

	/** @param names in whose order it is told. */
	async finish(names: readonly string[]): Promise<Look> {
		if (this.#hasBegun) await this.#hooks.after();
		const place = new Map(names.map((name, index) => [name, index]));
		const inOrder = (one: string, other: string): number => (place.get(one) ?? 0) - (place.get(other) ?? 0);
		const {renewed, failed, skipped} = this.#result;
		return {
			result: {
				renewed: renewed.sort(inOrder),
				failed: failed.sort((one, other) => inOrder(one.name, other.name)),
				skipped: skipped.sort(inOrder),
				warnings: [...this.#late, ...this.#hooks.warnings],
			},
			next: this.#next,
		};
	}
}

function withoutUndefined<Value extends object>(
	value: Value,
): {[Key in keyof Value]: Exclude<Value[Key], undefined>} {
	return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as never;
}
