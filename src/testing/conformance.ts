/**
 * The conformance kit: what every strategy must pass, the built-in ones too.
 *
 * It builds the strategy as gatepass does, from a configuration with one rule, and holds conversations with it
 * directly, so that each answer of a server can be played.
 */
import {inspect} from 'node:util';
import {loadConfiguration} from '../config/load.ts';
import type {ConfigurationInput} from '../config/schema.ts';
import {builtInStrategies, compose} from '../container.ts';
import {GatepassError} from '../errors.ts';
import {definitionOf, type StrategyClass} from '../strategy/index.ts';
import {checks, type Subject} from './conformance-checks.ts';

/** How a strategy is checked. */
export interface ConformanceSettings {
	/** The options of the rule. Default: none. */
	readonly options?: Record<string, unknown>;
	/** The URL of the request that is authenticated. Default: `https://conformance.example.org/path`. */
	readonly url?: string;
	/** What must never show up in a message. Default: the options whose names suggest it, such as `key` or `password`. */
	readonly secrets?: readonly string[];
	/** Default: the process's. */
	readonly env?: Readonly<Record<string, string | undefined>>;
	/** More of the configuration, such as `trust`, where the strategy makes requests of its own. */
	readonly configuration?: Omit<ConfigurationInput, 'hostRules' | 'strategies' | 'cache'>;
}

/**
 * Check a strategy.
 *
 * @returns the names of the checks that were made, all of which it passed.
 * @throws {AggregateError} that holds an error for each check that failed, named by the check.
 * @throws {ConfigurationError} where the options are refused.
 * @example
 * await conformance(ApiKeyStrategy, {options: {key: 'k'}});
 */
export async function conformance(
	strategy: StrategyClass,
	settings: ConformanceSettings = {},
): Promise<string[]> {
	const passed: string[] = [];
	const failures: Error[] = [];
	for (const [name, check] of Object.entries(checks)) {
		const subject = await prepare(strategy, settings);
		try {
			await check(subject);
			passed.push(name);
		} catch (error) {
			failures.push(
				new Error(`${name}: ${error instanceof Error ? error.message : inspect(error)}`, {cause: error}),
			);
		} finally {
			await subject.composition.close();
		}
	}
	if (failures.length > 0) {
		const list = failures.map(({message}) => `  ${message}`).join('\n');
		throw new AggregateError(failures, `The strategy failed ${failures.length} of its checks:\n${list}`);
	}
	return passed;
}

async function prepare(strategy: StrategyClass, settings: ConformanceSettings): Promise<Subject> {
	const {
		options = {},
		url = 'https://conformance.example.org/path',
		env = process.env,
		configuration,
	} = settings;
	const name = definitionOf(strategy)?.name;
	if (name === undefined) {
		throw new GatepassError({
			code: 'strategy-invalid',
			what: 'This is no strategy',
			hint: 'Decorate the class with @authStrategy, or make it with defineStrategy',
		});
	}
	const target = new URL(url);
	const loaded = await loadConfiguration({
		config: {
			...configuration,
			cache: {url: 'memory:'},
			hostRules: [{match: target.origin, strategy: name, options, allowInsecure: true}],
		},
		cwd: process.cwd(),
		env,
		strategies: Object.hasOwn(builtInStrategies, name) ? [] : [strategy],
		builtIn: builtInStrategies,
	});
	const composition = await compose(loaded);
	return {strategy, composition, url: target, secrets: settings.secrets ?? secretsIn(options)};
}

/** A short text proves nothing when it is found, and where a file or server is may be said. */
function secretsIn(value: unknown, name = ''): string[] {
	if (typeof value === 'string') {
		const isSecret = /secret|pass|token|key|value/i.test(name) && value.length > 7 && !/[/:]/.test(value);
		return isSecret ? [value] : [];
	}
	if (typeof value !== 'object' || value === null) return [];
	return Object.entries(value).flatMap(([key, item]) => secretsIn(item, key));
}
