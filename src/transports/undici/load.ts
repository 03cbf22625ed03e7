/** Loads undici when it is first needed, and leaves the platform's own fetch as it was. */
import {createRequire} from 'node:module';
import {GatepassError} from '../../errors.ts';

/** All that undici exports. */
export type Undici = typeof import('undici');

/** Where Node's own fetch looks for its dispatcher. */
const platformsDispatcher = Symbol.for('undici.globalDispatcher.1');

let loaded: Undici | undefined;

/** In one step: nobody can set a dispatcher in between, which would then be undone. */
export function loadUndici(): Undici {
	if (loaded === undefined) {
		const shared = globalThis as Record<symbol, unknown>;
		const before = shared[platformsDispatcher];
		try {
			loaded = createRequire(import.meta.url)('undici') as Undici;
		} catch (error) {
			throw new GatepassError(
				'undici cannot be loaded from here, as in a bundle that stands alone. Install it beside the bundle, or send by gatepass.got',
				{cause: error},
			);
		}
		// From its version 8 on, loading undici makes its agent that of Node's own fetch, too. Without a value, Node
		// makes one of its own when it first needs it.
		if (shared[platformsDispatcher] !== before) shared[platformsDispatcher] = before;
	}
	return loaded;
}
