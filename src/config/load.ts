/** From a file or an object to a checked configuration: find, read `.env`, interpolate, validate. */
import {dirname, resolve} from 'node:path';
import type {StrategyClass} from '../strategy/index.ts';
import type {Environment} from '../strategy/services.ts';
import type {Configuration} from './configuration.ts';
import {readEnvironment} from './environment.ts';
import {interpolate} from './interpolate.ts';
import {Problems} from './problems.ts';
import type {ConfigurationInput} from './schema.ts';
import {sourceFromValue} from './source.ts';
import {StrategyRegistry} from './strategy-registry.ts';
import {validate} from './validate.ts';

export interface LoadRequest {
	/** A file, the configuration itself, or nothing: search upwards from `cwd`. */
	readonly config?: string | ConfigurationInput | undefined;
	readonly cwd: string;
	readonly env: Environment;
	/** The strategies that need no registration, by name; loaded when a rule names one. */
	readonly builtIn: Readonly<Record<string, () => Promise<StrategyClass>>>;
	/** The caller's own strategies. */
	readonly strategies: readonly StrategyClass[];
	/** Whether the caller hands in a token store, which others may be able to read. */
	readonly hasOwnStore?: boolean | undefined;
}

export interface LoadedConfiguration {
	readonly configuration: Configuration;
	/** The class of each strategy that a rule names. */
	readonly strategyOf: (name: string) => StrategyClass | undefined;
}

/**
 * Load and check a configuration.
 *
 * @throws {ConfigurationError} that lists every mistake.
 */
export async function loadConfiguration(request: LoadRequest): Promise<LoadedConfiguration> {
	const {config} = request;
	const cwd = resolve(request.cwd);
	// From JavaScript anything may come; what is no file name is taken for the configuration, and checked as such.
	const isPlace = config === undefined || typeof config === 'string';
	// What looks for files, and reads YAML, is loaded only where there is something to look for.
	const source = isPlace
		? await (await import('./find.ts')).findConfiguration(cwd, config)
		: sourceFromValue(config);
	const problems = new Problems(source);
	problems.throwIfAny();
	const folder = source.file === undefined ? cwd : dirname(source.file);
	const environment = readEnvironment(folder, request.env, problems);
	const {value, secrets, files} = interpolate(source.value, {environment, folder, problems});
	problems.hide(secrets);
	const registry = new StrategyRegistry(request.builtIn, folder, environment, problems);
	request.strategies.forEach((strategy, index) => {
		registry.register(strategy, [], `strategies[${index}] of createGatepass`);
	});
	const {hasOwnStore = false} = request;
	const configuration = await validate(value, {
		...{source, folder, environment, problems, registry, hasOwnStore},
		secretFiles: files,
	});
	problems.throwIfAny();
	return {configuration, strategyOf: name => registry.get(name)};
}
