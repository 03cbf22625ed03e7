/** The identities of one gatepass: each is read once, so that all rules that name it share its connections. */
import type {Environment, Identities, Identity, IdentitySource} from '../services.ts';
import {findIdentityFiles} from './discover.ts';
import {FileIdentity, type IdentityFiles} from './file-identity.ts';

export class IdentityStore implements Identities {
	readonly #folder: string;
	readonly #environment: Environment;
	readonly #loaded = new Map<string, Promise<Identity>>();

	constructor(folder: string, environment: Environment) {
		this.#folder = folder;
		this.#environment = environment;
	}

	async load(source: IdentitySource): Promise<Identity> {
		const files = findIdentityFiles(source, this.#folder, this.#environment);
		const key = JSON.stringify([files.certificate, files.key, files.passphrase]);
		const known = this.#loaded.get(key);
		if (known !== undefined) {
			const identity = await known;
			if (identity.notAfter > Date.now()) return identity;
			// It has ended, and may have been renewed in its place.
			if (this.#loaded.get(key) === known) this.#loaded.delete(key);
		}
		return this.#read(key, files);
	}

	#read(key: string, files: IdentityFiles): Promise<Identity> {
		let identity = this.#loaded.get(key);
		if (identity === undefined) {
			identity = FileIdentity.read(files);
			this.#loaded.set(key, identity);
			// A failure is not kept: the next request sees whether the files have been put right.
			identity.catch(() => this.#loaded.delete(key));
		}
		return identity;
	}
}
