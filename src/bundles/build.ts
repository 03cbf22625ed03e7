/** Builds a bundle from a folder of CA certificates, as Debian's igtf-policy packages bring one. */
import {createHash, type X509Certificate} from 'node:crypto';
import {existsSync, readdirSync} from 'node:fs';
import {mkdir, rename, rm, writeFile} from 'node:fs/promises';
import {basename, join, resolve} from 'node:path';
import {GatepassError} from '../errors.ts';
import {readBoundedSync} from '../x509/files.ts';
import {subjectHash} from '../x509/subject-hash.ts';
import {toTrustedPem} from '../x509/trust-settings.ts';
import {type Bundle, placesOf} from './bundle.ts';
import type {Manifest, ManifestEntry} from './manifest.ts';
import {type Provenance, provenanceOf} from './provenance.ts';
import {type FoundCertificate, readSources} from './sources.ts';

/** What to build. */
export interface BuildRequest {
	/** A folder of CA certificates: hashed, or of PEM or DER files. */
	readonly from: string;
	/** The bundle's folder. A preset that is there already stays. */
	readonly to: string;
	/** Only these: names of files without their endings, or whole subjects. Default: all. */
	readonly only?: readonly string[];
	/** Leave out what ends within so many days. Default: 90. */
	readonly days?: number;
	/** Where the certificates come from, where no package manager knows. */
	readonly source?: string;
	/** The licence of those that the package manager knows none of. */
	readonly licence?: string;
	/** Milliseconds since 1970. Default: the present. */
	readonly now?: number;
}

/** How long a certificate must still last, unless told otherwise: as long as a release may be in use. */
export const defaultDays = 90;

const day = 86_400_000;

/**
 * Build a bundle, or build it again.
 *
 * @throws {GatepassError} where there is nothing to build from, or the folder holds something else.
 * @throws {CertificateError} where a certificate is damaged.
 */
export async function buildBundle(request: BuildRequest): Promise<{bundle: Bundle; manifest: Manifest}> {
	const {days = defaultDays, now = Date.now()} = request;
	const bundle = placesOf(resolve(request.to));
	refuseForeignFolder(bundle);
	const sources = readSources(resolve(request.from), request.only);
	const provenance = await provenanceOf([...new Set(sources.map(({file}) => file))]);
	const place = (found: FoundCertificate) => placed(found, provenance.get(found.file), request);
	const judged = sources.map(found => ({found, reason: whyLeftOut(found.certificate, days, now)}));
	const taken = judged.filter(({reason}) => reason === undefined).map(({found}) => found);
	if (taken.length === 0) {
		throw new GatepassError({
			code: 'bundle-source-unusable',
			what: `No certificate of ${request.from} can be used: ${judged[0]?.found.subject}: ${judged[0]?.reason}`,
			hint: 'Name another folder, or fewer --days',
		});
	}
	const files = hashedFiles(taken);
	const manifest: Manifest = {
		name: basename(bundle.root),
		built: new Date(now).toISOString().slice(0, 10),
		days,
		...copyrights(provenance),
		certificates: taken.map(found => ({
			file: files.nameOf(found),
			...place(found),
			licence: provenance.get(found.file)?.licence ?? request.licence ?? 'unknown',
		})),
		policies: Object.fromEntries([...files.policies].map(([name, bytes]) => [name, sha256(bytes)])),
		leftOut: judged.flatMap(({found, reason}) => (reason === undefined ? [] : [{...place(found), reason}])),
	};
	await write(bundle, manifest, taken, files);
	return {bundle, manifest};
}

/** A folder with other things in it is somebody's, and was most likely named by mistake. */
function refuseForeignFolder({root, manifestFile, presetFile}: Bundle): void {
	if (!existsSync(root) || existsSync(manifestFile)) return;
	const others = readdirSync(root).filter(name => name !== basename(presetFile));
	if (others.length === 0) return;
	throw new GatepassError({
		code: 'output-exists',
		what: `${root} is there already and is no bundle (it holds ${others[0]})`,
		hint: 'Name an empty folder, or one that does not exist',
	});
}

/** Why a certificate does not belong in a bundle; `undefined` where it does. */
function whyLeftOut(certificate: X509Certificate, days: number, now: number): string | undefined {
	const {ca, validToDate, validFromDate} = certificate;
	if (!ca) return 'it is no CA certificate';
	const end = validToDate.toISOString().slice(0, 10);
	if (validToDate.getTime() <= now) return `it expired on ${end}`;
	if (validToDate.getTime() < now + days * day)
		return `it expires on ${end}, within ${days} days of the build`;
	if (validFromDate.getTime() > now) return `it begins on ${validFromDate.toISOString().slice(0, 10)}`;
	return undefined;
}

function placed(
	{certificate, subject, file}: FoundCertificate,
	provenance: Provenance | undefined,
	{source}: BuildRequest,
): Omit<ManifestEntry, 'file' | 'licence'> {
	return {
		subject,
		sha256: sha256(certificate.raw),
		notBefore: certificate.validFromDate.toISOString(),
		notAfter: certificate.validToDate.toISOString(),
		source: {
			...(provenance !== undefined && {package: provenance.package, version: provenance.version}),
			file: basename(file),
			...(source !== undefined && {note: source}),
		},
	};
}

function copyrights(provenance: ReadonlyMap<string, Provenance>): Pick<Manifest, 'copyright'> {
	const known = [...provenance.values()].flatMap(({package: name, copyright}) =>
		copyright === undefined ? [] : [[name, copyright] as const],
	);
	return known.length === 0 ? {} : {copyright: Object.fromEntries(known)};
}

interface HashedFiles {
	/** The name of a certificate's file. */
	nameOf(found: FoundCertificate): string;
	readonly policies: ReadonlyMap<string, Buffer>;
}

/** Regular files throughout: npm leaves symbolic links out of a package. */
function hashedFiles(taken: readonly FoundCertificate[]): HashedFiles {
	const names = new Map<FoundCertificate, string>();
	const policies = new Map<string, Buffer>();
	for (const [hash, group] of Map.groupBy(taken, ({certificate}) => subjectHash(certificate))) {
		for (const [index, found] of group.entries()) {
			names.set(found, `${hash}.${index}`);
			for (const [extension, file] of found.policies) {
				const name = `${hash}.${extension}`;
				const bytes = readBoundedSync(file);
				if (policies.get(name)?.equals(bytes) === false) {
					throw new GatepassError({
						code: 'bundle-source-unusable',
						what: `${file} and that of another certificate of the same subject differ`,
						hint: 'Build from a folder with one of the two',
					});
				}
				policies.set(name, bytes);
			}
		}
	}
	return {nameOf: found => names.get(found) ?? '', policies: new Map([...policies].sort())};
}

async function write(
	bundle: Bundle,
	manifest: Manifest,
	taken: readonly FoundCertificate[],
	files: HashedFiles,
): Promise<void> {
	const half = `${bundle.folder}.new`;
	await rm(half, {recursive: true, force: true});
	await mkdir(half, {recursive: true});
	for (const found of taken)
		await writeFile(join(half, files.nameOf(found)), toTrustedPem(found.certificate));
	for (const [name, bytes] of files.policies) await writeFile(join(half, name), bytes);
	await rm(bundle.folder, {recursive: true, force: true});
	await rename(half, bundle.folder);
	const authorities = taken.map(({certificate, subject}) => `# ${subject}\n${toTrustedPem(certificate)}`);
	await writeWhole(bundle.file, authorities.join('\n'));
	await writeWhole(bundle.manifestFile, `${JSON.stringify(manifest, null, '\t')}\n`);
}

/** Nobody ever reads half of a file. */
async function writeWhole(file: string, text: string): Promise<void> {
	await writeFile(`${file}.new`, text);
	await rename(`${file}.new`, file);
}

function sha256(bytes: Buffer): string {
	return createHash('sha256').update(bytes).digest('hex');
}
