/** The account with which certificates are ordered: the one on disk, or a new one where the terms are agreed to. */
import {createPrivateKey} from 'node:crypto';
import {readdir, readFile, rm} from 'node:fs/promises';
import {join} from 'node:path';
import type {ExternalAccountBinding} from '../config/certificate-settings.ts';
import {replaceFile} from '../files/durable.ts';
import {
	type Account,
	changeAccountKey,
	deactivateAccount,
	findAccount,
	registerAccount,
	updateAccount,
} from '../issuers/acme/account.ts';
import {AccountKey} from '../issuers/acme/jws.ts';
import {type StoredAccount, StoredAccounts} from '../lineages/certbot/accounts.ts';
import type {CertbotFolder} from '../lineages/certbot/folder.ts';
import {type ManagerParts, serverOf} from './parts.ts';
import {Turns} from './turns.ts';

/** What `register` takes. */
export interface RegisterOptions {
	/** Default: the configuration's. */
	readonly email?: string | undefined;
	/** Whether to agree to the terms at this address. Default: what the configuration says. */
	readonly termsOfService?: (url: string) => boolean | Promise<boolean>;
	readonly externalAccountBinding?: ExternalAccountBinding | undefined;
	/** The directory of the server. Default: the configuration's. */
	readonly server?: string | undefined;
	readonly signal?: AbortSignal;
}

export interface FoundAccount {
	readonly account: Account;
	readonly stored: StoredAccount;
}

/** How the name of a file goes on that says which key an account is about to have. */
const rollover = '.rollover';

export class AccountKeeper {
	readonly #parts: ManagerParts;
	readonly #folder: CertbotFolder;
	readonly #turns = new Turns();

	constructor(parts: ManagerParts, folder: CertbotFolder) {
		this.#parts = parts;
		this.#folder = folder;
	}

	/**
	 * The account on disk, or a new one; nothing is kept of one that the server refused.
	 *
	 * @param id which one, where there may be several.
	 */
	find(id: string | undefined, options: RegisterOptions): Promise<FoundAccount> {
		// Two orders at once are not to make two accounts.
		return this.#turns.take(true, () => this.#find(id, options));
	}

	async #find(id: string | undefined, options: RegisterOptions): Promise<FoundAccount> {
		const {settings, connect} = this.#parts;
		const server = serverOf(this.#parts, options.server);
		const accounts = new StoredAccounts(this.#folder, server);
		const stored = await accounts.find(id);
		if (stored !== undefined) {
			const key = new AccountKey(stored.key);
			return {stored, account: {key, accountUrl: stored.url, resource: {status: 'valid'}}};
		}
		const key = AccountKey.generate();
		const account = await registerAccount(connect(server), key, {
			email: options.email ?? settings.email,
			termsOfService: options.termsOfService ?? (() => settings.termsOfServiceAgreed),
			externalAccountBinding: options.externalAccountBinding ?? settings.externalAccountBinding,
			isNewKey: true,
			signal: options.signal,
		});
		return {account, stored: await accounts.save(createPrivateKey(key.toPem()), account.accountUrl)};
	}

	async update(email: string | undefined, server: string | undefined): Promise<void> {
		const {account} = await this.find(undefined, {server});
		await updateAccount(this.#parts.connect(serverOf(this.#parts, server)), account, {email});
	}

	/**
	 * The new key is on disk before the server has it, and the old one is kept until the server has taken a request with the
	 * new one: a process that is killed in between is followed by one that finds out which of them holds.
	 */
	async rollOver(server: string | undefined): Promise<StoredAccount> {
		const {account, stored} = await this.find(undefined, {server});
		const newKey = AccountKey.generate();
		const directory = serverOf(this.#parts, server);
		const file = join(this.#folder.path, 'gatepass/pending', stored.id + rollover);
		await replaceFile(file, JSON.stringify({server: directory, key: newKey.toPem()}), 0o600);
		await changeAccountKey(this.#parts.connect(directory), account, newKey);
		const accounts = new StoredAccounts(this.#folder, directory);
		const replaced = await accounts.replaceKey(stored, createPrivateKey(newKey.toPem()));
		await rm(file, {force: true});
		return replaced;
	}

	/** Bring changes of keys to their end that a killed process began, or forget those that no server saw. */
	async settle(): Promise<void> {
		const folder = join(this.#folder.path, 'gatepass/pending');
		for (const name of await readdir(folder).catch((): string[] => [])) {
			if (!name.endsWith(rollover)) continue;
			const {server, key: pem} = JSON.parse(await readFile(join(folder, name), 'utf8'));
			const key = createPrivateKey(pem);
			const changed = await findAccount(this.#parts.connect(server), new AccountKey(key));
			const accounts = new StoredAccounts(this.#folder, server);
			const stored = (await accounts.list()).find(({id}) => id === name.slice(0, -rollover.length));
			if (stored !== undefined && changed?.accountUrl === stored.url) {
				await accounts.replaceKey(stored, key);
				const detail = `the account ${stored.url} has its new key, which was not brought to its end`;
				this.#parts.report?.({kind: 'recovered', detail});
			}
			await rm(join(folder, name), {force: true});
		}
	}

	async deactivate(server: string | undefined): Promise<void> {
		const {account, stored} = await this.find(undefined, {server});
		const directory = serverOf(this.#parts, server);
		await deactivateAccount(this.#parts.connect(directory), account);
		await new StoredAccounts(this.#folder, directory).remove(stored.id);
	}
}
