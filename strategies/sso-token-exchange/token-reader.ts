/** Reads the token that is to be exchanged, from wherever the options say. */
import {readFile} from 'node:fs/promises';
import {CredentialUnavailableError} from '../../src/errors.ts';
import {
	type AuthRequest,
	type AuthStrategy,
	type Environment,
	type RuleInfo,
	resolvePath,
	type Strategies,
} from '../../src/strategy.ts';
import type {TokenSource} from './options.ts';

export interface TokenReaderServices {
	readonly environment: Environment;
	readonly strategies: Strategies;
	readonly rule: RuleInfo;
}

/** Reads one token. With a request, a strategy that shows it sees that request's URL; without, a request to nowhere. */
export type TokenReader = (request?: AuthRequest) => Promise<string>;

/** The reader for a source. `option` is its name, for messages. */
export function tokenReader(
	source: TokenSource,
	option: string,
	{environment, strategies, rule}: TokenReaderServices,
): TokenReader {
	const unavailable = (what: string, options?: ErrorOptions): CredentialUnavailableError =>
		new CredentialUnavailableError(
			`The '${option}' of the rule for ${rule.match} (${rule.source}) ${what}`,
			options,
		);
	const nonEmpty = (text: string | undefined, place: string): string => {
		const token = text?.trim();
		if (!token) throw unavailable(`is empty: ${place} holds no token. Put it there`);
		return token;
	};
	if (typeof source === 'function') return async () => nonEmpty(await source(), 'what the function gives');
	if ('variable' in source) {
		return async () => nonEmpty(environment[source.variable], `the variable ${source.variable}`);
	}
	if ('file' in source) {
		const file = resolvePath(source.file, rule.folder, environment);
		return async () => {
			const text = await readFile(file, 'utf8').catch(error => {
				throw unavailable(`cannot be read from ${file} (${error.code}). Put the token there`, {cause: error});
			});
			return nonEmpty(text, file);
		};
	}
	const strategy = strategies.build(source.rule);
	return async request => bearerTokenOf(strategy, request, unavailable);
}

/** What a strategy shows behind `Bearer`, in the first leg of its conversation. */
async function bearerTokenOf(
	strategy: AuthStrategy,
	request: AuthRequest | undefined,
	unavailable: (what: string) => CredentialUnavailableError,
): Promise<string> {
	const shown = new Headers();
	const conversation = strategy.authenticate({
		method: request?.method ?? 'GET',
		url: new URL(request?.url ?? 'https://exchange.invalid/'),
		headers: {
			get: name => shown.get(name) ?? undefined,
			has: name => shown.has(name),
			set: (name, value) => shown.set(name, value),
			delete: name => shown.delete(name),
		},
		identity: undefined,
		replayable: false,
		fresh: request?.fresh ?? false,
	});
	await conversation.next();
	await conversation.return();
	const token = /^Bearer (.+)$/.exec(shown.get('authorization') ?? '')?.[1];
	if (token === undefined)
		throw unavailable('comes from a strategy that shows no bearer token. Name another one');
	return token;
}
