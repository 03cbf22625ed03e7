/** Finds the configuration: the file named, or the first one from the working directory upwards. */
import {access} from 'node:fs/promises';
import {basename, dirname, extname, join, resolve} from 'node:path';
import {pathToFileURL} from 'node:url';
import {ConfigurationError} from '../errors.ts';
import {FileReadError, readBounded} from '../files/bounded-read.ts';
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
				path: '(configuration)',
				message: `there is none in ${cwd} or above it (looked for ${searchPlaces.join(', ')})`,
				hint: "Write one with 'gatepass init', or name one with the option 'config' (-c on the command line)",
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
			const source = await load(file);
			// Most package.json hold no configuration.
			const isOthers = place === manifest && (source.value === undefined || source.value === null);
			if (!isOthers) return source;
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

function cannotLoad(file: string | undefined, error: unknown): ConfigurationError {
	const {message, hint} = describeFailure(file, error);
	const place = file === undefined ? {} : {file};
	return new ConfigurationError([{...place, path: '(configuration)', message, hint}], {cause: error});
}

function describeFailure(file: string | undefined, error: unknown): {message: string; hint: string} {
	const {code, name} = (error ?? {}) as NodeJS.ErrnoException;
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
		default:
			return {
				message: `it cannot be loaded (${code ?? name ?? typeof error})`,
				hint: `Run 'node ${file}' to see why, or look at the cause of this error`,
			};
	}
}
