/** Checks one entry under `trust`. */
import {accessSync, constants, readdirSync, statSync} from 'node:fs';
import {join, resolve} from 'node:path';
import type {z} from 'zod';
import {bundleNames, findBundle} from '../bundles/bundle.ts';
import {isWorkloadAddress} from '../spiffe/workload-api.ts';
import {homeFolder, resolvePath} from '../strategy/paths.ts';
import type {Environment} from '../strategy/services.ts';
import {caFileName, systemStore, type TrustEntry} from './configuration.ts';
import {sourceOf, type ValidationContext} from './context.ts';
import type {trustSchema} from './schema.ts';
import type {Salvaged} from './settings.ts';
import type {Path} from './source.ts';
import {validatePatterns} from './validate-patterns.ts';

export function validateTrust(
	{match, ca, only, crl, spiffeIds}: Salvaged<z.output<typeof trustSchema>>,
	index: number,
	context: ValidationContext,
): TrustEntry {
	const {source, problems} = context;
	const path: Path = ['trust', index];
	const patterns = validatePatterns(match, [...path, 'match'], problems).map(({pattern}) => pattern);
	const words = [ca].flat();
	if (words.some(isSpiffe)) {
		const workloadApi = words.length === 1 ? addressIn(words[0] as string, context.environment) : undefined;
		if (workloadApi === undefined) {
			problems.add(
				[...path, 'ca'],
				words.length === 1
					? 'there is no address of a Workload API: SPIFFE_ENDPOINT_SOCKET names none'
					: 'the bundles of SPIFFE stand for trust domains, and go with no other CA certificates',
				words.length === 1
					? "Set it, or write one such as 'spiffe:unix:///run/spire/agent.sock'"
					: 'Make an entry of its own for the others',
			);
		}
		const entry = {patterns, files: [], only: true, source: sourceOf(path, source)};
		return {
			...entry,
			workloadApi: workloadApi ?? '',
			...(spiffeIds !== undefined && {spiffeIds: spiffeIds.filter(id => id !== undefined)}),
		};
	}
	if (spiffeIds !== undefined) {
		problems.add(
			[...path, 'spiffeIds'],
			'they are looked at with the bundles of SPIFFE alone',
			"Set 'ca: spiffe', or take them out",
		);
	}
	const files: string[] = [];
	for (const [position, written] of [ca].flat().entries()) {
		if (written === undefined) continue;
		const found = resolveAuthorities(written, context);
		if ('file' in found) {
			files.push(found.file);
			continue;
		}
		const place = Array.isArray(ca) ? [...path, 'ca', position] : [...path, 'ca'];
		problems.add(place, found.message, found.hint, 'ca-file-unusable');
	}
	if (crl === 'require' && files.length > 0 && files.length === [ca].flat().length && !files.some(isFolder)) {
		problems.add(
			[...path, 'crl'],
			`no revocation list is ever found beside ${files.join(', ')}, so every server would be refused`,
			"Name a hashed CA folder under 'ca', or take 'crl: require' out",
			'revocation-list-missing',
		);
	}
	return {
		patterns,
		files,
		only: only ?? false,
		crl: crl ?? 'check',
		source: sourceOf(path, source),
	};
}

const spiffeWord = 'spiffe';
const isSpiffe = (written: string | undefined): boolean =>
	written === spiffeWord || written?.startsWith(`${spiffeWord}:`) === true;

function addressIn(written: string, {SPIFFE_ENDPOINT_SOCKET}: Environment): string | undefined {
	const address = written === spiffeWord ? SPIFFE_ENDPOINT_SOCKET : written.slice(spiffeWord.length + 1);
	return address !== undefined && isWorkloadAddress(address) ? address : undefined;
}

type Resolved = {readonly file: string} | {readonly message: string; readonly hint: string};

const bundlePrefix = 'bundle:';

/** What stands under `ca`: a word, a bundle or a path. A file or folder with such a name is written `./system`. */
export function resolveAuthorities(
	written: string,
	{folder, environment}: Pick<ValidationContext, 'folder' | 'environment'>,
): Resolved {
	if (written === systemStore) return {file: systemStore};
	if (written === 'grid') return findGridFolder(environment);
	if (written.startsWith(bundlePrefix)) {
		const name = written.slice(bundlePrefix.length);
		const bundle = findBundle(name, folder, environment);
		if (bundle !== undefined) return checked(bundle.folder);
		const known = bundleNames().join(', ');
		return {message: `there is no bundle '${name}'`, hint: `Name one of ${known}, or the folder of another`};
	}
	return checked(resolvePath(written, folder, environment));
}

/** Where the programs of the grid look for their CA certificates, in that order. */
function findGridFolder(environment: Environment): Resolved {
	const named = environment.X509_CERT_DIR;
	if (named) {
		const found = checked(resolve(named));
		if ('file' in found) return found;
		return {
			message: `${found.message} (X509_CERT_DIR)`,
			hint: 'Set X509_CERT_DIR to a folder of CA certificates',
		};
	}
	const places = [
		join(homeFolder(environment), '.globus', 'certificates'),
		'/etc/grid-security/certificates',
	];
	// A folder of a user that is there, but empty, is passed over like one that is not there.
	const file = places.find(place => whyUnusable(place) === undefined);
	if (file !== undefined) return {file};
	return {
		message: `there are no CA certificates of the grid: X509_CERT_DIR is not set, and neither ${places.join(' nor ')} holds any`,
		hint: "Install them (on Debian the package igtf-policy-classic), set X509_CERT_DIR, or write 'bundle:igtf'",
	};
}

function checked(file: string): Resolved {
	const reason = whyUnusable(file);
	if (reason === undefined) return {file};
	return {
		message: `the CA file ${file} ${reason}`,
		hint: 'Name a PEM file that this user may read, a hashed CA folder, a bundle, or one of the words grid and system',
	};
}

function isFolder(file: string): boolean {
	return file !== systemStore && statSync(file, {throwIfNoEntry: false})?.isDirectory() === true;
}

function whyUnusable(file: string): string | undefined {
	try {
		const status = statSync(file);
		if (status.isDirectory()) {
			if (readdirSync(file).some(name => caFileName.test(name))) return undefined;
			return "is a folder without CA certificates: it has no file such as '5168735f.0' (openssl rehash makes them)";
		}
		if (!status.isFile()) return 'is neither a file nor a folder';
		accessSync(file, constants.R_OK);
		return undefined;
	} catch (error) {
		const {code} = error as NodeJS.ErrnoException;
		return code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`;
	}
}
