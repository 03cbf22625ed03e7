/** Where the token comes from that is to be exchanged: a file, a variable, a function, another strategy. */
import {CredentialUnavailableError} from '../../src/errors.ts';
import {
	type AuthRequest,
	type AuthStrategy,
	type Environment,
	type RuleInfo,
	resolvePath,
	type Strategies,
} from '../../src/strategy/index.ts';
import {TokenFiles} from '../bearer/token-files.ts';
import type {TokenPlace} from './options.ts';

export interface TokenSourceServices {
	readonly environment: Environment;
	readonly strategies: Strategies;
	readonly rule: RuleInfo;
}

/** Gives a token that is to be exchanged. */
export interface TokenSource {
	/** The token for a request. `fresh`: a cache on the way is to be passed over. */
	read(request: AuthRequest, fresh: boolean): Promise<string>;
	/** The token, as far as it is known without asking a server or running code of the user's. */
	known(): Promise<string | undefined>;
	/** The strategy that shows it, if there is one. */
	readonly strategy?: AuthStrategy;
}

/** The source that is named by the option `option`. */
export function tokenSource(
	place: TokenPlace,
	option: string,
	{environment, strategies, rule}: TokenSourceServices,
): TokenSource {
	const unavailable = (what: string, options?: ErrorOptions): CredentialUnavailableError =>
		new CredentialUnavailableError(
			`The '${option}' of the rule for ${rule.match} (${rule.source}) ${what}`,
			options,
		);
	const nonEmpty = (text: unknown, where: string): string => {
		const token = typeof text === 'string' ? text.trim() : '';
		if (token === '') throw unavailable(`is empty: ${where} holds no token. Put it there`);
		return token;
	};
	if (typeof place === 'function') {
		return remembering(async () => {
			let given: unknown;
			try {
				given = await place();
			} catch (cause) {
				throw unavailable('cannot be had: its function failed. Put it right', {cause});
			}
			return nonEmpty(given, 'what the function gives');
		});
	}
	if ('variable' in place) {
		const read = async () => nonEmpty(environment[place.variable], `the variable ${place.variable}`);
		return {read, known: read};
	}
	if ('file' in place) {
		const file = resolvePath(place.file, rule.folder, environment);
		const files = new TokenFiles();
		const read = async () => nonEmpty(readOrExplain(files, file, unavailable), file);
		return {read, known: read};
	}
	const strategy = strategies.build(place.rule);
	const source = remembering((request, fresh) => bearerTokenOf(strategy, request, fresh, unavailable));
	return {...source, strategy};
}

function readOrExplain(
	files: TokenFiles,
	file: string,
	unavailable: (what: string, options: ErrorOptions) => CredentialUnavailableError,
): string {
	try {
		return files.read(file);
	} catch (cause) {
		if (cause instanceof CredentialUnavailableError) throw cause;
		const {code} = cause as NodeJS.ErrnoException;
		throw unavailable(`cannot be read from ${file} (${code}). Put the token there`, {cause});
	}
}

/** A source that cannot be asked at any time: what it gave last is what is known. */
function remembering(read: TokenSource['read']): TokenSource {
	let last: string | undefined;
	return {
		async read(request, fresh) {
			last = await read(request, fresh);
			return last;
		},
		known: async () => last,
	};
}

/** What a strategy shows behind `Bearer`, in the first leg of its conversation. */
async function bearerTokenOf(
	strategy: AuthStrategy,
	{method, url, tenant}: AuthRequest,
	fresh: boolean,
	unavailable: (what: string) => CredentialUnavailableError,
): Promise<string> {
	const shown = new Headers();
	const conversation = strategy.authenticate({
		method,
		url: new URL(url),
		headers: {
			get: name => shown.get(name) ?? undefined,
			has: name => shown.has(name),
			set: (name, value) => shown.set(name, value),
			delete: name => shown.delete(name),
		},
		identity: undefined,
		replayable: false,
		fresh,
		tenant,
		connectionOwner: undefined,
		openConnection: async () => undefined,
		body: undefined,
		readBody: async () => undefined,
	});
	await conversation.next();
	await conversation.return();
	const token = /^Bearer (.+)$/.exec(shown.get('authorization') ?? '')?.[1];
	if (token === undefined)
		throw unavailable('comes from a strategy that shows no bearer token. Name another one');
	return token;
}
