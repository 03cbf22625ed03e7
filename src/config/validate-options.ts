/** Checks the options of a strategy with the strategy's own schema, and the URLs to which it sends secrets. */
import type {StandardSchemaV1} from '@standard-schema/spec';
import {isLoopback} from '../strategy/hosts.ts';
import type {StrategyDefinition} from '../strategy/index.ts';
import type {Environment} from '../strategy/services.ts';
import {hintAboutCut, isCut} from '../strategy/variables.ts';
import {describeIssue} from './issues.ts';
import type {Problems} from './problems.ts';
import type {Path} from './source.ts';

/** The options as the schema makes them, or `undefined` where they are wrong. */
export async function validateOptions(
	{options: schema, name}: StrategyDefinition,
	options: unknown,
	path: Path,
	problems: Pick<Problems, 'add'>,
): Promise<unknown> {
	if (schema === undefined) {
		for (const key of Object.keys(options as object)) {
			problems.add(
				[...path, key],
				`the strategy '${name}' takes no options`,
				'Take it out',
				'setting-unknown',
			);
		}
		return {};
	}
	try {
		const result: StandardSchemaV1.Result<unknown> = await schema['~standard'].validate(options);
		if (result.issues === undefined) return result.value;
		for (const issue of result.issues) {
			for (const described of describeIssue(issue, options, schema)) {
				problems.add([...path, ...described.path], described.message, described.hint, described.code);
			}
		}
	} catch (error) {
		// Its message may repeat the options.
		addStrategyFault(`the schema of the strategy '${name}'`, error, path, problems);
	}
	return undefined;
}

/** Secrets must not go over plain http without leave. */
export function checkEndpoints(
	definition: StrategyDefinition,
	options: unknown,
	allowInsecure: boolean,
	path: Path,
	problems: Problems,
): void {
	let endpoints: readonly string[];
	try {
		endpoints = definition.endpoints?.(options) ?? [];
	} catch (error) {
		addStrategyFault(`'endpoints' of the strategy '${definition.name}'`, error, path, problems);
		return;
	}
	for (const endpoint of endpoints) {
		const url = URL.parse(endpoint);
		if (url === null || !/^https?:$/.test(url.protocol)) {
			// Not repeated: it may hold a password.
			problems.add(
				path,
				'an endpoint is no http or https URL',
				'Write one that starts with https://',
				'setting-malformed',
			);
		} else if (url.protocol === 'http:' && !allowInsecure && !isLoopback(url.hostname)) {
			problems.add(
				path,
				`secrets would go to ${url.origin} over plain http`,
				"Write https://, or add 'allowInsecure: true' to the rule if every machine on the way may read them",
				'insecure-transport',
			);
		}
	}
}

/** Deeper than options are. */
const deepest = 10;

/** Options that name the variable which holds a secret, as `{variable: NAME}`: it may not be cut in a `.env`. */
export function checkVariables(
	options: unknown,
	environment: Environment,
	path: Path,
	problems: Problems,
	depth = 0,
): void {
	if (typeof options !== 'object' || options === null || depth > deepest) return;
	for (const [key, value] of Object.entries(options)) {
		if (key === 'variable' && typeof value === 'string' && isCut(environment, value)) {
			problems.add(
				[...path, key],
				`the value of ${value} in the .env is cut at its '#', where a comment begins`,
				hintAboutCut,
				'reference-malformed',
			);
		} else {
			const place = Array.isArray(options) ? Number(key) : key;
			checkVariables(value, environment, [...path, place], problems, depth + 1);
		}
	}
}

/** Where in the options other strategies stand. */
export function nestedPlaces(
	definition: StrategyDefinition,
	options: unknown,
	path: Path,
	problems: Problems,
): readonly Path[] {
	try {
		return definition.nested?.(options) ?? [];
	} catch (error) {
		addStrategyFault(`'nested' of the strategy '${definition.name}'`, error, path, problems);
		return [];
	}
}

function addStrategyFault(what: string, error: unknown, path: Path, problems: Pick<Problems, 'add'>): void {
	const name = error instanceof Error ? error.name : typeof error;
	problems.add(
		path,
		`${what} threw an error (${name})`,
		'Correct the strategy: it should return what is wrong',
		'strategy-broken',
	);
}
