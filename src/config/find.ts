/** Finds the configuration: the file named, or the first one from the working directory upwards. */
import {readFile} from 'node:fs/promises';
import {basename, extname, resolve} from 'node:path';
import {pathToFileURL} from 'node:url';
import {lilconfig} from 'lilconfig';
import {ConfigurationError} from '../errors.ts';
import {type Source, sourceFromValue} from './source.ts';
import {sourceFromText} from './source-text.ts';

const searchPlaces = [
	'gatepass.config.yaml',
	'gatepass.config.yml',
	'gatepass.config.json',
	'gatepass.config.js',
	'gatepass.config.mjs',
	'gatepass.config.ts',
	'.gatepassrc',
	'package.json',
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
				code: 'configuration-not-found',
			},
		]);
	}
	return found;
}

async function search(cwd: string): Promise<Source | undefined> {
	// lilconfig does the walking; reading is left to `load`, which keeps the lines.
	const toSource = async (file: string) => ({source: await load(file)});
	const fromPackage = async (file: string) => {
		const source = await load(file);
		// Most package.json hold no configuration, and one that cannot be read may be none of ours.
		return source.value === undefined || source.value === null ? {} : {[found]: {source}};
	};
	const kinds = ['.yaml', '.yml', '.json', '.js', '.mjs', '.ts', 'noExt'];
	const explorer = lilconfig('gatepass', {
		searchPlaces,
		stopDir: '/',
		cache: false,
		ignoreEmptySearchPlaces: false,
		packageProp: found,
		loaders: Object.fromEntries(
			kinds.map(kind => [
				kind,
				(file: string) => (basename(file) === 'package.json' ? fromPackage(file) : toSource(file)),
			]),
		),
	});
	try {
		const result = await explorer.search(cwd);
		if (result === null) return undefined;
		// An empty file is not handed to the loader; it is a mistake to be shown all the same.
		return result.isEmpty === true ? await load(result.filepath) : (result.config as {source: Source}).source;
	} catch (error) {
		throw error instanceof ConfigurationError ? error : cannotLoad((error as {path?: string}).path, error);
	}
}

/** Where `search` finds what `load` has read of a package.json. */
const found = 'gatepass-found';

async function load(file: string): Promise<Source> {
	try {
		if (/^\.(?:js|mjs|cjs|ts|mts|cts)$/.test(extname(file))) {
			const module: {default?: unknown} = await import(pathToFileURL(file).href);
			return sourceFromValue(module.default, file);
		}
		const text = await readFile(file, 'utf8');
		return sourceFromText(file, text, basename(file) === 'package.json' ? ['gatepass'] : []);
	} catch (error) {
		throw cannotLoad(file, error);
	}
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
	const {code, name} = (error ?? {}) as NodeJS.ErrnoException;
	switch (code) {
		case 'ENOENT':
			return {message: 'the file does not exist', hint: 'Name one that does'};
		case 'EISDIR':
			return {message: 'it is a folder', hint: 'Name the file itself, or give the folder another name'};
		case 'EACCES':
			return {message: 'this user may not read it', hint: 'Change its permissions'};
		default:
			return {
				message: `it cannot be loaded (${code ?? name ?? typeof error})`,
				hint: `Run 'node ${file}' to see why, or look at the cause of this error`,
			};
	}
}
