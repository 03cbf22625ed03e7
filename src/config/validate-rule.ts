/** Checks one host rule: its patterns, its strategy, and whether its credential would go over plain http. */
import type {z} from 'zod';
import type {HostRule} from '../host-rules/host-rule.ts';
import {isLoopback} from '../strategy/hosts.ts';
import {definitionOf, type StrategyDefinition} from '../strategy/index.ts';
import {checkDefaults, completeOptions} from './bundle-defaults.ts';
import {sourceOf, type ValidationContext} from './context.ts';
import type {Problems} from './problems.ts';
import type {hostRuleSchema} from './schema.ts';
import type {Salvaged} from './settings.ts';
import type {Path} from './source.ts';
import {closest} from './suggest.ts';
import {checkEndpoints, checkVariables, nestedPlaces, validateOptions} from './validate-options.ts';
import {type PlacedPattern, validatePatterns} from './validate-patterns.ts';
import {checkProxy} from './validate-proxy.ts';

export async function validateRule(
	rule: Salvaged<z.output<typeof hostRuleSchema>>,
	index: number,
	context: ValidationContext,
): Promise<HostRule> {
	const path: Path = ['hostRules', index];
	const {problems, source} = context;
	const {strategy: name, options, allowInsecure = false} = rule;
	checkProxy(rule.proxy, [...path, 'proxy'], problems);
	const placed = validatePatterns(rule.match, [...path, 'match'], problems);
	const notes: string[] = [];
	checkVariables(options, context.environment, [...path, 'options'], problems);
	const strategy =
		name === undefined
			? undefined
			: await validateStrategy({strategy: name, options}, path, {allowInsecure, notes}, context);
	// A setting that is wrong was reported; whether it gave leave is not known.
	const mayBeInsecure = allowInsecure || problems.has([...path, 'allowInsecure']);
	if (strategy?.definition.carriesCredential !== false && strategy !== undefined && !mayBeInsecure) {
		checkTransport(placed, problems);
	}
	return {
		index,
		patterns: placed.map(({pattern}) => pattern),
		methods: rule.methods?.filter(method => method !== undefined).map(method => method.toUpperCase()),
		strategy: name ?? '',
		options: strategy?.options,
		allowInsecure,
		tenant: rule.tenant,
		...(rule.proxy !== undefined && {proxy: rule.proxy}),
		...(rule.connectionBound === true && {connectionBound: true}),
		source: sourceOf(path, source),
		...(notes.length > 0 && {notes}),
	};
}

/** What holds for a rule's strategy and for those inside of it. */
interface RuleContext {
	readonly allowInsecure: boolean;
	/** Gets what is to be said about the options. */
	readonly notes: string[];
}

interface WrittenStrategy {
	readonly strategy: string;
	options?: unknown;
}

/** Check the name and options of a strategy, in a rule or inside of another strategy's options. */
async function validateStrategy(
	{strategy: name, options: written}: WrittenStrategy,
	path: Path,
	rule: RuleContext,
	context: ValidationContext,
): Promise<{definition: StrategyDefinition; options: unknown} | undefined> {
	const {problems, registry} = context;
	const definition = definitionOf(await registry.load(name));
	if (definition === undefined) {
		const {names} = registry;
		const similar = closest(name, names);
		// It may be in the module that could not be loaded, which was told.
		if (similar === undefined && registry.isIncomplete) return undefined;
		problems.add(
			[...path, 'strategy'],
			`there is no strategy '${name}'`,
			similar === undefined
				? `Use one of ${names.join(', ')}, or list its module under 'strategies'`
				: `Did you mean ${similar}?`,
			'strategy-not-found',
		);
		return undefined;
	}
	const optionsPath = [...path, 'options'];
	if (written === undefined && problems.has(optionsPath)) return {definition, options: undefined};
	const defaults = context.defaults.get(name);
	const completed = completeOptions(written ?? {}, defaults);
	if (defaults !== undefined && completed.added.length > 0) {
		if (!problems.has(defaults.path)) await checkDefaults(definition, defaults, problems);
		// A default that is wrong was told of its bundle.
		if (problems.has(defaults.path)) return {definition, options: undefined};
		rule.notes.push(describeAdded(completed.added, defaults.source));
	}
	const reported = problems.hasWithin(['bundles']) ? onlyWritten(written, optionsPath, problems) : problems;
	const options = await validateOptions(definition, completed.options, optionsPath, reported);
	if (options === undefined) return {definition, options};
	checkEndpoints(definition, options, rule.allowInsecure, optionsPath, problems);
	for (const place of nestedPlaces(definition, options, optionsPath, problems)) {
		const nested = nestedAt(options, place);
		const checked = await validateStrategy(nested, [...optionsPath, ...place], rule, context);
		nested.options = checked?.options;
	}
	return {definition, options};
}

/** What the rule lacks may be what a bundle brings that cannot be read: then the mistake is there. */
function onlyWritten(written: unknown, optionsPath: Path, problems: Problems): Pick<Problems, 'add'> {
	return {
		add(path, message, hint, code) {
			const name = path[optionsPath.length];
			if (name === undefined || Object.hasOwn(Object(written), name)) problems.add(path, message, hint, code);
		},
	};
}

function describeAdded(names: readonly string[], source: string): string {
	return names.length === 1
		? `The option ${names[0]} is the default of ${source}`
		: `The options ${names.slice(0, -1).join(', ')} and ${names.at(-1)} are the defaults of ${source}`;
}

/** The schema has made the options again, so what stands there may be replaced by what its own schema makes of it. */
function nestedAt(options: unknown, place: Path): WrittenStrategy {
	let found: unknown = options;
	for (const part of place) found = (found as Record<string | number, unknown>)[part];
	return found as WrittenStrategy;
}

function checkTransport(placed: readonly PlacedPattern[], problems: Problems): void {
	for (const {pattern, path} of placed) {
		const {scheme, kind, host} = pattern;
		if (scheme === 'https' || (kind !== 'any' && isLoopback(host))) continue;
		problems.add(
			path,
			`'${pattern.text}' would send a credential over plain http`,
			"Write https://, or add 'allowInsecure: true' to the rule if every machine on the way may read it",
			'insecure-transport',
		);
	}
}
