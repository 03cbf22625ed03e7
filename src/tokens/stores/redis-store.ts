/** A connection to Redis or Valkey for `@keyv/redis`: one whose calls fail at once while the server is away. */
import KeyvRedis, {createClient} from '@keyv/redis';
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

/** Connect. Rejects at the first failure, while the client alone would go on trying. */
export async function openRedis(url: string, {trust, signal}: RedisSettings): Promise<KeyvRedis<unknown>> {
	const isTls = new URL(url).protocol === 'rediss:';
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
	const adapter = new KeyvRedis<unknown>(client as never, {throwOnErrors: true});
	// Emitted also between calls; a call that suffers from it rejects by itself.
	adapter.on('error', () => {});
	const disconnect = (): void => {
		if (client.isOpen) client.destroy();
	};
	try {
		await new Promise<void>((resolve, reject) => {
			signal.throwIfAborted();
			signal.addEventListener('abort', () => reject(signal.reason), {once: true});
			client.once('error', reject);
			client.connect().then(() => resolve(), reject);
		});
	} catch (error) {
		disconnect();
		throw error;
	}
	signal.addEventListener('abort', disconnect, {once: true});
	// A connection that nobody waits for keeps no process from ending. Who waits has a timer that runs.
	client.unref();
	return adapter;
}
