/** From a file or an object to a checked configuration: find, read `.env`, interpolate, validate. */
import {dirname, resolve} from 'node:path';
import type {StrategyClass} from '../strategy/index.ts';
import type {Environment} from '../strategy/services.ts';
import type {Configuration} from './configuration.ts';
import {readEnvironment} from './environment.ts';
import {interpolate} from './interpolate.ts';
import {Problems} from './problems.ts';
import type {ConfigurationInput} from './schema.ts';
import {formatPath, sourceFromValue} from './source.ts';
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
	/** Whether variables and files of secrets may be missing: no request is going to be made. */
	readonly withoutSecrets?: boolean | undefined;
	/** Whether the caller hands in a token store, which others may be able to read. */
	readonly hasOwnStore?: boolean | undefined;
}

export interface LoadedConfiguration {
	readonly configuration: Configuration;
	/** The class of each strategy that a rule names. */
	readonly strategyOf: (name: string) => StrategyClass | undefined;
	/** Whether there are strategies besides the built-in ones. */
	readonly hasOwnStrategies: boolean;
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
	const problems = new Problems(source, request.withoutSecrets);
	problems.throwIfAny();
	const folder = source.file === undefined ? cwd : dirname(source.file);
	const environment = readEnvironment(folder, request.env, problems, source.wasFound);
	const {value, secrets, files} = interpolate(source.value, {environment, folder, problems});
	problems.hide(secrets);
	const registry = new StrategyRegistry(request.builtIn, folder, environment, problems, source.wasFound);
	request.strategies.forEach((strategy, index) => {
		registry.register(strategy, [], `strategies[${index}] of createGatepass`);
	});
	const {hasOwnStore = false} = request;
	const configuration = await validate(value, {
		...{source, folder, environment, problems, registry, hasOwnStore},
		secretFiles: files,
	});
	problems.throwIfAny();
	return {
		configuration: withNotes(configuration, problems),
		strategyOf: name => registry.get(name),
		hasOwnStrategies: registry.hasOthers,
	};
}

/** What could not be filled in, as a note of its rule. */
function withNotes(configuration: Configuration, {passedOver}: Problems): Configuration {
	if (passedOver.length === 0) return configuration;
	const hostRules = configuration.hostRules.map(rule => {
		const own = passedOver.filter(({path}) => path[0] === 'hostRules' && path[1] === rule.index);
		const notes = own.map(({path, message}) => `${formatPath(path.slice(2))}: ${message}`);
		return own.length === 0 ? rule : {...rule, notes: [...(rule.notes ?? []), ...notes]};
	});
	return {...configuration, hostRules};
}
