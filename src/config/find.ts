/** Finds the configuration: the file named, or the first one from the working directory upwards. */
import {access} from 'node:fs/promises';
import {basename, dirname, extname, join, resolve} from 'node:path';
import {pathToFileURL} from 'node:url';
import {ConfigurationError} from '../errors.ts';
import {FileReadError, readBounded} from '../files/bounded-read.ts';
import {describeModuleFailure} from './module-failure.ts';
import {whyNotTrusted} from './ownership.ts';
import {type Source, sourceFromValue} from './source.ts';
import {sourceFromText} from './source-text.ts';

const manifest = 'package.json';

const searchPlaces = [
	'gatepass.config.yaml',
	'gatepass.config.yml',
	'gatepass.config.json',
	'gatepass.config.js',
	'gatepass.config.mjs',
	'gatepass.config.ts',
	'.gatepassrc',
	manifest,
];

/**
 * The configuration in `file`, or the one found from `cwd` upwards.
 *
 * @throws {ConfigurationError} where there is none, or it cannot be read.
 */
export async function findConfiguration(cwd: string, file?: string): Promise<Source> {
	if (file !== undefined) return load(resolve(cwd, file));
	const found = await search(cwd);
	if (found === undefined) {
		throw new ConfigurationError([
			{
				path: '(none)',
				message: `No configuration found in ${cwd} or above it`,
				hint: "Run 'gatepass init' to write a gatepass.config.yaml, or name a file with -c (in a program: the option 'config')",
				code: 'configuration-not-found',
			},
		]);
	}
	return found;
}

/** From the working directory upwards, the first that there is. */
async function search(cwd: string): Promise<Source | undefined> {
	for (let folder = resolve(cwd); ; folder = dirname(folder)) {
		for (const place of searchPlaces) {
			const file = join(folder, place);
			if (!(await isReachable(file))) continue;
			const reason = whyNotTrusted(file);
			// Most package.json hold no configuration; what another one holds is not looked at.
			if (reason !== undefined && place !== manifest) throw notTrusted(file, reason);
			const source = await load(file);
			const isOthers = place === manifest && (source.value === undefined || source.value === null);
			if (isOthers) continue;
			if (reason !== undefined) throw notTrusted(file, reason);
			return {...source, wasFound: true};
		}
		if (dirname(folder) === folder) return undefined;
	}
}

/** Also where it cannot be read: that is a mistake to be shown. */
function isReachable(file: string): Promise<boolean> {
	return access(file).then(
		() => true,
		() => false,
	);
}

/** Real ones have some kilobytes; package.json of the largest projects some hundreds. */
const largestFile = 4 * 1024 * 1024;

async function load(file: string): Promise<Source> {
	try {
		const text = (await readBounded(file, largestFile)).bytes.toString('utf8');
		if (/^\.(?:js|mjs|cjs|ts|mts|cts)$/.test(extname(file))) {
			const module: {default?: unknown} = await import(pathToFileURL(file).href);
			return sourceFromValue(module.default, file);
		}
		return sourceFromText(file, text, basename(file) === manifest ? ['gatepass'] : []);
	} catch (error) {
		throw cannotLoad(file, error);
	}
}

function notTrusted(file: string, reason: string): ConfigurationError {
	return new ConfigurationError([
		{
			file,
			path: '(configuration)',
			message: `it ${reason}, so it is not loaded unless it is named`,
			hint: "Name it with -c (in a program: the option 'config') if you trust whoever wrote it",
			code: 'configuration-unsafe',
		},
	]);
}

function cannotLoad(file: string | undefined, error: unknown): ConfigurationError {
	const {message, hint} = describeFailure(file, error);
	const place = file === undefined ? {} : {file};
	return new ConfigurationError(
		[{...place, path: '(configuration)', message, hint, code: 'configuration-unreadable'}],
		{cause: error},
	);
}

function describeFailure(file: string | undefined, error: unknown): {message: string; hint: string} {
	const {code} = (error ?? {}) as NodeJS.ErrnoException;
	if (error instanceof FileReadError && code === undefined) {
		return error.reason === 'folder'
			? {message: 'it is a folder', hint: 'Name the file itself, or give the folder another name'}
			: {message: `it ${error.message}`, hint: 'Name a file that holds just the configuration'};
	}
	switch (code) {
		case 'ENOENT':
			return {message: 'the file does not exist', hint: 'Name one that does'};
		case 'EACCES':
			return {message: 'this user may not read it', hint: 'Change its permissions'};
	}
	// A program's own reasons, and what is no path.
	const failure = file === undefined ? undefined : describeModuleFailure(error, file);
	return failure === undefined
		? {message: 'the file does not exist', hint: 'Name one that does'}
		: {message: `it ${failure.why}`, hint: failure.hint};
}
