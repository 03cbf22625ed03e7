/** Finds the configuration: the file named, or the first one from the working directory upwards. */
import {readFile} from 'node:fs/promises';
import {basename, extname, resolve} from 'node:path';
import {pathToFileURL} from 'node:url';
import {lilconfig} from 'lilconfig';
import {ConfigurationError} from '../errors.ts';
import {type Source, sourceFromText, sourceFromValue} from './source.ts';

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
				mend: "Write one with 'gatepass init', or name one with the option 'config' (-c on the command line)",
			},
		]);
	}
	return found;
}

async function search(cwd: string): Promise<Source | undefined> {
	// lilconfig does the walking; reading is left to `load`, which keeps the lines.
	const loader = (filepath: string): Promise<Source | undefined> => load(filepath);
	const kinds = ['.yaml', '.yml', '.json', '.js', '.mjs', '.ts', 'noExt'];
	const explorer = lilconfig('gatepass', {
		searchPlaces,
		stopDir: '/',
		packageProp: 'gatepass-found',
		loaders: Object.fromEntries(
			kinds.map(kind => [
				kind,
				async (filepath: string) => {
					const source = await loader(filepath);
					if (basename(filepath) !== 'package.json') return source;
					return source?.value === undefined ? {} : {'gatepass-found': source};
				},
			]),
		),
	});
	const result = await explorer.search(cwd);
	return (result?.config ?? undefined) as Source | undefined;
}

async function load(file: string): Promise<Source> {
	try {
		if (/^\.(?:js|mjs|cjs|ts|mts)$/.test(extname(file))) {
			const module: {default?: unknown} = await import(pathToFileURL(file).href);
			return sourceFromValue(module.default, file);
		}
		const text = await readFile(file, 'utf8');
		return sourceFromText(file, text, basename(file) === 'package.json' ? ['gatepass'] : []);
	} catch (error) {
		const {code, name} = error as NodeJS.ErrnoException;
		throw new ConfigurationError(
			[
				{
					file,
					path: '(configuration)',
					message: `it cannot be loaded (${code ?? name})`,
					mend: code === 'ENOENT' ? 'Name a file that exists' : 'See the cause of this error',
				},
			],
			{cause: error},
		);
	}
}
