/** One process of a fleet: asks a shared token cache for a token, many times at once, whenever it is told to. */
import {subscribe} from 'node:diagnostics_channel';
import {TokenCacheError, TokenRequestError} from '../../src/errors.ts';
import type {Token} from '../../src/strategy/services.ts';
// Loaded before the process becomes a user who may not read it.
import '../../src/tokens/stores/sqlite-store.ts';
import {openStorage} from '../../src/tokens/open-storage.ts';
import {PersistentTokenCache} from '../../src/tokens/token-cache.ts';
import type {Answer, Order} from './fleet.ts';

let cache: PersistentTokenCache | undefined;
let tokenEndpoint = '';
let heedsDate = false;
/** Milliseconds that this process believes to be later than it is. */
let ahead = 0;
const {now} = Date;
Date.now = () => now() + ahead;

async function issue(signal: AbortSignal): Promise<Token> {
	const response = await fetch(tokenEndpoint, {
		method: 'POST',
		body: 'grant_type=client_credentials',
		signal,
	});
	if (!response.ok) {
		await response.body?.cancel();
		const seconds = response.headers.get('retry-after');
		const retryAfter = seconds === null ? {} : {retryAfter: Number(seconds) * 1000};
		throw new TokenRequestError('The token endpoint failed', {status: response.status, ...retryAfter});
	}
	const {access_token: value, expires_in: seconds} = (await response.json()) as {
		access_token: string;
		expires_in: number;
	};
	const issuedAt = heedsDate ? Date.parse(response.headers.get('date') ?? '') : Date.now();
	const expiresAt = issuedAt + seconds * 1000;
	return {value, type: 'Bearer', expiresAt, ...(heedsDate && {issuedAt})};
}

/** What went wrong with the store since the last answer. */
let reports: string[] = [];
subscribe('gatepass:token:error', message => {
	const {error} = message as {error: Error};
	// Failures of the issuer are told by the answer itself.
	if (error instanceof TokenCacheError) reports.push(`${error.message}: ${error.cause}`);
});

async function ask({calls, key, refused}: Order & {does: 'ask'}): Promise<Answer> {
	const call = async (): Promise<Token | undefined> => {
		if (refused !== undefined) await cache?.invalidate(key, {value: refused, type: 'Bearer'});
		return cache?.get(key, issue);
	};
	const results = await Promise.allSettled(Array.from({length: calls}, call));
	const tokens = results.flatMap(result =>
		result.status === 'fulfilled' ? [String(result.value?.value)] : [],
	);
	const failures = results.flatMap(result => (result.status === 'rejected' ? [String(result.reason)] : []));
	const answer = {tokens: [...new Set(tokens)], failures: [...new Set(failures)], reports};
	reports = [];
	return answer;
}

async function obey(order: Order): Promise<Answer | undefined> {
	switch (order.does) {
		case 'begin':
			await cache?.close();
			ahead = 0;
			if (order.user !== undefined) process.seteuid?.(order.user);
			tokenEndpoint = order.tokenEndpoint;
			heedsDate = order.heedsDate ?? false;
			cache = new PersistentTokenCache(openStorage(order.storeUrl), order);
			return undefined;
		case 'ask':
			return ask(order);
		case 'advance':
			ahead += order.milliseconds;
			return undefined;
		case 'end':
			await cache?.close();
			process.disconnect();
			return undefined;
	}
}

process.on('message', async (order: Order) => {
	const answer = await obey(order);
	if (process.connected) process.send?.(answer ?? {});
});
process.send?.({});
