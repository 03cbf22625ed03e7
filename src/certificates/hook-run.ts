/** The commands around obtaining and renewing: each runs once in a run, and what fails is told and spoils nothing. */
import type {Hooks} from '../config/certificate-settings.ts';
import {hooksIn, runHook} from '../installers/hooks.ts';
import type {ManagerParts} from './parts.ts';

/** What a lineage has of its own, as certbot's `pre_hook`, `renew_hook` and `post_hook`. */
export interface OwnHooks {
	readonly preHook?: string | undefined;
	readonly deployHook?: string | undefined;
	readonly postHook?: string | undefined;
}

export class HookRun {
	/** What failed: a sentence each. */
	readonly warnings: string[] = [];
	readonly #parts: ManagerParts;
	readonly #isRenewal: boolean;
	readonly #signal: AbortSignal | undefined;
	readonly #domains = {renewed: [] as string[], failed: [] as string[]};
	/** Those of lineages, by the command. */
	readonly #before = new Map<string, Promise<void>>();
	readonly #after = new Set<string>();
	/** Those of the folder and of the configuration. */
	#begun: Promise<void> | undefined;
	/** One deploy hook after the other. */
	#deploying: Promise<void> = Promise.resolve();

	/** @param isRenewal whether those of the configuration and of the folder `renewal-hooks` run, too. */
	constructor(parts: ManagerParts, isRenewal: boolean, signal?: AbortSignal) {
		this.#parts = parts;
		this.#isRenewal = isRenewal;
		this.#signal = signal;
	}

	/** Before a certificate is ordered. What ran for another one does not run again. */
	async before({preHook, postHook}: OwnHooks): Promise<void> {
		const {before = '', after = ''} = this.#common;
		this.#begun ??= (async () => {
			for (const one of [...(await this.#inFolder('post')), after]) this.#after.add(one);
			await this.#run([...(await this.#inFolder('pre')), before], {}, this.#signal);
		})();
		await this.#begun;
		if (postHook !== undefined) this.#after.add(postHook);
		if (preHook === undefined || preHook === before) return;
		if (!this.#before.has(preHook)) this.#before.set(preHook, this.#run([preHook], {}, this.#signal));
		await this.#before.get(preHook);
	}

	/** A certificate is there. */
	async deployed(live: string, domains: readonly string[], {deployHook}: OwnHooks): Promise<void> {
		this.#domains.renewed.push(...domains);
		const variables = {RENEWED_LINEAGE: live, RENEWED_DOMAINS: domains.join(' ')};
		const hooks = [...(await this.#inFolder('deploy')), deployHook ?? '', this.#common.deploy ?? ''];
		this.#deploying = this.#deploying.then(() => this.#run(hooks, variables, this.#signal));
		await this.#deploying;
	}

	failed(domains: readonly string[]): void {
		this.#domains.failed.push(...domains);
	}

	/** After all of it, where anything was begun; also where it was interrupted: what came before may have stopped a server. */
	async after(): Promise<void> {
		const {renewed, failed} = this.#domains;
		const variables = {RENEWED_DOMAINS: renewed.join(' '), FAILED_DOMAINS: failed.join(' ')};
		await this.#run([...this.#after], variables, undefined);
	}

	get #common(): Hooks {
		return this.#isRenewal ? this.#parts.settings.hooks : {};
	}

	async #inFolder(kind: 'pre' | 'deploy' | 'post'): Promise<string[]> {
		return this.#isRenewal ? hooksIn(this.#parts.settings.folder, kind) : [];
	}

	async #run(
		commands: readonly string[],
		variables: Readonly<Record<string, string>>,
		signal: AbortSignal | undefined,
	): Promise<void> {
		for (const command of new Set(commands)) {
			const failure = command === '' ? undefined : await runHook(command, variables, signal);
			if (failure === undefined) continue;
			this.warnings.push(failure);
			this.#parts.report?.({kind: 'hook-failed', detail: failure});
		}
	}
}
