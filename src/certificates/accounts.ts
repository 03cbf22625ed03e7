/** The account with which certificates are ordered: the one on disk, or a new one where the terms are agreed to. */
import {createPrivateKey} from 'node:crypto';
import type {ExternalAccountBinding} from '../config/certificate-settings.ts';
import {
	type Account,
	changeAccountKey,
	deactivateAccount,
	registerAccount,
	updateAccount,
} from '../issuers/acme/account.ts';
import {AccountKey} from '../issuers/acme/jws.ts';
import {type StoredAccount, StoredAccounts} from '../lineages/certbot/accounts.ts';
import type {CertbotFolder} from '../lineages/certbot/folder.ts';
import {type ManagerParts, serverOf} from './parts.ts';

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

export class AccountKeeper {
	readonly #parts: ManagerParts;
	readonly #folder: CertbotFolder;

	constructor(parts: ManagerParts, folder: CertbotFolder) {
		this.#parts = parts;
		this.#folder = folder;
	}

	/**
	 * The account on disk, or a new one; nothing is kept of one that the server refused.
	 *
	 * @param id which one, where there may be several.
	 */
	async find(id: string | undefined, options: RegisterOptions): Promise<FoundAccount> {
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
			signal: options.signal,
		});
		return {account, stored: await accounts.save(createPrivateKey(key.toPem()), account.accountUrl)};
	}

	async update(email: string | undefined, server: string | undefined): Promise<void> {
		const {account} = await this.find(undefined, {server});
		await updateAccount(this.#parts.connect(serverOf(this.#parts, server)), account, {email});
	}

	/** The old key is kept until the server has taken a request with the new one. */
	async rollOver(server: string | undefined): Promise<StoredAccount> {
		const {account, stored} = await this.find(undefined, {server});
		const newKey = AccountKey.generate();
		const directory = serverOf(this.#parts, server);
		await changeAccountKey(this.#parts.connect(directory), account, newKey);
		return new StoredAccounts(this.#folder, directory).replaceKey(stored, createPrivateKey(newKey.toPem()));
	}

	async deactivate(server: string | undefined): Promise<void> {
		const {account, stored} = await this.find(undefined, {server});
		const directory = serverOf(this.#parts, server);
		await deactivateAccount(this.#parts.connect(directory), account);
		await new StoredAccounts(this.#folder, directory).remove(stored.id);
	}
}
