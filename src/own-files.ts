/** The files of this package, wherever its code runs from: the source, `dist`, or a program that a bundler made. */
import {readFileSync} from 'node:fs';

interface Manifest {
	readonly name?: string;
	readonly version?: string;
}

/** From a file in src or in dist the manifest is at most three folders up. */
const mostFoldersUp = 3;

let found: {readonly root: URL; readonly manifest: Manifest} | undefined;

function ownPackage(): typeof found {
	for (let up = 1, place = './'; found === undefined && up <= mostFoldersUp; up += 1) {
		place += '../';
		try {
			const root = new URL(place, import.meta.url);
			const manifest = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as Manifest;
			// In a program that a bundler made, it may be that of the program.
			if (manifest.name === 'gatepass') found = {root, manifest};
		} catch {}
	}
	return found;
}

/** A file or folder of this package by its path from the root; `undefined` where a bundler has left the package behind. */
export function ownFile(path: string): URL | undefined {
	const own = ownPackage();
	return own && new URL(path, own.root);
}

/** The version of this package. */
export function version(): string {
	return ownPackage()?.manifest.version ?? 'unknown';
}
