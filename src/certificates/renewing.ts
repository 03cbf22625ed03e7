/** Renews what is due: hooks around all of it, each lineage on its own, failures remembered. */
import {createPrivateKey, X509Certificate} from 'node:crypto';
import {setTimeout as pause} from 'node:timers/promises';
import type {AcmeError} from '../errors.ts';
import {hooksIn, runHook} from '../installers/hooks.ts';
import {identifierOf} from '../issuers/acme/certificate-request.ts';
import type {Progress} from '../issuers/acme/obtain.ts';
import {fetchRenewalInformation, renewalIdentifier} from '../issuers/acme/renewal-information.ts';
import type {CertbotFolder} from '../lineages/certbot/folder.ts';
import {domainsOf, Lineage, versionFiles} from '../lineages/certbot/lineage.ts';
import {afterFailure, dueAt, readState, rememberInformation, wantsInformation, writeState} from './due.ts';
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
	async renew({name, ...options}: RenewOptions): Promise<RenewalResult> {
		const {signal} = options;
		const run = new Run(this.#parts, this.#told, signal);
		for (const each of name === undefined ? await this.#folder.names() : [name]) {
			signal?.throwIfAborted();
			let lineage: Lineage | undefined;
			try {
				lineage = await Lineage.open(this.#folder, each);
				await this.#renewIfDue(lineage, options, run);
			} catch (error) {
				if (signal?.aborted === true) throw error;
				await run.failed(each, error as Error, lineage);
			}
		}
		return run.finish();
	}

	async #renewIfDue(lineage: Lineage, options: Omit<RenewOptions, 'name'>, run: Run): Promise<void> {
		const {force = false, dryRun = false, jitter = true, onProgress, signal} = options;
		const {name} = lineage;
		if (!force && !dryRun) {
			if (!(await this.#isDue(lineage, signal))) {
				run.skipped(name);
				// Put off by failures: authorities send no mail any more, so this is who tells.
				if (readState(lineage.configuration).attempts > 0) await run.late(lineage);
				return;
			}
			if (jitter) await pause(Math.random() * this.#parts.settings.jitter, undefined, {signal});
		}
		await run.begin();
		await this.#renew(lineage, {
			dryRun,
			...(onProgress !== undefined && {onProgress: progress => onProgress({...progress, name})}),
			...(signal !== undefined && {signal}),
		});
		await run.renewed(lineage, this.#folder.live(name), dryRun);
	}

	/** Ask the server when to renew, where it is time to ask; then look at the clock. */
	async #isDue(lineage: Lineage, signal: AbortSignal | undefined): Promise<boolean> {
		const certificate = await lineage.certificate();
		let state = readState(lineage.configuration);
		const now = Date.now();
		if (state.attempts > 0 && state.nextAttempt !== undefined && now < state.nextAttempt) return false;
		if (this.#parts.settings.renewalInformation && wantsInformation(state, certificate, now)) {
			const {server} = readParameters(lineage.configuration);
			const connection = this.#parts.connect(serverOf(this.#parts, server));
			// Without an answer, the lifetime decides.
			const information = await fetchRenewalInformation(connection, certificate, signal).catch(
				() => undefined,
			);
			state = rememberInformation(state, certificate, information, now);
			writeState(lineage.configuration, state);
			await lineage.save();
		}
		return now >= dueAt(certificate, state).at;
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
	readonly #signal: AbortSignal | undefined;
	readonly #result = {
		renewed: [] as string[],
		failed: [] as {name: string; error: Error}[],
		skipped: [] as string[],
		warnings: [] as string[],
	};
	readonly #domains = {renewed: [] as string[], failed: [] as string[]};
	#hasBegun = false;

	constructor(parts: ManagerParts, told: Set<string>, signal: AbortSignal | undefined) {
		this.#parts = parts;
		this.#told = told;
		this.#signal = signal;
	}

	/** Something is renewed: run what comes before, once. */
	async begin(): Promise<void> {
		if (this.#hasBegun) return;
		this.#hasBegun = true;
		await this.#hooks('pre', [this.#parts.settings.hooks.before], {});
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
		this.#domains.renewed.push(...domains);
		const notAfter = certificate.validToDate.getTime();
		this.#parts.report?.({kind: 'renewed', name, detail: `renewed ${name}`, notAfter});
		const own = readParameters(lineage.configuration).deployHook;
		const variables = {RENEWED_LINEAGE: live, RENEWED_DOMAINS: domains.join(' ')};
		await this.#hooks('deploy', [own, this.#parts.settings.hooks.deploy], variables);
	}

	/** A certificate that should have been renewed by now is told of, once as long as nothing changes. */
	async late(lineage: Lineage): Promise<void> {
		const certificate = await lineage.certificate();
		for (const sentence of latenessOf(certificate)) {
			const detail = `${lineage.name}: ${sentence}`;
			this.#result.warnings.push(detail);
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
		this.#domains.failed.push(...(certificate === undefined ? [name] : domainsOf(certificate)));
		if (lineage !== undefined && certificate !== undefined) await this.late(lineage);
	}

	async finish(): Promise<RenewalResult> {
		if (this.#hasBegun) {
			const {renewed, failed} = this.#domains;
			const variables = {RENEWED_DOMAINS: renewed.join(' '), FAILED_DOMAINS: failed.join(' ')};
			await this.#hooks('post', [this.#parts.settings.hooks.after], variables);
		}
		return this.#result;
	}

	async #hooks(
		kind: 'pre' | 'deploy' | 'post',
		own: readonly (string | undefined)[],
		variables: Readonly<Record<string, string>>,
	): Promise<void> {
		for (const hook of [...(await hooksIn(this.#parts.settings.folder, kind)), ...own]) {
			const failure =
				hook === undefined || hook === '' ? undefined : await runHook(hook, variables, this.#signal);
			if (failure === undefined) continue;
			this.#result.warnings.push(failure);
			this.#parts.report?.({kind: 'hook-failed', detail: failure});
		}
	}
}

function withoutUndefined<Value extends object>(
	value: Value,
): {[Key in keyof Value]: Exclude<Value[Key], undefined>} {
	return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as never;
}
