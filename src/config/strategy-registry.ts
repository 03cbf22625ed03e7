/** The strategies by name: built in, handed over by the caller, or exported by the modules of the configuration. */
import {readFileSync} from 'node:fs';
import {createRequire, findPackageJSON} from 'node:module';
import {dirname, isAbsolute, join} from 'node:path';
import {pathToFileURL} from 'node:url';
import {resolvePath} from '../paths.ts';
import type {StrategyClass} from '../strategy.ts';
import {definitionOf} from '../strategy.ts';
import type {Problems} from './problems.ts';
import type {Path} from './source.ts';

export class StrategyRegistry {
	readonly #builtIn: Readonly<Record<string, () => Promise<StrategyClass>>>;
	readonly #folder: string;
	readonly #problems: Problems;
	readonly #strategies = new Map<string, StrategyClass>();

	constructor(
		builtIn: Readonly<Record<string, () => Promise<StrategyClass>>>,
		folder: string,
		problems: Problems,
	) {
		this.#builtIn = builtIn;
		this.#folder = folder;
		this.#problems = problems;
	}

	/** Every name that a rule may use. */
	get names(): string[] {
		return [...new Set([...Object.keys(this.#builtIn), ...this.#strategies.keys()])].sort();
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
			);
			return;
		}
		if (!/^[a-z][a-z\d-]*$/.test(name)) {
			this.#problems.add(
				path,
				`${origin} has the name '${name}'`,
				'Use lower-case letters, digits and hyphens',
			);
			return;
		}
		const taken = this.#strategies.get(name);
		if ((taken !== undefined && taken !== strategy) || Object.hasOwn(this.#builtIn, name)) {
			this.#problems.add(path, `${origin} has the name '${name}', which is taken`, 'Give it another name');
			return;
		}
		this.#strategies.set(name, strategy as StrategyClass);
	}

	/** Load a module, a path or a package, and register every strategy that it exports. */
	async registerModule(specifier: string, path: Path): Promise<void> {
		let exported: Record<string, unknown>;
		try {
			exported = await import(pathToFileURL(this.#resolve(specifier)).href);
		} catch (error) {
			const {code, name} = error as NodeJS.ErrnoException;
			this.#problems.add(
				path,
				`the strategy module '${specifier}' cannot be loaded (${code ?? name})`,
				`Name a file (starting with ./) or a package that can be imported from ${this.#folder}`,
			);
			return;
		}
		const strategies = new Set(Object.values(exported).filter(value => definitionOf(value) !== undefined));
		if (strategies.size === 0) {
			this.#problems.add(
				path,
				`'${specifier}' exports no strategy`,
				'Export a class with @authStrategy, or defineStrategy({…})',
			);
		}
		for (const strategy of strategies) this.register(strategy, path, `a strategy of '${specifier}'`);
	}

	#resolve(specifier: string): string {
		if (specifier.startsWith('.') || specifier.startsWith('~/') || isAbsolute(specifier)) {
			return resolvePath(specifier, this.#folder, process.env);
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

/** A package that exports itself to `import` alone, which `require.resolve` cannot find. */
function resolveImportOnly(specifier: string, base: string): string {
	const manifest = findPackageJSON(specifier, pathToFileURL(base));
	if (manifest === undefined) throw new Error(`There is no package ${specifier}`);
	const {exports}: {exports?: unknown} = JSON.parse(readFileSync(manifest, 'utf8'));
	const target = pickImport(
		typeof exports === 'object' && exports !== null && '.' in exports ? exports['.'] : exports,
	);
	if (target === undefined) throw new Error(`The package ${specifier} exports nothing to import`);
	return join(dirname(manifest), target);
}

function pickImport(target: unknown): string | undefined {
	if (typeof target === 'string') return target;
	if (typeof target !== 'object' || target === null) return undefined;
	for (const [condition, value] of Object.entries(target)) {
		if (['import', 'node', 'default'].includes(condition)) {
			const found = pickImport(value);
			if (found !== undefined) return found;
		}
	}
	return undefined;
}
