/** Keys and orders that are not finished: on disk before the server is asked, so that nothing is lost with a process. */
import {createPrivateKey, type KeyObject} from 'node:crypto';
import {readFile, rm} from 'node:fs/promises';
import {join} from 'node:path';
import {replaceFile} from '../files/durable.ts';
import type {Identifier} from '../issuers/acme/order.ts';
import type {CertbotFolder} from '../lineages/certbot/folder.ts';

export interface PendingOrder {
	readonly key: KeyObject;
	/** Absent: it was not made yet. */
	readonly orderUrl?: string;
	readonly server: string;
	readonly identifiers: readonly Identifier[];
}

export class PendingOrders {
	readonly #folder: string;

	constructor(folder: CertbotFolder) {
		this.#folder = join(folder.path, 'gatepass/pending');
	}

	/** What was begun for a lineage; `undefined` where it was something else, or nothing. */
	async find(
		name: string,
		server: string,
		identifiers: readonly Identifier[],
	): Promise<PendingOrder | undefined> {
		try {
			const {privkey, ...rest} = JSON.parse(await readFile(this.#file(name), 'utf8'));
			const isSame =
				rest.server === server && JSON.stringify(rest.identifiers) === JSON.stringify(identifiers);
			return isSame ? {...rest, key: createPrivateKey(privkey)} : undefined;
		} catch {
			// None, or one that was cut off when it was written by other means.
			return undefined;
		}
	}

	async save(name: string, {key, ...rest}: PendingOrder): Promise<void> {
		const privkey = key.export({type: 'pkcs8', format: 'pem'});
		await replaceFile(this.#file(name), JSON.stringify({...rest, privkey}), 0o600);
	}

	async remove(name: string): Promise<void> {
		await rm(this.#file(name), {force: true});
	}

	#file(name: string): string {
		return join(this.#folder, `${name}.json`);
	}
}
