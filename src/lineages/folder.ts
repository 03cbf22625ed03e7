/**
 * The folder of an identity that is renewed: what is in use, the versions before it, and the request that is pending.
 *
 * ```
 * usercert.pem  → .gatepass/current/usercert.pem
 * userkey.pem   → .gatepass/current/userkey.pem
 * .gatepass/
 *   current     → versions/2026-11-22T10-15-00Z-3f9c2a61
 *   versions/2026-11-22T10-15-00Z-3f9c2a61/   usercert.pem, userkey.pem, version.json
 *   pending/                                  usercert_request.pem, userkey.pem, request.json
 * ```
 *
 * One rename of `current` changes both files at once, so there is no moment at which they do not fit.
 */
import {X509Certificate} from 'node:crypto';
import {mkdir, readdir, rename, rm, stat} from 'node:fs/promises';
import {basename, join} from 'node:path';
import {CredentialUnavailableError, GatepassError} from '../errors.ts';
import {
	isLeftBehind,
	isThere,
	linkTarget,
	putInPlace,
	replaceFile,
	replaceLink,
	syncFolder,
	temporaryBeside,
	writeToDisk,
} from '../files/durable.ts';
import {parseCertificates} from '../x509/certificates.ts';
import {readBounded} from '../x509/files.ts';
import {notesName, readNotes, toText, type Version, type VersionNotes, versionName} from './version.ts';

export const certificateName = 'usercert.pem';
export const keyName = 'userkey.pem';
const names = [certificateName, keyName] as const;
const ownFolder = '.gatepass';

/** Each has a private key, so there are no more of them than anybody goes back to. */
const versionsKept = 5;

export class IdentityFolder {
	readonly path: string;
	/** What readers name. */
	readonly certificate: string;
	readonly key: string;
	/** What this class keeps. */
	readonly own: string;
	readonly #current: string;
	readonly #versions: string;

	constructor(path: string) {
		this.path = path;
		this.certificate = join(path, certificateName);
		this.key = join(path, keyName);
		this.own = join(path, ownFolder);
		this.#current = join(this.own, 'current');
		this.#versions = join(this.own, 'versions');
	}

	/** Make what is missing of the folder, and remove what an interrupted command left behind. */
	async prepare(): Promise<void> {
		await mkdir(this.path, {recursive: true, mode: 0o700});
		await this.checkOwner();
		// Others may read the certificate; each key and the pending request keep their own rights.
		await mkdir(this.#versions, {recursive: true, mode: 0o755});
		await syncFolder(this.path);
		for (const folder of [this.path, this.own, this.#versions]) {
			for (const name of await readdir(folder)) {
				if (isLeftBehind(name)) await rm(join(folder, name), {recursive: true, force: true});
			}
		}
	}

	/**
	 * What root puts into a folder of somebody else, that one could not read.
	 *
	 * @throws {GatepassError} where the folder is that of another user.
	 */
	async checkOwner(): Promise<void> {
		const {uid} = await stat(this.path);
		const user = process.geteuid?.() ?? uid;
		if (uid === user) return;
		throw new GatepassError({
			code: 'folder-unusable',
			what: `${this.path} is owned by another user (${uid}; this one is ${user}), who could not read the key`,
			hint: `Run the command as that user: 'sudo -u #${uid} gatepass …'`,
		});
	}

	/** The certificate in use, then what else is in its file; `undefined` where there is none. */
	async installed(): Promise<readonly X509Certificate[] | undefined> {
		const bytes = await contentOf(this.certificate);
		// By hand, the CA's is sometimes put first.
		return (
			bytes &&
			parseCertificates(bytes, this.certificate).sort((one, other) => Number(one.ca) - Number(other.ca))
		);
	}

	/** The version in use; `undefined` also where the files are not those of a version. */
	async current(): Promise<Version | undefined> {
		if (!(await this.#isLinked())) return undefined;
		const target = await linkTarget(this.#current);
		return target === undefined ? undefined : this.version(basename(target));
	}

	/** All versions, the oldest first. */
	async versions(): Promise<Version[]> {
		if (!(await isThere(this.#versions))) return [];
		// Not those that are being written, or were when the power went.
		const names = (await readdir(this.#versions)).filter(name => !name.startsWith('.'));
		const found = await Promise.all(names.map(name => this.version(name)));
		return found
			.filter(version => version !== undefined)
			.sort((one, other) => one.installedAt - other.installedAt || (one.name < other.name ? -1 : 1));
	}

	async version(name: string): Promise<Version | undefined> {
		const folder = join(this.#versions, name);
		const notes = await readNotes(join(folder, notesName));
		if (notes === undefined) return undefined;
		return {...notes, name, folder, certificate: join(folder, certificateName), key: join(folder, keyName)};
	}

	/** Keep a pair as a version. It is not in use before {@link use}. */
	async add(certificate: string, key: Buffer, notes: VersionNotes): Promise<Version> {
		return this.#store(
			versionName(notes.installedAt, new X509Certificate(certificate)),
			certificate,
			key,
			notes,
		);
	}

	/** Note something more of a version. */
	async note(version: Version, more: Partial<VersionNotes>): Promise<void> {
		const {name: _name, folder, certificate: _certificate, key: _key, ...notes} = version;
		await replaceFile(join(folder, notesName), toText({...notes, ...more}), 0o600);
	}

	/** Remove old versions with their keys: all but the newest ones, the one in use, and the one to go back to. */
	async prune(): Promise<void> {
		const current = await this.current();
		for (const {name, folder} of (await this.versions()).slice(0, -versionsKept)) {
			if (name === current?.name || name === current?.previous) continue;
			// Renamed first, so that nobody ever sees half of it.
			const temporary = temporaryBeside(folder);
			await rename(folder, temporary);
			await rm(temporary, {recursive: true, force: true});
		}
	}

	/** Put a version into use: from one moment to the next, both files are its own. */
	async use(version: Version): Promise<void> {
		for (const [index, file] of [this.certificate, this.key].entries()) {
			const target = join(ownFolder, 'current', names[index] as string);
			if ((await linkTarget(file)) !== target) await replaceLink(file, target);
		}
		await replaceLink(this.#current, join('versions', version.name));
	}

	/**
	 * Make a version of files that somebody put here by other means, and links of the files. Their content stays what it
	 * is at every step.
	 */
	async adopt(): Promise<Version | undefined> {
		if (await this.#isLinked()) return this.current();
		const [certificate, key] = await Promise.all([this.certificate, this.key].map(contentOf));
		if (certificate === undefined && key === undefined) return undefined;
		const version = (await this.#keptAs(certificate, key)) ?? (await this.#keep(certificate, key));
		await replaceLink(this.#current, join('versions', version.name));
		await this.use(version);
		return version;
	}

	/** Keep files as they are, be it only one of the two. */
	async #keep(certificate: Buffer | undefined, key: Buffer | undefined): Promise<Version> {
		const installedAt = Math.round(
			(await stat(certificate === undefined ? this.key : this.certificate)).mtimeMs,
		);
		const [leaf] = certificate === undefined ? [] : parseCertificates(certificate, this.certificate);
		return this.#store(versionName(installedAt, leaf), certificate, key, {installedAt});
	}

	/** The version that holds just these files: adopting them was interrupted. */
	async #keptAs(certificate: Buffer | undefined, key: Buffer | undefined): Promise<Version | undefined> {
		for (const version of await this.versions()) {
			const kept = await Promise.all([version.certificate, version.key].map(contentOf));
			if (isSame(kept[0], certificate) && isSame(kept[1], key)) return version;
		}
		return undefined;
	}

	async #store(
		name: string,
		certificate: string | Buffer | undefined,
		key: Buffer | undefined,
		notes: VersionNotes,
	): Promise<Version> {
		const place = join(this.#versions, name);
		const temporary = temporaryBeside(place);
		await mkdir(temporary, {mode: 0o755});
		if (certificate !== undefined) await writeToDisk(join(temporary, certificateName), certificate, 0o644);
		if (key !== undefined) await writeToDisk(join(temporary, keyName), key, 0o600);
		await writeToDisk(join(temporary, notesName), toText(notes), 0o600);
		await syncFolder(temporary);
		await putInPlace(temporary, place);
		return (await this.version(name)) as Version;
	}

	async #isLinked(): Promise<boolean> {
		const targets = await Promise.all([this.certificate, this.key].map(linkTarget));
		return names.every((name, index) => targets[index] === join(ownFolder, 'current', name));
	}
}

/** What a file holds; `undefined` where there is none, or a link that leads nowhere. */
async function contentOf(file: string): Promise<Buffer | undefined> {
	try {
		return await readBounded(file);
	} catch (error) {
		if (error instanceof CredentialUnavailableError) return undefined;
		throw error;
	}
}

function isSame(one: Buffer | undefined, other: Buffer | undefined): boolean {
	return one === undefined || other === undefined ? one === other : one.equals(other);
}
