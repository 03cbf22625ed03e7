/**
 * ACME accounts as certbot keeps them: `accounts/SERVER/MD5/` with `private_key.json`, `regr.json` and `meta.json`. The
 * folder's name is the MD5 of the public key in PEM; with another name, certbot's second renewal fails.
 */
import {createHash, createPrivateKey, createPublicKey, type KeyObject} from 'node:crypto';
import {mkdir, readdir, rename, rm} from 'node:fs/promises';
import {hostname} from 'node:os';
import {join} from 'node:path';
import {GatepassError} from '../../errors.ts';
import {isThere, replaceFile, syncFolder, temporaryBeside, writeToDisk} from '../../files/durable.ts';
import {readBounded} from '../../x509/files.ts';
import type {CertbotFolder} from './folder.ts';

/** An account on disk. The key is a secret. */
export interface StoredAccount {
	/** The folder's name, by which lineages name it. */
	readonly id: string;
	readonly key: KeyObject;
	/** Where the account is. */
	readonly url: string;
}

export class StoredAccounts {
	readonly #folder: CertbotFolder;
	readonly #place: string;

	/** Those at the server with this directory. */
	constructor(folder: CertbotFolder, directoryUrl: string) {
		const {host, pathname} = new URL(directoryUrl);
		this.#folder = folder;
		this.#place = join(
			folder.path,
			'accounts',
			host,
			...pathname.split('/').filter(part => part !== '' && part !== '..'),
		);
	}

	/** All of them, by name. */
	async list(): Promise<StoredAccount[]> {
		const names = await readdir(this.#place).catch((error: NodeJS.ErrnoException): string[] => {
			if (error.code === 'ENOENT') return [];
			throw error;
		});
		const accounts = names.filter(name => /^[0-9a-f]{32}$/.test(name)).sort();
		return Promise.all(accounts.map(id => this.#read(id)));
	}

	/**
	 * The account to use.
	 *
	 * @throws {GatepassError} where there are several and none is named: certbot would ask, too.
	 */
	async find(id?: string): Promise<StoredAccount | undefined> {
		const accounts = await this.list();
		if (id !== undefined) {
			const found = accounts.find(account => account.id === id);
			if (found !== undefined) return found;
			throw new GatepassError({
				code: 'acme-account-missing',
				what: `There is no account ${id} in ${this.#place}`,
				hint: 'Name another, or register one',
			});
		}
		if (accounts.length > 1) {
			throw new GatepassError({
				code: 'acme-account-missing',
				what: `There are ${accounts.length} accounts in ${this.#place}`,
				hint: `Keep the folder of one, and move the others away: ${accounts.map(({id: one}) => one).join(', ')}`,
			});
		}
		return accounts[0];
	}

	/** Keep an account, which the server has accepted. There is never a second one beside it. */
	async save(key: KeyObject, url: string): Promise<StoredAccount> {
		const existing = await this.list();
		const id = accountId(key);
		if (existing.some(account => account.id !== id)) {
			throw new GatepassError({
				code: 'acme-account-exists',
				what: `There is an account in ${this.#place} already`,
				hint: 'A second one would stop certbot, which could not choose; use the first, or deactivate it',
			});
		}
		const account = {id, key, url};
		await mkdir(this.#place, {recursive: true, mode: 0o700});
		const place = join(this.#place, id);
		const temporary = await writeBeside(place, key, url);
		await syncFolder(temporary);
		await rename(temporary, place).catch(async (error: NodeJS.ErrnoException) => {
			await rm(temporary, {recursive: true, force: true});
			if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
		});
		await syncFolder(this.#place);
		return account;
	}

	/** Put another key in the place of one; lineages that name the account have to name the new one. */
	async replaceKey(old: StoredAccount, key: KeyObject): Promise<StoredAccount> {
		const id = accountId(key);
		const place = join(this.#place, id);
		// A process that was killed may have come this far.
		if (!(await isThere(place))) {
			await rename(await writeBeside(place, key, old.url), place);
		}
		await this.#renameInLineages(old.id, id);
		await this.remove(old.id);
		return {id, key, url: old.url};
	}

	async remove(id: string): Promise<void> {
		await rm(join(this.#place, id), {recursive: true, force: true});
		await syncFolder(this.#place);
	}

	async #renameInLineages(from: string, to: string): Promise<void> {
		for (const name of await this.#folder.names()) {
			const file = this.#folder.configuration(name);
			const text = (await readBounded(file)).toString('utf8');
			const changed = text.replace(new RegExp(`^(\\s*account\\s*=\\s*)${from}\\s*$`, 'm'), `$1${to}`);
			if (changed !== text) await replaceFile(file, changed, 0o644);
		}
	}

	async #read(id: string): Promise<StoredAccount> {
		const folder = join(this.#place, id);
		const read = async (name: string): Promise<Record<string, unknown>> => {
			const file = join(folder, name);
			const text = (await readBounded(file)).toString('utf8');
			try {
				return JSON.parse(text);
			} catch {
				throw new GatepassError({
					code: 'acme-account-damaged',
					what: `${file} is damaged`,
					hint: 'Restore it from a backup, or remove the folder and register again',
				});
			}
		};
		const [jwk, {uri}] = [await read('private_key.json'), await read('regr.json')];
		try {
			const key = createPrivateKey({key: jwk as never, format: 'jwk'});
			if (typeof uri !== 'string' || !URL.canParse(uri)) throw new Error('uri');
			return {id, key, url: uri};
		} catch {
			throw new GatepassError({
				code: 'acme-account-damaged',
				what: `The account in ${folder} is damaged`,
				hint: 'Restore it from a backup, or remove it and register again',
			});
		}
	}
}

/** certbot's name for the account of a key. */
export function accountId(key: KeyObject): string {
	const pem = createPublicKey(key).export({type: 'spki', format: 'pem'}) as string;
	return createHash('md5').update(pem).digest('hex');
}

const registration = (uri: string): string => JSON.stringify({body: {}, uri});

/** An account in a folder beside the one that it is to have. */
async function writeBeside(place: string, key: KeyObject, url: string): Promise<string> {
	const folder = temporaryBeside(place);
	await mkdir(folder, {mode: 0o700});
	await writeToDisk(join(folder, 'private_key.json'), JSON.stringify(key.export({format: 'jwk'})), 0o400);
	await writeToDisk(join(folder, 'regr.json'), registration(url), 0o644);
	await writeToDisk(join(folder, 'meta.json'), meta(), 0o644);
	return folder;
}

/** certbot wants both fields. */
function meta(): string {
	const created = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
	return JSON.stringify({creation_dt: created, creation_host: hostname()});
}
