/** A connection to Redis or Valkey whose calls fail at once while the server is away. */
import {loginRefused} from './login-refused.ts';
import {missingPeer} from './missing-peer.ts';
import {RedisStore} from './redis-store.ts';
import type {ServerTrust} from './server-trust.ts';

/** Milliseconds for a connection. */
const patience = 5000;
/** The client reconnects by itself, for as long as it takes. */
const longestReconnectPause = 1000;

export interface RedisSettings {
	/** What verifies the server of a `rediss:` URL. Absent: the system's CA certificates. */
	readonly trust?: ServerTrust | undefined;
	/** Ends the connection, also one that is not there yet. */
	readonly signal: AbortSignal;
}

/** The optional peer. */
export function loadRedis(): Promise<typeof import('@keyv/redis')> {
	return import('@keyv/redis').catch(missingPeer('redis'));
}

/**
 * Connect. Rejects at the first failure, while the client alone would go on trying.
 *
 * @throws {TokenCacheError} where the server refuses the user name or password.
 */
export async function connectRedis(url: string, {trust, signal}: RedisSettings): Promise<RedisStore> {
	const isTls = new URL(url).protocol === 'rediss:';
	const {createClient} = await loadRedis();
	const client = createClient({
		url,
		// A command waits for no connection.
		disableOfflineQueue: true,
		socket: {
			connectTimeout: patience,
			reconnectStrategy: attempt =>
				Math.min(longestReconnectPause, 50 * 2 ** Math.min(attempt, 10)) * (0.75 + Math.random() / 2),
			...(isTls && {tls: true, rejectUnauthorized: true, ...trust}),
		},
	});
	const disconnect = (): void => {
		if (client.isOpen) client.destroy();
	};
	try {
		await new Promise<void>((resolve, reject) => {
			signal.throwIfAborted();
			signal.addEventListener('abort', () => reject(signal.reason), {once: true});
			// Emitted also between calls; a call that suffers from it rejects by itself.
			client.on('error', reject);
			client.connect().then(() => resolve(), reject);
		});
	} catch (error) {
		disconnect();
		throw isLoginRefused(error) ? loginRefused(error) : error;
	}
	signal.addEventListener('abort', disconnect, {once: true});
	// A connection that nobody waits for keeps no process from ending. Who waits has a timer that runs.
	client.unref();
	return new RedisStore(async () => client);
}

/** https://redis.io/docs/latest/commands/auth/ : the password is wrong, missing, or not wanted. */
function isLoginRefused(error: unknown): boolean {
	return /^(?:WRONGPASS|NOAUTH|ERR (?:AUTH|invalid password|Client sent AUTH))/.test(
		String((error as Error).message),
	);
}
