/** One gatepass for each in-memory configuration, made at its first use; all of them share one cache of tokens. */
import process from 'node:process';
import {readEnvironment} from '../config/environment.ts';
import {Problems} from '../config/problems.ts';
import type {ConfigurationInput} from '../config/schema.ts';
import {sourceFromValue} from '../config/source.ts';
import type {Gatepass} from '../gatepass.ts';
import type {Environment, Token, TokenCache} from '../strategy/services.ts';

/** The variables of the process, and what a `.env` in the working directory adds. */
export function currentEnvironment(): Environment {
	const problems = new Problems(sourceFromValue({}));
	const environment = readEnvironment(process.cwd(), process.env, problems);
	problems.throwIfAny();
	return environment;
}

interface Session {
	readonly gatepass: Promise<Gatepass>;
	/** How much work with it is under way. */
	uses: number;
}

/** With tokens of its users' own, a service would come to one for each of them. */
const mostSessions = 50;

/** The one that was used last is the last. */
const sessions = new Map<string, Session>();
let tokens: RememberedTokens | undefined;

/**
 * Do some work with the gatepass of a configuration; the same one as long as it and what it reads from the environment
 * stay the same.
 */
export async function withSession<Result>(
	config: ConfigurationInput,
	work: (gatepass: Gatepass) => Promise<Result>,
): Promise<Result> {
	const session = sessionFor(config);
	session.uses++;
	try {
		return await work(await session.gatepass);
	} finally {
		session.uses--;
		closeUnused();
	}
}

function sessionFor(config: ConfigurationInput): Session {
	const cwd = process.cwd();
	const env = currentEnvironment();
	const key = JSON.stringify([
		cwd,
		config,
		Object.entries(env)
			.filter(([name]) => matters.test(name))
			.sort(),
	]);
	let session = sessions.get(key);
	if (session === undefined) {
		session = {gatepass: open(config, cwd, env), uses: 0};
		// What failed may be put right by the next call.
		session.gatepass.catch(() => sessions.delete(key));
	}
	sessions.delete(key);
	sessions.set(key, session);
	return session;
}

function closeUnused(): void {
	for (const [key, {gatepass, uses}] of sessions) {
		if (sessions.size <= mostSessions) return;
		if (uses > 0) continue;
		sessions.delete(key);
		gatepass.then(unused => unused.close()).catch(() => {});
	}
}

/** Those that gatepass reads. Any other may change from call to call without a session of its own. */
const matters = /^(?:HOME|CERN_CERTIFICATE_PATH|SSO_CLIENT_ID|SSO_CLIENT_SECRET|X509_\w+)$/;

async function open(config: ConfigurationInput, cwd: string, env: Environment): Promise<Gatepass> {
	const {createGatepass, TokenCache} = await import('../index.ts');
	// Only now: it wants the polyfill that the one above brings.
	const {container: root} = await import('tsyringe');
	tokens ??= await RememberedTokens.inMemory();
	const container = root.createChildContainer();
	container.register(TokenCache, {useValue: tokens});
	// The store is never opened: the tokens are in the cache above.
	return createGatepass({config: {cache: {url: 'memory:'}, ...config}, cwd, env, container});
}

/** When a token ends that one of the sessions has fetched. */
export function endOf(token: string): Date | undefined {
	return tokens?.endOf(token);
}

/** End all sessions, and forget their tokens. */
export async function closeSessions(): Promise<void> {
	const [open, cache] = [[...sessions.values()].map(({gatepass}) => gatepass), tokens];
	sessions.clear();
	tokens = undefined;
	const settled = await Promise.allSettled(open);
	await Promise.all(
		settled.map(result => (result.status === 'fulfilled' ? result.value.close() : undefined)),
	);
	await cache?.close();
}

/** A token cache that also knows, of the token itself, when it ends. */
class RememberedTokens implements TokenCache {
	readonly #cache: TokenCache;
	readonly #ends = new Map<string, number>();

	static async inMemory(): Promise<RememberedTokens> {
		const [{openStorage}, {PersistentTokenCache}] = await Promise.all([
			import('../tokens/open-storage.ts'),
			import('../tokens/token-cache.ts'),
		]);
		return new RememberedTokens(new PersistentTokenCache(openStorage('memory:')));
	}

	constructor(cache: TokenCache) {
		this.#cache = cache;
	}

	endOf(token: string): Date | undefined {
		const end = this.#ends.get(token);
		return end === undefined ? undefined : new Date(end);
	}

	get(...[key, issue, options]: Parameters<TokenCache['get']>): Promise<Token> {
		const remember = async (signal: AbortSignal): Promise<Token> => {
			const token = await issue(signal);
			const {value, expiresAt, issuedAt = Date.now()} = token;
			const now = Date.now();
			for (const [other, end] of this.#ends) if (end <= now) this.#ends.delete(other);
			// By this machine's clock: the issuer's may be wrong.
			if (expiresAt !== undefined) this.#ends.set(value, now + expiresAt - issuedAt);
			return token;
		};
		return this.#cache.get(key, remember, options);
	}

	peek(key: string): Promise<Token | undefined> {
		return this.#cache.peek(key);
	}

	invalidate(key: string, token: Token): Promise<void> {
		return this.#cache.invalidate(key, token);
	}

	delete(key: string): Promise<void> {
		return this.#cache.delete(key);
	}

	close(): Promise<void> {
		return this.#cache.close();
	}
}
