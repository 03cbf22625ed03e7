/**
 * Takes a PKCS#12 file over into the two files that the grid's programs read: what these commands do, in one step.
 *
 * ```
 * openssl pkcs12 -in my.p12 -clcerts -nokeys -out usercert.pem
 * openssl pkcs12 -in my.p12 -nocerts -nodes -out userkey.pem
 * ```
 *
 * The key is written without a passphrase, as there: a service starts with nobody there to type one.
 */

import type {KeyObject, X509Certificate} from 'node:crypto';
import {constants, copyFile, link, mkdir, rename, rm, stat} from 'node:fs/promises';
import {basename, join} from 'node:path';
import {render} from '../diagnostics/diagnostic.ts';
import {GatepassError} from '../errors.ts';
import {isThere, syncFolder, temporaryBeside, writeToDisk, writingInto} from '../files/durable.ts';
import {warningsAbout} from '../identities/checks.ts';
import {judgeClientUse} from '../identities/client-use.ts';
import {isSelfIssued, toPem} from '../x509/certificates.ts';
import type {HeldIdentity, Selection} from '../x509/choose-identity.ts';
import {readBounded} from '../x509/files.ts';
import {chooseChain} from '../x509/own-chain.ts';
import {readPkcs12} from '../x509/pkcs12.ts';
import {proxyInfoOf} from '../x509/proxy.ts';
import {certificateName, IdentityFolder, keyName} from './folder.ts';
import {rememberFolder} from './known-folders.ts';

export interface ImportSettings {
	/** The PKCS#12 file. */
	readonly file: string;
	readonly passphrase?: string | undefined;
	/** The folder to write into; made, for its owner only, where it is not there. */
	readonly to: string;
	/** Whether to replace what is there; that is kept. */
	readonly force: boolean;
	/** Which of several identities in the file. Default: the latest of those that are valid. */
	readonly selection?: Selection;
}

/** What an import wrote. */
export interface Imported {
	readonly certificate: string;
	readonly key: string;
	/** The certificate itself, then its chain, without the root. */
	readonly chain: readonly X509Certificate[];
	/** Where that is kept which was there before: files, or the folder of a version. */
	readonly backups: readonly string[];
	/** What the file calls it. */
	readonly alias?: string | undefined;
	/** The other identities of the file. */
	readonly others: readonly HeldIdentity[];
	/** Sentences about what may need care. */
	readonly warnings: readonly string[];
}

/**
 * Import a PKCS#12 file.
 *
 * @throws {CertificateError} where it cannot be used; where a passphrase is needed, `isPassphraseNeeded` knows the error.
 * @throws {GatepassError} where there is a certificate or key already, and `force` is not set.
 */
export async function importPkcs12({
	file,
	passphrase,
	to,
	force,
	selection,
}: ImportSettings): Promise<Imported> {
	const folder = new IdentityFolder(to);
	await writingInto(to, () => checkPlace(folder, force));
	const opened = await readPkcs12(await readBounded(file), file, passphrase, selection);
	const {key, certificate: leaf, certificates, alias, others} = opened;
	// Servers have the root, or they would not trust it.
	const own = chooseChain(certificates, leaf);
	const shown = own.isEnough ? own.chain : [...own.chain, ...own.leftOut];
	const chain = shown.filter((one, index) => index === 0 || !isSelfIssued(one));
	const backups = await writingInto(to, async () => {
		await mkdir(to, {recursive: true, mode: 0o700});
		const written = (await addVersion(folder, chain, key)) ?? (await writePair(folder, chain, key, force));
		await rememberFolder(to);
		return written;
	});
	const use = judgeClientUse(chain, file);
	const warnings = [
		...warningsOf(leaf),
		...(use.refused === undefined ? [] : [render(use.refused)]),
		...use.doubts.map(render),
		...(own.isEnough ? warningsAbout(own, file).map(render) : []),
	];
	return {certificate: folder.certificate, key: folder.key, chain, backups, alias, others, warnings};
}

/** Before anybody is asked for a passphrase in vain. */
async function checkPlace(folder: IdentityFolder, force: boolean): Promise<void> {
	const {path} = folder;
	if (!(await isThere(path))) return;
	if (!(await stat(path)).isDirectory()) {
		throw new GatepassError({
			code: 'folder-unusable',
			what: `${path} is not a folder`,
			hint: 'Name another one with --to',
		});
	}
	await folder.checkOwner();
	if (force) return;
	const there: string[] = [];
	for (const name of [certificateName, keyName]) if (await isThere(join(path, name))) there.push(name);
	if (there.length > 0) throw alreadyThere(path, there);
}

function alreadyThere(to: string, names: readonly string[]): GatepassError {
	const what = names.length === 1 ? 'is' : 'are';
	return new GatepassError({
		code: 'output-exists',
		what: `${names.join(' and ')} ${what} in ${to} already`,
		hint: 'Give --force to replace what is there, of which a copy is kept, or name another folder with --to',
	});
}

/** Where 'cert install' looks after the folder, what is imported becomes a version, so that one can go back from it. */
async function addVersion(
	folder: IdentityFolder,
	chain: readonly X509Certificate[],
	key: KeyObject,
): Promise<string[] | undefined> {
	const before = await folder.current();
	if (before === undefined) return undefined;
	await folder.prepare();
	const notes = {installedAt: Date.now(), previous: before.name};
	await folder.use(await folder.add(chain.map(toPem).join(''), Buffer.from(keyText(key)), notes));
	await folder.prune();
	return [before.folder];
}

/** Both are brought to the disk before either takes its place. */
async function writePair(
	{path, certificate, key: keyFile}: IdentityFolder,
	chain: readonly X509Certificate[],
	key: KeyObject,
	force: boolean,
): Promise<string[]> {
	const parts = [
		{file: keyFile, temporary: temporaryBeside(keyFile), content: keyText(key), mode: 0o600},
		{
			file: certificate,
			temporary: temporaryBeside(certificate),
			content: chain.map(toPem).join(''),
			mode: 0o644,
		},
	];
	try {
		for (const {temporary, content, mode} of parts) await writeToDisk(temporary, content, mode);
		const backups = force ? await backUp(path) : [];
		for (const {temporary, file} of parts)
			await (force ? rename(temporary, file) : placeNew(temporary, file, path));
		await syncFolder(path);
		return backups;
	} finally {
		await Promise.all(parts.map(({temporary}) => rm(temporary, {force: true})));
	}
}

/** Keep what is there under another name as well, so that it is never missing from its own. */
async function backUp(folder: string): Promise<string[]> {
	const date = new Date().toISOString().replaceAll(':', '-');
	const backups: string[] = [];
	for (const name of [certificateName, keyName]) {
		const file = join(folder, name);
		if (!(await isThere(file))) continue;
		const backup = `${file}.${date}.bak`;
		await copyAs(file, backup);
		backups.push(backup);
	}
	return backups;
}

/** A copy keeps the rights. */
async function copyAs(file: string, copy: string): Promise<void> {
	try {
		await link(file, copy);
	} catch (error) {
		if (!isWithoutLinks(error)) throw error;
		await copyFile(file, copy, constants.COPYFILE_EXCL);
	}
}

/** Unlike a rename, a link takes no other file's place, whoever may have put that there in the meantime. */
async function placeNew(temporary: string, file: string, folder: string): Promise<void> {
	try {
		await link(temporary, file);
	} catch (error) {
		const {code} = error as NodeJS.ErrnoException;
		if (code === 'EEXIST') throw alreadyThere(folder, [basename(file)]);
		if (!isWithoutLinks(error)) throw error;
		await rename(temporary, file);
	}
}

/** Some file systems know no hard links. */
function isWithoutLinks(error: unknown): boolean {
	const {code} = error as NodeJS.ErrnoException;
	return code !== undefined && ['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'EXDEV'].includes(code);
}

function keyText(key: KeyObject): string {
	return key.export({type: 'pkcs8', format: 'pem'}) as string;
}

/** What makes no file worse than it was, but will be refused when it is used. */
function warningsOf(leaf: X509Certificate): string[] {
	const now = Date.now();
	const warnings: string[] = [];
	const day = (date: Date): string => date.toISOString().slice(0, 10);
	if (leaf.validToDate.getTime() < now) {
		warnings.push(`It expired on ${day(leaf.validToDate)}, so no server takes it: export the present one`);
	}
	if (leaf.validFromDate.getTime() > now) {
		warnings.push(`It begins on ${day(leaf.validFromDate)}: until then no server takes it`);
	}
	if (isSelfIssued(leaf)) warnings.push('It is self-signed, so servers refuse it: have one issued by a CA');
	if (proxyInfoOf(leaf) !== undefined)
		warnings.push('It is a proxy, which ends soon: import the certificate itself');
	return warnings;
}
