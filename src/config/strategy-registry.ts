/** The strategies by name: built in, handed over by the caller, or exported by the modules of the configuration. */
import {statSync} from 'node:fs';
import {createRequire, findPackageJSON} from 'node:module';
import {dirname, isAbsolute, join} from 'node:path';
import {pathToFileURL} from 'node:url';
import {readBoundedSync} from '../files/bounded-read.ts';
import {definitionOf, type StrategyClass} from '../strategy/index.ts';
import {resolvePath} from '../strategy/paths.ts';
import type {Environment} from '../strategy/services.ts';
import {describeModuleFailure} from './module-failure.ts';
import {whyNotTrusted} from './ownership.ts';
import type {Problems} from './problems.ts';
import type {Path} from './source.ts';

/** Real manifests have some kilobytes. */
const largestManifest = 4 * 1024 * 1024;

export class StrategyRegistry {
	readonly #builtIn: Readonly<Record<string, () => Promise<StrategyClass>>>;
	readonly #folder: string;
	readonly #environment: Environment;
	readonly #problems: Problems;
	readonly #strategies = new Map<string, StrategyClass>();
	/** Whether the configuration was found, and not named: then its own modules have to be this user's, too. */
	readonly #wasFound: boolean;
	#hasFailed = false;

	constructor(
		builtIn: Readonly<Record<string, () => Promise<StrategyClass>>>,
		folder: string,
		environment: Environment,
		problems: Problems,
		wasFound = false,
	) {
		this.#wasFound = wasFound;
		this.#builtIn = builtIn;
		this.#folder = folder;
		this.#environment = environment;
		this.#problems = problems;
	}

	/** Every name that a rule may use. */
	get names(): string[] {
		return [...new Set([...Object.keys(this.#builtIn), ...this.#strategies.keys()])].sort();
	}

	/** Whether there are strategies besides the built-in ones. */
	get hasOthers(): boolean {
		return [...this.#strategies.keys()].some(name => !Object.hasOwn(this.#builtIn, name));
	}

	/** Whether a module could not be loaded, so that names are missing whose lack is no mistake of its own. */
	get isIncomplete(): boolean {
		return this.#hasFailed;
	}

	/** The class that was registered or loaded under the name. */
	get(name: string): StrategyClass | undefined {
		return this.#strategies.get(name);
	}

	/** The class for the name, loading it if it is built in. */
	async load(name: string): Promise<StrategyClass | undefined> {
		const known = this.#strategies.get(name);
		if (known !== undefined || !Object.hasOwn(this.#builtIn, name)) return known;
		const strategy = await this.#builtIn[name]?.();
		if (strategy !== undefined) this.#strategies.set(name, strategy);
		return strategy;
	}

	register(strategy: unknown, path: Path, origin: string): void {
		const name = definitionOf(strategy)?.name;
		if (name === undefined) {
			this.#problems.add(
				path,
				`${origin} is no strategy`,
				'Decorate the class with @authStrategy or make it with defineStrategy',
				'strategy-invalid',
			);
			return;
		}
		if (!/^[a-z][a-z\d-]*$/.test(name)) {
			this.#problems.add(
				path,
				`${origin} has the name '${name}'`,
				'Use lower-case letters, digits and hyphens',
				'strategy-invalid',
			);
			return;
		}
		const taken = this.#strategies.get(name);
		if ((taken !== undefined && taken !== strategy) || Object.hasOwn(this.#builtIn, name)) {
			this.#problems.add(
				path,
				`${origin} has the name '${name}', which is taken`,
				'Give it another name',
				'strategy-invalid',
			);
			return;
		}
		this.#strategies.set(name, strategy as StrategyClass);
	}

	/** Load a module, a path or a package, and register every strategy that it exports. */
	async registerModule(specifier: string, path: Path): Promise<void> {
		let exported: Record<string, unknown>;
		let file = '';
		try {
			file = this.#resolve(specifier);
			const reason = this.#wasFound && isPath(specifier) ? whyNotTrusted(file) : undefined;
			if (reason !== undefined) {
				this.#hasFailed = true;
				const what = `the strategy module '${specifier}' ${reason}, so it is not loaded`;
				const hint = 'Make it yours, or name the configuration with -c';
				this.#problems.add(path, what, hint, 'configuration-unsafe');
				return;
			}
			// Node would wait for a pipe for ever, and read a device without end.
			const stats = statSync(file, {throwIfNoEntry: false});
			if (stats !== undefined && !stats.isFile() && !stats.isDirectory()) {
				this.#hasFailed = true;
				const what = `the strategy module '${specifier}' is not a file`;
				this.#problems.add(path, what, 'Name the file itself', 'strategy-not-loaded');
				return;
			}
			exported = await import(pathToFileURL(file).href);
		} catch (error) {
			this.#hasFailed = true;
			const [message, hint] = describeFailure(specifier, file, this.#folder, error);
			this.#problems.add(path, message, hint, 'strategy-not-loaded');
			return;
		}
		const strategies = new Set(exportsOf(exported).filter(value => definitionOf(value) !== undefined));
		if (strategies.size === 0) {
			this.#problems.add(
				path,
				`'${specifier}' exports no strategy`,
				'Export a class with @authStrategy, or defineStrategy({…})',
				'strategy-invalid',
			);
		}
		for (const strategy of strategies) this.register(strategy, path, `a strategy of '${specifier}'`);
	}

	#resolve(specifier: string): string {
		if (isPath(specifier)) {
			return resolvePath(specifier, this.#folder, this.#environment);
		}
		const base = join(this.#folder, 'gatepass.config.js');
		try {
			return createRequire(base).resolve(specifier);
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code !== 'ERR_PACKAGE_PATH_NOT_EXPORTED') throw error;
			return resolveImportOnly(specifier, base);
		}
	}
}

/** Whether it names a file, and not a package. */
function isPath(specifier: string): boolean {
	return specifier.startsWith('.') || specifier.startsWith('~/') || isAbsolute(specifier);
}

/** From CommonJS come one object with everything in it, and some of its properties beside. */
function exportsOf(module: Record<string, unknown>): unknown[] {
	const {default: whole} = module;
	const inside = typeof whole === 'object' && whole !== null ? Object.values(whole) : [];
	return [...Object.values(module), ...inside];
}

function describeFailure(
	specifier: string,
	file: string,
	folder: string,
	error: unknown,
): [message: string, hint: string] {
	const {code} = (error ?? {}) as NodeJS.ErrnoException;
	if (code === 'ERR_PACKAGE_PATH_NOT_EXPORTED') {
		return [`the package does not export '${specifier}'`, "Name what its 'exports' offer"];
	}
	// What was not found at all has no file.
	const failure = file === '' && code === 'MODULE_NOT_FOUND' ? undefined : describeModuleFailure(error, file);
	if (failure === undefined) {
		return [
			`the strategy module '${specifier}' does not exist`,
			`Name a file (starting with ./) or a package that is installed in ${folder} or above`,
		];
	}
	return [`the strategy module '${specifier}' ${failure.why}`, failure.hint];
}

/** A package that exports itself to `import` alone, which `require.resolve` cannot find. */
function resolveImportOnly(specifier: string, base: string): string {
	const [, name = '', subpath = ''] = /^((?:@[^/]+\/)?[^/]+)(.*)$/.exec(specifier) ?? [];
	const manifest = findPackageJSON(name, pathToFileURL(base));
	const {exports}: {exports?: unknown} =
		manifest === undefined
			? {}
			: JSON.parse(readBoundedSync(manifest, largestManifest).bytes.toString('utf8'));
	const target = pickImport(exportedAt(exports, `.${subpath}`));
	if (manifest === undefined || target === undefined) throw notExported(specifier);
	return join(dirname(manifest), target);
}

/** What `exports` (https://nodejs.org/api/packages.html#exports) says of `.` or `./something`. */
function exportedAt(exports: unknown, subpath: string): unknown {
	const isTable = typeof exports === 'object' && exports !== null && Object.keys(exports)[0]?.startsWith('.');
	if (!isTable) return subpath === '.' ? exports : undefined;
	const table = exports as Record<string, unknown>;
	if (Object.hasOwn(table, subpath)) return table[subpath];
	for (const [pattern, target] of Object.entries(table)) {
		const [start = '', end] = pattern.split('*');
		if (end === undefined || !subpath.startsWith(start) || !subpath.endsWith(end)) continue;
		const matched = subpath.slice(start.length, subpath.length - end.length);
		return pickImport(target)?.replaceAll('*', matched);
	}
	return undefined;
}

function notExported(specifier: string): Error {
	return Object.assign(new Error(`${specifier} is not exported`), {code: 'ERR_PACKAGE_PATH_NOT_EXPORTED'});
}

function pickImport(target: unknown): string | undefined {
	if (typeof target === 'string') return target;
	if (typeof target !== 'object' || target === null) return undefined;
	for (const [condition, value] of Object.entries(target)) {
		if (!['import', 'node', 'default'].includes(condition)) continue;
		const found = pickImport(value);
		if (found !== undefined) return found;
	}
	return undefined;
}
