/** What the installers of web servers share: change, test, reload; and what was there before, where any of it fails. */

import {createPrivateKey, X509Certificate} from 'node:crypto';
import {readFile} from 'node:fs/promises';
import {GatepassError} from '../errors.ts';
import {withLock} from '../lineages/certbot/lock.ts';
import {whatOf} from '../reason.ts';
import type {Checkpoints} from './checkpoints.ts';
import {runByHand, runHook} from './hooks.ts';
import type {DeployedLineage, Enhancements, Installer} from './installer.ts';

export interface WebServerSettings {
	/** The main file of the configuration. Default: the distribution's. */
	readonly configuration?: string | undefined;
	/** Has to end with 0 where the configuration is right. Default: the server's own. */
	readonly testCommand?: string | undefined;
	/** Has the server read its configuration. Default: the server's own. */
	readonly reloadCommand?: string | undefined;
	/** Where it listens for https. Default: 443. */
	readonly port?: number | undefined;
}

/** Run by `/bin/sh`. */
export interface Commands {
	readonly testCommand: string;
	readonly reloadCommand: string;
	/** Where the configuration is. */
	readonly folder: string;
}

/** The new text of each file that is to be changed, by its path. */
export type FileChanges = ReadonlyMap<string, string>;

/** How one kind of server is changed. */
export interface WebServer {
	readonly name: string;
	/** @throws {GatepassError} where no part of the configuration is for the names. */
	deploy(lineage: DeployedLineage): Promise<FileChanges>;
	/** What is there already is left as it is. */
	enhance(lineage: DeployedLineage, enhancements: Enhancements): Promise<FileChanges>;
}

export class WebServerInstaller implements Installer {
	readonly #server: WebServer;
	readonly #settings: Commands;
	readonly #checkpoints: Checkpoints;

	constructor(server: WebServer, settings: Commands, checkpoints: Checkpoints) {
		this.#server = server;
		this.#settings = settings;
		this.#checkpoints = checkpoints;
	}

	get name(): string {
		return this.#server.name;
	}

	async deploy(lineage: DeployedLineage): Promise<void> {
		await checkPair(lineage);
		// Its paths stay the same over renewals, so most often there is nothing to change; but it has to be read again.
		await this.#apply(() => this.#server.deploy(lineage), `${this.name}: deploy ${lineage.name}`, true);
	}

	async enhance(lineage: DeployedLineage, enhancements: Enhancements): Promise<void> {
		if (enhancements.stapling === true) await checkStapling(lineage);
		const title = `${this.name}: enhance ${lineage.domains.join(', ')}`;
		await this.#apply(() => this.#server.enhance(lineage, enhancements), title, false);
	}

	async #apply(changesOf: () => Promise<FileChanges>, title: string, alwaysReload: boolean): Promise<void> {
		const {reloadCommand, folder} = this.#settings;
		if ((await changesOf()).size === 0) {
			if (!alwaysReload) return;
			const failure = await runHook(reloadCommand, {});
			if (failure !== undefined)
				throw new GatepassError({
					code: 'web-server-not-reloaded',
					what: `${this.name} was not reloaded: ${failure}`,
					hint: runByHand,
				});
			return;
		}
		// certbot's installers lock this folder. What they did until then is seen by a second look.
		await withLock(folder, async () => this.#write(await changesOf(), title));
	}

	async #write(changes: FileChanges, title: string): Promise<void> {
		const {testCommand, reloadCommand} = this.#settings;
		const change = await this.#checkpoints.begin(title);
		try {
			for (const [path, text] of changes) await change.write(path, text);
			for (const command of [testCommand, reloadCommand]) {
				const failure = await runHook(command, {});
				if (failure !== undefined) throw new GatepassError({code: 'hook-failed', what: failure, hint: ''});
			}
			await change.finish();
		} catch (error) {
			await change.undo();
			await runHook(reloadCommand, {});
			throw new GatepassError(
				{
					code: 'install-failed',
					what: `${title} failed: ${whatOf(error)}`,
					hint: `The configuration from before is restored, and ${this.name} is reloaded with it`,
				},
				{cause: error},
			);
		}
	}
}

/** Apache's own test does not read the certificate, and a reload with a wrong one ends the server. */
async function checkPair({paths}: DeployedLineage): Promise<void> {
	const [certificate, key] = await Promise.all([readFile(paths.fullchain), readFile(paths.privkey)]);
	try {
		if (new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))) return;
	} catch (error) {
		throw new GatepassError(
			{
				code: 'key-does-not-match',
				what: `${paths.fullchain} and ${paths.privkey} are not a certificate and its key`,
				hint: 'Nothing was changed; restore them, or renew with --force-renewal',
			},
			{cause: error},
		);
	}
	throw new GatepassError({
		code: 'key-does-not-match',
		what: `${paths.privkey} is not the key of ${paths.fullchain}`,
		hint: 'Nothing was changed; restore the pair, or renew with --force-renewal',
	});
}

/** Authorities have ended OCSP: without an address for it, there is nothing to staple. */
async function checkStapling({paths}: DeployedLineage): Promise<void> {
	const {infoAccess = ''} = new X509Certificate(await readFile(paths.cert));
	if (infoAccess.includes('OCSP')) return;
	throw new GatepassError({
		code: 'stapling-impossible',
		what: 'The authority names no OCSP server in this certificate, so there is nothing to staple: many have ended it',
		hint: 'Leave --staple-ocsp out',
	});
}

/** Whether a server's name, which may hold a star, is for a domain of the certificate. */
export function isFor(name: string, domains: readonly string[]): boolean {
	const lower = name.toLowerCase();
	return domains.some(domain => {
		if (domain === lower) return true;
		const suffix = domain.startsWith('*.') ? domain.slice(1) : undefined;
		return suffix !== undefined && lower.endsWith(suffix) && !lower.slice(0, -suffix.length).includes('.');
	});
}

/** The headers that each answer over https is to have. */
export function headersOf({hsts, headers = {}}: Enhancements): Readonly<Record<string, string>> {
	return {...(hsts === true && {'Strict-Transport-Security': 'max-age=31536000'}), ...headers};
}

/** What is to be changed in each file; `part`: the first of those that are in it. */
export function editsByFile<Part extends {readonly file: string}, Edit>(
	parts: readonly Part[],
	editsFor: (part: Part) => readonly Edit[],
): {file: string; part: Part; edits: Edit[]}[] {
	const byFile = new Map<string, {file: string; part: Part; edits: Edit[]}>();
	for (const part of parts) {
		const {file} = part;
		const ofFile = byFile.get(file) ?? {file, part, edits: []};
		byFile.set(file, ofFile);
		ofFile.edits.push(...editsFor(part));
	}
	return [...byFile.values()];
}

/** Says which names no part of the configuration is for. */
export function noServerFor(server: string, file: string, domains: readonly string[]): GatepassError {
	return new GatepassError({
		code: 'web-server-has-no-such-name',
		what: `No part of ${server}'s configuration (${file}) is for ${domains.join(', ')}`,
		hint: 'Add one with that name, and deploy again',
	});
}
