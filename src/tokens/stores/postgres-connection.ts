/** Connections to PostgreSQL, over a pool of `pg`: https://node-postgres.com/apis/pool */
import {createRequire} from 'node:module';
import {loginRefused} from './login-refused.ts';
import {missingPeer} from './missing-peer.ts';
import {PostgresStore} from './postgres-store.ts';
import type {ServerTrust} from './server-trust.ts';

/** Milliseconds for a connection, and for a statement. */
const patience = 5000;

/** What is used of it. */
interface Pool {
	on(event: 'error', listener: (error: Error) => void): this;
	query(statement: string, values?: unknown[]): Promise<{rows: unknown[]}>;
	end(): Promise<void>;
}

interface Pg {
	readonly Pool: new (options: object) => Pool;
}

/** The optional peer, for its copy of pg alone, which is no dependency of gatepass's. */
export async function loadPostgres(): Promise<Pg> {
	await import('@keyv/postgres').catch(missingPeer('postgres'));
	const fromHere = createRequire(import.meta.url);
	return createRequire(fromHere.resolve('@keyv/postgres'))('pg') as Pg;
}

/**
 * Connect, and make the table where it is missing.
 *
 * @throws {TokenCacheError} where the server refuses the user name or password.
 */
export async function connectPostgres(url: string, trust?: ServerTrust): Promise<PostgresStore> {
	const {Pool} = await loadPostgres();
	const pool = new Pool({
		...connectionOptions(url, trust),
		application_name: 'gatepass',
		max: 4,
		connectionTimeoutMillis: patience,
		query_timeout: patience,
		allowExitOnIdle: true,
	});
	// The pool drops a connection that broke, and makes another one at the next statement.
	pool.on('error', () => {});
	const run = async (statement: string, values?: unknown[]): Promise<unknown[]> =>
		(await pool.query(statement, values)).rows;
	const store = new PostgresStore(run, () => pool.end());
	try {
		await store.prepare();
		return store;
	} catch (error) {
		void pool.end().catch(() => {});
		throw isLoginRefused(error) ? loginRefused(error) : error;
	}
}

/** SQLSTATE invalid_password, and what pg says where the URL holds none. */
function isLoginRefused(error: unknown): boolean {
	const {code, message} = error as {code?: unknown; message?: unknown};
	return code === '28P01' || /^SASL:.*password must be/.test(String(message));
}

/**
 * A URL that asks for TLS gets it with the server verified, against `trust` where the configuration names some. Certificate
 * files in the URL come before that.
 */
function connectionOptions(
	url: string,
	trust: ServerTrust | undefined,
): {connectionString: string; ssl?: object} {
	const parsed = new URL(url);
	const has = (name: string): boolean => parsed.searchParams.has(name);
	const asksForTls = ['require', 'verify-ca', 'verify-full'].includes(
		parsed.searchParams.get('sslmode') ?? '',
	);
	if (!asksForTls || ['sslcert', 'sslkey', 'sslrootcert', 'uselibpqcompat'].some(has)) {
		return {connectionString: url};
	}
	parsed.searchParams.delete('sslmode');
	return {connectionString: parsed.href, ssl: {rejectUnauthorized: true, ...trust}};
}
