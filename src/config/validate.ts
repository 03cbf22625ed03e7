/** Checks a configuration whole, reports every mistake, and turns it into what the rest of gatepass works with. */
import {accessSync, constants, statSync} from 'node:fs';
import type {StandardSchemaV1} from '@standard-schema/spec';
import type {z} from 'zod';
import type {HostRule} from '../host-rules/host-rule.ts';
import {isLoopback, type Pattern, PatternError, parsePattern} from '../host-rules/pattern.ts';
import {homeFolder, resolvePath} from '../paths.ts';
import type {Environment} from '../services.ts';
import {definitionOf, type StrategyDefinition} from '../strategy.ts';
import type {Configuration, TrustEntry} from './configuration.ts';
import {describeIssue, hideSecrets} from './issues.ts';
import type {Problems} from './problems.ts';
import {configurationSchema, type hostRuleSchema, type trustSchema} from './schema.ts';
import {formatPath, type Path, type Source} from './source.ts';
import type {StrategyRegistry} from './strategy-registry.ts';
import {closest} from './suggest.ts';

export interface ValidationContext {
	readonly source: Source;
	readonly folder: string;
	readonly environment: Environment;
	/** Values that must not show up in a message. */
	readonly secrets: ReadonlySet<string>;
	readonly problems: Problems;
	readonly registry: StrategyRegistry;
}

/** Check `value`. Where there are problems, what is returned must not be used. */
export async function validate(value: unknown, context: ValidationContext): Promise<Configuration> {
	const {source, folder, environment, problems, registry, secrets} = context;
	const parsed = configurationSchema.safeParse(value ?? undefined);
	for (const issue of parsed.error?.issues ?? []) {
		const {path, message, mend} = describeIssue(issue, value);
		problems.add(path, hideSecrets(message, secrets), mend);
	}
	// With the shape wrong in one place, the rest is still worth checking: a person mends everything in one go.
	const input = parsed.data ?? salvage(value);
	for (const [index, module] of (input.strategies ?? []).entries()) {
		await registry.registerModule(module, ['strategies', index]);
	}
	const trust = (input.trust ?? []).map((entry, index) => validateTrust(entry, index, context));
	const hostRules: HostRule[] = [];
	for (const [index, rule] of (input.hostRules ?? []).entries()) {
		hostRules.push(await validateRule(rule, index, context));
	}
	return {
		...(source.file !== undefined && {file: source.file}),
		folder,
		environment,
		cache: {url: validateCacheUrl(input.cache?.url, context)},
		tokenRequest: {timeout: input.tokenRequest?.timeout ?? 10_000, retries: input.tokenRequest?.retries ?? 2},
		trust,
		hostRules,
	};
}

type Input = z.infer<typeof configurationSchema>;

/** The parts of a wrong configuration that are right by themselves. */
function salvage(value: unknown): Input {
	if (typeof value !== 'object' || value === null) return {};
	const salvaged: Record<string, unknown> = {};
	for (const [key, schema] of Object.entries(configurationSchema.shape)) {
		const part = (value as Record<string, unknown>)[key];
		const whole = schema.safeParse(part);
		if (whole.success) salvaged[key] = whole.data;
		else if (Array.isArray(part)) {
			// Holes keep the places of the others, and `entries()` of a filtered list would not.
			salvaged[key] = part.map(item => {
				const single = schema.safeParse([item]);
				return single.success ? (single.data as unknown[])[0] : undefined;
			});
		}
	}
	return salvaged as Input;
}

async function validateRule(
	rule: z.infer<typeof hostRuleSchema> | undefined,
	index: number,
	context: ValidationContext,
): Promise<HostRule> {
	const path: Path = ['hostRules', index];
	const allowInsecure = rule?.allowInsecure ?? false;
	const placeholder: HostRule = {
		index,
		patterns: rule === undefined ? [] : validatePatterns(rule.match, [...path, 'match'], context.problems),
		methods: rule?.methods?.map(method => method.toUpperCase()),
		strategy: rule?.strategy ?? '',
		options: undefined,
		allowInsecure,
		source: sourceOf(path, context.source),
	};
	if (rule === undefined) return placeholder;
	const strategy = await validateStrategy(rule, path, allowInsecure, context);
	if (strategy === undefined) return placeholder;
	if (strategy.definition.carriesCredential !== false) checkTransport(placeholder, path, context.problems);
	return {...placeholder, options: strategy.options};
}

/** Check the name and options of a strategy, in a rule or inside of another strategy's options. */
async function validateStrategy(
	{strategy: name, options: written = {}}: {strategy: string; options?: Record<string, unknown> | undefined},
	path: Path,
	allowInsecure: boolean,
	context: ValidationContext,
): Promise<{definition: StrategyDefinition; options: unknown} | undefined> {
	const definition = definitionOf(await context.registry.load(name));
	if (definition === undefined) {
		const {names} = context.registry;
		const similar = closest(name, names);
		context.problems.add(
			[...path, 'strategy'],
			`there is no strategy '${name}'`,
			similar === undefined
				? `Use one of ${names.join(', ')}, or list its module under 'strategies'`
				: `Did you mean ${similar}?`,
		);
		return undefined;
	}
	const options = await validateOptions(definition, written, [...path, 'options'], context);
	if (options === undefined) return {definition, options};
	checkEndpoints(definition, options, allowInsecure, path, context.problems);
	for (const place of definition.nested?.(options) ?? []) {
		const nested = nestedAt(options, place);
		const checked = await validateStrategy(nested, [...path, 'options', ...place], allowInsecure, context);
		nested.options = checked?.options as Record<string, unknown> | undefined;
	}
	return {definition, options};
}

/** The schema has made the options anew, so what stands there may be replaced by what its own schema makes of it. */
function nestedAt(
	options: unknown,
	place: Path,
): {strategy: string; options?: Record<string, unknown> | undefined} {
	let found: unknown = options;
	for (const part of place) found = (found as Record<string | number, unknown>)[part];
	return found as {strategy: string; options?: Record<string, unknown>};
}

async function validateOptions(
	{options: schema, name}: StrategyDefinition,
	options: Record<string, unknown>,
	path: Path,
	{problems, secrets}: ValidationContext,
): Promise<unknown> {
	if (schema === undefined) {
		for (const key of Object.keys(options)) {
			problems.add([...path, key], `the strategy '${name}' takes no options`, 'Take it out');
		}
		return {};
	}
	let result: StandardSchemaV1.Result<unknown>;
	try {
		result = await schema['~standard'].validate(options);
	} catch {
		problems.add(path, `the schema of the strategy '${name}' threw an error`, 'Mend the strategy');
		return undefined;
	}
	if (result.issues === undefined) return result.value;
	for (const issue of result.issues) {
		const described = describeIssue(issue, options);
		problems.add([...path, ...described.path], hideSecrets(described.message, secrets), described.mend);
	}
	return undefined;
}

function checkTransport({patterns, allowInsecure}: HostRule, path: Path, problems: Problems): void {
	for (const {scheme, kind, host, text} of patterns) {
		if (scheme === 'https' || allowInsecure || (kind !== 'any' && isLoopback(host))) continue;
		problems.add(
			[...path, 'match'],
			`'${text}' would send a credential over plain http`,
			"Write https://, or 'allowInsecure: true' if every machine on the way may read it",
		);
	}
}

function checkEndpoints(
	definition: StrategyDefinition,
	options: unknown,
	allowInsecure: boolean,
	path: Path,
	problems: Problems,
): void {
	for (const endpoint of definition.endpoints?.(options) ?? []) {
		const url = URL.parse(endpoint);
		if (url === null || !/^https?:$/.test(url.protocol)) {
			problems.add(
				[...path, 'options'],
				`the endpoint '${endpoint}' is no URL`,
				'Write one that starts with https://',
			);
		} else if (url.protocol === 'http:' && !allowInsecure && !isLoopback(url.hostname)) {
			problems.add(
				[...path, 'options'],
				`secrets would go to ${url.origin} over plain http`,
				"Write https://, or 'allowInsecure: true' if every machine on the way may read them",
			);
		}
	}
}

function validateTrust(
	entry: z.infer<typeof trustSchema> | undefined,
	index: number,
	{source, folder, environment, problems}: ValidationContext,
): TrustEntry {
	const path: Path = ['trust', index];
	const written = entry === undefined ? [] : [entry.ca].flat();
	const files = written.map(file => resolvePath(file, folder, environment));
	for (const file of files) {
		const reason = whyUnreadable(file);
		if (reason !== undefined) {
			problems.add(
				[...path, 'ca'],
				`the CA file ${file} ${reason}`,
				'Name a PEM file that this user may read',
			);
		}
	}
	return {
		patterns: entry === undefined ? [] : validatePatterns(entry.match, [...path, 'match'], problems),
		files,
		only: entry?.only ?? false,
		source: sourceOf(path, source),
	};
}

function validatePatterns(match: string | string[], path: Path, problems: Problems): Pattern[] {
	const patterns: Pattern[] = [];
	for (const [index, text] of [match].flat().entries()) {
		try {
			patterns.push(parsePattern(text));
		} catch (error) {
			if (!(error instanceof PatternError)) throw error;
			problems.add(Array.isArray(match) ? [...path, index] : path, error.message, error.mend);
		}
	}
	return patterns;
}

function validateCacheUrl(
	url: string | undefined,
	{folder, environment, problems}: ValidationContext,
): string {
	if (url === undefined) return `sqlite:${homeFolder(environment)}/.cache/gatepass/tokens.sqlite`;
	if (url === 'memory:') return url;
	if (url.startsWith('sqlite:') && url.length > 'sqlite:'.length) {
		return `sqlite:${resolvePath(url.slice('sqlite:'.length).replace(/^\/\/(?=\/)/, ''), folder, environment)}`;
	}
	// Not repeated: a URL of a store may hold a password.
	problems.add(['cache', 'url'], 'it names no store that gatepass knows', 'Write sqlite:FILE or memory:');
	return 'memory:';
}

function sourceOf(path: Path, source: Source): string {
	if (source.file === undefined) return formatPath(path);
	const line = source.lineOf(path);
	return line === undefined ? source.file : `${source.file}:${line}`;
}

function whyUnreadable(file: string): string | undefined {
	try {
		if (!statSync(file).isFile()) return 'is not a file';
		accessSync(file, constants.R_OK);
		return undefined;
	} catch (error) {
		return `cannot be read (${(error as NodeJS.ErrnoException).code})`;
	}
}
