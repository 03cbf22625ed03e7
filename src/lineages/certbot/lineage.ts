/** One renewable certificate in certbot's layout: what is in use, its versions, and a new one put into use in one step. */
import type {KeyObject, X509Certificate} from 'node:crypto';
import {lstat, mkdir, readdir, readFile, readlink, rename, rm, stat, symlink} from 'node:fs/promises';
import {basename, join} from 'node:path';
import {CertificateError, GatepassError} from '../../errors.ts';
import {replaceFile, replaceLink, syncFolder, temporaryBeside, writeToDisk} from '../../files/durable.ts';
import {parseCertificates} from '../../x509/certificates.ts';
import {readBounded} from '../../x509/files.ts';
import {isEncryptedKey, parsePrivateKey} from '../../x509/private-keys.ts';
import {ConfigObject} from './config-object.ts';
import {type CertbotFolder, checkLineageName, type Kind, kinds} from './folder.ts';
import {announce, linksFolders, removeFiles} from './recovery.ts';

/** What a version consists of: PEM. `privkey` is a secret. */
export type VersionFiles = Readonly<Record<Kind, string>>;

/** The version of certbot whose format the configuration has. */
const formatVersion = '2.1.0';

/** Milliseconds within which a reader that has found a folder of links has opened the files. */
const readersNeed = 60_000;

export class Lineage {
	readonly name: string;
	readonly folder: CertbotFolder;
	/** How it was obtained: certbot's own settings, and a section `gatepass`. */
	readonly configuration: ConfigObject;

	private constructor(folder: CertbotFolder, name: string, configuration: ConfigObject) {
		this.folder = folder;
		this.name = name;
		this.configuration = configuration;
	}

	/** @throws {GatepassError} where there is none of that name, or its configuration is damaged. */
	static async open(folder: CertbotFolder, name: string): Promise<Lineage> {
		const file = folder.configuration(checkLineageName(name));
		let text: string;
		try {
			text = (await readBounded(file)).toString('utf8');
		} catch (error) {
			const names = await folder.names();
			const known = names.length === 0 ? 'There is none' : `There are ${names.join(', ')}`;
			throw new GatepassError(
				{
					code: 'lineage-not-found',
					what: `There is no certificate '${name}' in ${folder.path}`,
					hint: known,
				},
				{
					cause: error,
				},
			);
		}
		return new Lineage(folder, name, new ConfigObject(text, file));
	}

	/**
	 * Make a new one.
	 *
	 * @param parameters for `[renewalparams]`, as certbot names them.
	 * @throws {GatepassError} where something of that name is there: nothing is ever written over.
	 */
	static async create(
		folder: CertbotFolder,
		name: string,
		files: VersionFiles,
		parameters: Readonly<Record<string, string>>,
	): Promise<Lineage> {
		const place = await Lineage.checkFree(folder, name);
		const archive = folder.archive(name);
		const created = await announce(folder, name, 'creating');
		await mkdir(archive, {mode: 0o755});
		const configuration = new ConfigObject('', folder.configuration(name));
		const lineage = new Lineage(folder, name, configuration);
		await lineage.#writeVersion(1, files, {mode: 0o600});
		const links = await lineage.#makeLinks(1);
		configuration.set([], 'version', formatVersion);
		configuration.set([], 'archive_dir', archive);
		for (const kind of ['cert', 'privkey', 'chain', 'fullchain'] as const) {
			configuration.set([], kind, join(place, `${kind}.pem`));
		}
		for (const [key, value] of Object.entries(parameters)) configuration.set(['renewalparams'], key, value);
		await replaceLink(place, basename(links));
		// Last: without it, nobody sees the rest.
		await lineage.save();
		await created();
		return lineage;
	}

	/** The place for a new lineage of that name. @throws {GatepassError} where it is taken. */
	static async checkFree(folder: CertbotFolder, name: string): Promise<string> {
		const place = folder.live(checkLineageName(name));
		for (const path of [place, folder.archive(name), folder.configuration(name)]) {
			const there = await lstat(path).catch(() => undefined);
			if (there === undefined) continue;
			// certbot's `delete` leaves a link without its folder, over which its next enrolment would stumble.
			if (
				path === place &&
				there.isSymbolicLink() &&
				(await stat(path).catch(() => undefined)) === undefined
			) {
				await rm(path);
				continue;
			}
			throw new GatepassError({
				code: 'lineage-exists',
				what: `${path} is there already`,
				hint: 'Choose another name, or remove what is left of the old one',
			});
		}
		return place;
	}

	/**
	 * The first name of this form that is free: `NAME`, `NAME-0001` and so on, as certbot counts.
	 *
	 * @param taken names that are about to be used.
	 */
	static async freeName(
		folder: CertbotFolder,
		name: string,
		taken: ReadonlySet<string> = new Set(),
	): Promise<string> {
		for (let number = 0; number < 10_000; number++) {
			const candidate = number === 0 ? name : `${name}-${String(number).padStart(4, '0')}`;
			if (taken.has(candidate)) continue;
			const isFree = await Lineage.checkFree(folder, candidate).then(
				() => true,
				() => false,
			);
			if (isFree) return candidate;
		}
		throw new GatepassError({
			code: 'lineage-exists',
			what: `There are ten thousand certificates named ${name}`,
			hint: 'Choose another name',
		});
	}

	/** The paths that programs name: they stay the same over all renewals. */
	get paths(): Readonly<Record<Kind, string>> {
		return record(kind => join(this.folder.live(this.name), `${kind}.pem`));
	}

	/**
	 * Which version is in use.
	 *
	 * @throws {GatepassError} where links are broken, or lead to different versions.
	 */
	async currentVersion(): Promise<number> {
		const found = await Promise.all(kinds.map(kind => this.#versionOf(kind)));
		const [first] = found;
		if (first === undefined || found.some(version => version !== first)) {
			const each = kinds.map((kind, index) => `${kind}.pem ${found[index] ?? 'broken'}`).join(', ');
			throw new GatepassError({
				code: 'lineage-damaged',
				what: `The links in ${this.folder.live(this.name)} do not lead to one version (${each})`,
				hint: `Run 'gatepass cert renew --force-renewal --cert-name ${this.name}', or put them right by hand`,
			});
		}
		return first;
	}

	/** The versions of which all four files are there, oldest first. */
	async versions(): Promise<number[]> {
		const files = await readdir(this.#archive).catch((): string[] => []);
		const counted = new Map<number, number>();
		for (const file of files) {
			const [, kind = '', number] = /^([a-z]+)(\d+)\.pem$/.exec(file) ?? [];
			if ((kinds as readonly string[]).includes(kind))
				counted.set(Number(number), (counted.get(Number(number)) ?? 0) + 1);
		}
		return [...counted]
			.filter(([, count]) => count === kinds.length)
			.map(([number]) => number)
			.sort((a, b) => a - b);
	}

	/** The certificate that is in use, without a look at its key. */
	async certificate(): Promise<X509Certificate> {
		const file = this.paths.cert;
		const [certificate] = parseCertificates(await readBounded(file), file);
		if (certificate === undefined)
			throw new CertificateError({
				code: 'lineage-damaged',
				what: `${file} holds no certificate`,
				hint: 'Restore it',
			});
		return certificate;
	}

	/** What is in use, checked: its certificate, and that the key belongs to it. */
	async read(): Promise<{
		certificate: X509Certificate;
		chain: readonly X509Certificate[];
		files: VersionFiles;
	}> {
		const contents = await Promise.all(
			kinds.map(async kind => (await readBounded(this.paths[kind])).toString('utf8')),
		);
		const files = record(kind => contents[kinds.indexOf(kind)] as string);
		const [certificate, ...chain] = parseCertificates(Buffer.from(files.fullchain), this.paths.fullchain);
		if (certificate === undefined)
			throw new CertificateError({
				code: 'lineage-damaged',
				what: `${this.paths.fullchain} holds no certificate`,
				hint: 'Restore it',
			});
		const key = Buffer.from(files.privkey);
		if (!isEncryptedKey(key) && !certificate.checkPrivateKey(parsePrivateKey(key, this.paths.privkey))) {
			throw new CertificateError({
				code: 'key-does-not-match',
				what: `${this.paths.privkey} is not the key of ${this.paths.fullchain}`,
				hint: 'Restore the pair, or renew with --force-renewal',
			});
		}
		return {certificate, chain, files};
	}

	/** Put a new version into use. Readers see the one before or this one, whole. Gives its number. */
	async add(files: VersionFiles): Promise<number> {
		const leaf = parseCertificates(Buffer.from(files.fullchain), 'the new certificate')[0];
		if (!leaf?.checkPrivateKey(parsePrivateKey(Buffer.from(files.privkey), 'the new key'))) {
			throw new CertificateError({
				code: 'key-does-not-match',
				what: 'The new certificate is not for the new key',
				hint: 'It is not put into use',
			});
		}
		const present = await readdir(this.#archive);
		const numbers = present.map(file => Number(/(\d+)\.pem$/.exec(file)?.[1] ?? 0));
		const version = Math.max(0, ...numbers) + 1;
		await this.#writeVersion(version, files, await this.#rightsOfKey());
		await this.use(version);
		return version;
	}

	/** Put a version into use that is there already. */
	async use(version: number): Promise<void> {
		const place = this.folder.live(this.name);
		const links = await this.#makeLinks(version);
		const before = await lstat(place).catch(() => undefined);
		if (before?.isDirectory() === true) {
			// certbot made it. Its README moves along.
			await rename(place, await this.#freeLinksFolder());
		}
		await replaceLink(place, basename(links));
		await this.#removeOldLinks(links);
	}

	/** Bring the configuration to the disk. */
	async save(): Promise<void> {
		await replaceFile(this.folder.configuration(this.name), this.configuration.toString(), 0o644);
	}

	/** Remove all of it, with the second copies of its keys that certbot made. */
	async delete(): Promise<void> {
		const keys = new Set(await this.#keysInArchive());
		const deleted = await announce(this.folder, this.name, 'deleting');
		const copies = join(this.folder.path, 'keys');
		for (const file of await readdir(copies).catch((): string[] => [])) {
			const copy = await readFile(join(copies, file), 'utf8').catch(() => '');
			if (keys.has(copy.trim())) await rm(join(copies, file), {force: true});
		}
		await rm(this.#archive, {recursive: true, force: true});
		await removeFiles(this.folder, this.name);
		await deleted();
	}

	get #archive(): string {
		return this.configuration.text([], 'archive_dir') ?? this.folder.archive(this.name);
	}

	async #keysInArchive(): Promise<string[]> {
		const files = (await readdir(this.#archive).catch((): string[] => [])).filter(file =>
			file.startsWith('privkey'),
		);
		return Promise.all(files.map(async file => (await readFile(join(this.#archive, file), 'utf8')).trim()));
	}

	async #versionOf(kind: Kind): Promise<number | undefined> {
		const target = await readlink(this.paths[kind]).catch(() => '');
		const [, name, number] = /(?:^|\/)([a-z]+)(\d+)\.pem$/.exec(target) ?? [];
		if (name !== kind) return undefined;
		return (await stat(this.paths[kind]).catch(() => undefined)) === undefined ? undefined : Number(number);
	}

	async #writeVersion(
		version: number,
		files: VersionFiles,
		key: {mode: number; gid?: number},
	): Promise<void> {
		for (const kind of kinds) {
			const file = join(this.#archive, `${kind}${version}.pem`);
			const temporary = temporaryBeside(file);
			await writeToDisk(
				temporary,
				files[kind],
				kind === 'privkey' ? key.mode : 0o644,
				kind === 'privkey' ? key.gid : undefined,
			);
			await rename(temporary, file);
		}
		await syncFolder(this.#archive);
	}

	/** As certbot does: group bits and group of the key before are carried over, so that a service can still read it. */
	async #rightsOfKey(): Promise<{mode: number; gid?: number}> {
		const before = await stat(this.paths.privkey).catch(() => undefined);
		if (before === undefined) return {mode: 0o600};
		return {mode: 0o600 | (before.mode & 0o074), gid: before.gid};
	}

	/** A new folder of links, beside `live/NAME` and as deep, since certbot takes their text as it stands. */
	async #makeLinks(version: number): Promise<string> {
		const folder = await this.#freeLinksFolder();
		await mkdir(folder, {mode: 0o755});
		for (const kind of kinds) {
			await symlink(
				join('../../archive', basename(this.#archive), `${kind}${version}.pem`),
				join(folder, `${kind}.pem`),
			);
		}
		await syncFolder(folder);
		return folder;
	}

	async #freeLinksFolder(): Promise<string> {
		const numbers = (await this.#linksFolders()).map(folder =>
			Number(folder.slice(folder.lastIndexOf('.') + 1)),
		);
		return join(this.folder.path, 'live', `.${this.name}.${Math.max(0, ...numbers) + 1}`);
	}

	#linksFolders(): Promise<string[]> {
		return linksFolders(this.folder, this.name);
	}

	/** Those of the last minute stay: a reader may be on its way through one. */
	async #removeOldLinks(current: string): Promise<void> {
		for (const folder of await this.#linksFolders()) {
			if (folder === current) continue;
			const {ctimeMs} = await stat(folder);
			if (Date.now() - ctimeMs > readersNeed) await rm(folder, {recursive: true, force: true});
		}
	}
}

/** PEM files of a version, from what was issued and the key that it is for. */
export function versionFiles(
	issued: {readonly certificate: string; readonly chain: string; readonly fullchain: string},
	key: KeyObject | string,
): VersionFiles {
	const privkey = typeof key === 'string' ? key : (key.export({type: 'pkcs8', format: 'pem'}) as string);
	return {cert: issued.certificate, chain: issued.chain, fullchain: issued.fullchain, privkey};
}

/** The names and addresses of a certificate. */
export function domainsOf({subjectAltName = ''}: X509Certificate): string[] {
	return subjectAltName
		.split(', ')
		.flatMap(name => (/^(?:DNS|IP Address):/.test(name) ? [name.slice(name.indexOf(':') + 1)] : []));
}

function record(value: (kind: Kind) => string): Readonly<Record<Kind, string>> {
	return {
		cert: value('cert'),
		chain: value('chain'),
		fullchain: value('fullchain'),
		privkey: value('privkey'),
	};
}
