/** Listens for what goes wrong with the token store, which gatepass tells by an event because no request fails by it. */
import {subscribe, unsubscribe} from 'node:diagnostics_channel';
import {TokenCacheError} from '../errors.ts';
import type {EventName} from '../observability/events.ts';

const name: EventName = 'gatepass:token:error';

export interface TokenStoreTroubles {
	/** The store itself did not work. */
	readonly failures: readonly TokenCacheError[];
	/** Something in it cannot be used, and was passed over. */
	readonly unusable: readonly TokenCacheError[];
}

/** Collect troubles until `stop`, which gives them back. */
export function watchTokenStore(): {stop(): TokenStoreTroubles} {
	const troubles: TokenCacheError[] = [];
	const listen = (message: unknown): void => {
		const {error} = message as {error?: unknown};
		if (error instanceof TokenCacheError) troubles.push(error);
	};
	subscribe(name, listen);
	return {
		stop() {
			unsubscribe(name, listen);
			// A store that fails has a reason outside of gatepass.
			const {failures = [], unusable = []} = Object.groupBy(troubles, ({cause}) =>
				cause === undefined ? 'unusable' : 'failures',
			);
			return {failures, unusable};
		},
	};
}
