/**
 * What other ACME clients keep: where each lays the certificate and the key of a name, so that they can be adopted. None of
 * their files is changed.
 *
 * | program | files |
 * |---|---|
 * | lego | `certificates/NAME.crt`, `NAME.key`, `NAME.issuer.crt` |
 * | dehydrated | `certs/NAME/fullchain.pem`, `privkey.pem` |
 * | uacme | `NAME/cert.pem`, `private/NAME/key.pem` |
 * | acmetool | `live/NAME/fullchain`, `privkey` |
 * | Apache's mod_md | `domains/NAME/pubcert.pem`, `privkey.pem` |
 * | acme-tiny | no folder of its own: any certificate beside its key, `NAME.crt` or `NAME.pem` and `NAME.key` |
 */
import type {KeyObject, X509Certificate} from 'node:crypto';
import {createPrivateKey} from 'node:crypto';
import {readdir, stat} from 'node:fs/promises';
import {basename, join} from 'node:path';
import {GatepassError} from '../../errors.ts';
import {parseCertificates, toPem} from '../../x509/certificates.ts';
import {readBounded} from '../../x509/files.ts';
import {orderChain} from '../../x509/own-chain.ts';
import type {VersionFiles} from './lineage.ts';

export interface ForeignCertificate {
	/** The program, as its makers write it. */
	readonly program: string;
	readonly name: string;
	/** Where they lie. */
	readonly certificate: string;
	readonly key: string;
	/** CA certificates in a file of their own. */
	readonly chain?: string;
}

interface Layout {
	readonly program: string;
	/** The folder, below the one that is given, with an entry for each name. */
	readonly entries: string;
	/** The files for an entry; `undefined` where it is none. */
	files(entry: string): {name: string; certificate: string; key: string; chain?: string} | undefined;
}

const folderOf =
	(certificate: string, key: string, chain?: string): Layout['files'] =>
	entry => ({
		name: entry,
		certificate: join(entry, certificate),
		key: join(entry, key),
		...(chain !== undefined && {chain: join(entry, chain)}),
	});

const withEnding =
	(ending: string): Layout['files'] =>
	entry => {
		if (!entry.endsWith(ending) || entry.endsWith('.issuer.crt')) return undefined;
		const name = entry.slice(0, -ending.length);
		return {name, certificate: entry, key: `${name}.key`, chain: `${name}.issuer.crt`};
	};

/** The first of which both files are there is taken for a name. */
const layouts: readonly Layout[] = [
	{program: 'lego', entries: 'certificates', files: withEnding('.crt')},
	{program: 'dehydrated', entries: 'certs', files: folderOf('fullchain.pem', 'privkey.pem')},
	{program: 'acmetool', entries: 'live', files: folderOf('fullchain', 'privkey')},
	{program: 'mod_md', entries: 'domains', files: folderOf('pubcert.pem', 'privkey.pem')},
	{
		program: 'uacme',
		entries: '.',
		files: entry => ({
			name: entry,
			certificate: join(entry, 'cert.pem'),
			key: join('private', entry, 'key.pem'),
		}),
	},
	{program: 'acme-tiny', entries: '.', files: withEnding('.crt')},
	{program: 'acme-tiny', entries: '.', files: withEnding('.pem')},
];

/** The certificates with their keys below a folder of another program; the folder may be one of a single name, too. */
export async function findForeign(folder: string): Promise<ForeignCertificate[]> {
	const found = new Map<string, ForeignCertificate>();
	for (const {program, entries, files} of layouts) {
		const place = join(folder, entries);
		for (const entry of (await readdir(place).catch((): string[] => [])).sort()) {
			const named = files(entry);
			if (named === undefined) continue;
			const [certificate, key] = [join(place, named.certificate), join(place, named.key)];
			if (!(await isFile(certificate)) || !(await isFile(key))) continue;
			const chain = named.chain === undefined ? undefined : join(place, named.chain);
			// lego writes `_` for the star.
			const name = named.name.replace(/^_\./, '').replace(/^\*\./, '');
			const one = {program, name: basename(name), certificate, key};
			const hasChain = chain !== undefined && (await isFile(chain));
			if (!found.has(certificate)) found.set(certificate, hasChain ? {...one, chain} : one);
		}
	}
	return [...found.values()];
}

/** As a lineage keeps them. @throws {GatepassError} where the key is not the certificate's, or has a passphrase. */
export async function readForeign({certificate, key, chain}: ForeignCertificate): Promise<VersionFiles> {
	const certificates = parseCertificates(await readBounded(certificate), certificate);
	if (chain !== undefined) certificates.push(...parseCertificates(await readBounded(chain), chain));
	let privateKey: KeyObject;
	try {
		privateKey = createPrivateKey(await readBounded(key));
	} catch (error) {
		throw new GatepassError(
			{
				code: 'certificate-unusable',
				what: `${key} is no private key that can be renewed with: it is damaged, or has a passphrase`,
				hint: 'Take the passphrase off a copy, and import that folder',
			},
			{cause: error},
		);
	}
	const leaf = certificates.find(one => one.checkPrivateKey(privateKey));
	if (leaf === undefined) {
		throw new GatepassError({
			code: 'key-does-not-match',
			what: `${key} is not the key of ${certificate}`,
			hint: 'Restore the pair where it lies, and import it again',
		});
	}
	const above = orderChain(unique(certificates), leaf).slice(1).map(toPem).join('');
	return {
		cert: toPem(leaf),
		chain: above,
		fullchain: toPem(leaf) + above,
		privkey: privateKey.export({type: 'pkcs8', format: 'pem'}) as string,
	};
}

function unique(certificates: readonly X509Certificate[]): X509Certificate[] {
	return [...new Map(certificates.map(one => [one.fingerprint256, one])).values()];
}

async function isFile(path: string): Promise<boolean> {
	return (await stat(path).catch(() => undefined))?.isFile() === true;
}
