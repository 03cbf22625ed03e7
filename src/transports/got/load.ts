/** Loads got when it is first needed: a program that sends by fetch or undici never does. */
import {createRequire} from 'node:module';
import type {Got} from 'got';
import {GatepassError} from '../../errors.ts';

let loaded: Got | undefined;

/** In one step, as `gatepass.got` is a property. It is the same instance that `import` gives. */
export function loadGot(): Got {
	try {
		loaded ??= (createRequire(import.meta.url)('got') as typeof import('got')).default;
		return loaded;
	} catch (error) {
		throw new GatepassError(
			"got cannot be loaded from here, as in a bundle that has it inside. Hand it over: createGatepass({got}), after import got from 'got'",
			{cause: error},
		);
	}
}
