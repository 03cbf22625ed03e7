/**
 * Bundles: presets for an organisation. A bundle is a folder:
 *
 * ```
 * manifest.json    where each certificate came from, and its licence (manifest.ts)
 * preset.yaml      which servers it is for, endpoints, default options by strategy (preset.ts); may be missing
 * ca.pem           all certificates in one PEM file
 * certificates/    a hashed CA folder: <hash>.0, <hash>.signing_policy, <hash>.namespaces, <hash>.crl_url
 * ```
 */
import {existsSync, readdirSync} from 'node:fs';
import {basename, join} from 'node:path';
import process from 'node:process';
import {fileURLToPath} from 'node:url';
import {ownFile} from '../own-files.ts';
import {resolvePath} from '../strategy/paths.ts';
import type {Environment} from '../strategy/services.ts';

/** What each file of a bundle is called. */
export const bundleFiles = {
	manifest: 'manifest.json',
	preset: 'preset.yaml',
	authorities: 'ca.pem',
	certificates: 'certificates',
} as const;

/** A bundle on disk. All paths are absolute. */
export interface Bundle {
	/** `cern`, `igtf`, or for a folder of the user's own, the folder's name. */
	readonly name: string;
	/** How a configuration names it: `cern`, or the folder's path. */
	readonly id: string;
	/** The bundle's own folder. */
	readonly root: string;
	/** Its hashed CA folder: `<hash>.0`, `.signing_policy`, `.namespaces`, `.crl_url`. */
	readonly folder: string;
	/** One PEM file of all its certificates. */
	readonly file: string;
	readonly manifestFile: string;
	/** May be missing. */
	readonly presetFile: string;
}

/**
 * The bundle of that name, or in that folder.
 *
 * @param written `cern`, `igtf`, or the path of a folder: one with a slash in it, or that begins with `.` or `~`.
 * @param fromFolder where a relative path starts.
 * @returns `undefined` where there is none.
 */
export function findBundle(
	written: string,
	fromFolder: string = process.cwd(),
	environment: Environment = process.env,
): Bundle | undefined {
	if (isFolderName(written)) {
		const root = resolvePath(written, fromFolder, environment);
		return bundleAt(root, basename(root), root);
	}
	const own = ownFolder();
	// Anything else would be looked for outside of the folder of bundles, or is none of its names.
	return own !== undefined && /^[a-z\d-]+$/.test(written)
		? bundleAt(join(own, written), written, written)
		: undefined;
}

/** Whether a bundle is named by its folder, rather than by the name of one that gatepass brings along. */
export function isFolderName(written: string): boolean {
	return /[/\\]|^[.~]/.test(written);
}

/** The names of the bundles that gatepass brings along. */
export function bundleNames(): string[] {
	const own = ownFolder();
	if (own === undefined) return [];
	return readdirSync(own)
		.filter(name => existsSync(join(own, name, bundleFiles.manifest)))
		.sort();
}

/** A bundle's places; nothing is looked at. */
export function placesOf(root: string, name: string = basename(root), id: string = root): Bundle {
	return {
		name,
		id,
		root,
		folder: join(root, bundleFiles.certificates),
		file: join(root, bundleFiles.authorities),
		manifestFile: join(root, bundleFiles.manifest),
		presetFile: join(root, bundleFiles.preset),
	};
}

function bundleAt(root: string, name: string, id: string): Bundle | undefined {
	const bundle = placesOf(root, name, id);
	return existsSync(bundle.manifestFile) ? bundle : undefined;
}

/** The folder `bundles` of this package. Where a bundler has put everything into one file, it stands beside that. */
function ownFolder(): string | undefined {
	const places = [ownFile('bundles'), new URL('./bundles', import.meta.url)];
	return (
		places
			.filter(place => place !== undefined)
			.map(place => fileURLToPath(place))
			// Any project may have a folder of that name.
			.find(folder => existsSync(join(folder, 'cern', bundleFiles.manifest)))
	);
}
