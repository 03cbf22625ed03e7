/** Listens for failures of the token store, which gatepass reports on a channel because no request fails by them. */
import {subscribe, unsubscribe} from 'node:diagnostics_channel';
import {TokenCacheError} from '../errors.ts';

const name = 'gatepass:token:error';

/** Collect failures until `stop`, which gives them back. */
export function watchTokenStore(): {stop(): TokenCacheError[]} {
	const failures: TokenCacheError[] = [];
	const listen = (message: unknown): void => {
		const {error} = message as {error?: unknown};
		if (error instanceof TokenCacheError) failures.push(error);
	};
	subscribe(name, listen);
	return {
		stop() {
			unsubscribe(name, listen);
			return failures;
		},
	};
}
