import {expect} from 'vitest';
import {order, startRefusing} from './acme.ts';
import {errorOf, fault} from './harness.ts';

// In the words of Let's Encrypt; pebble takes addresses by any profile.
fault('address-refused', [], () => async stage => {
	const detail = 'Profile "classic" does not permit ip type identifiers';
	const server = await startRefusing(stage, {type: 'unsupportedIdentifier', detail}, {status: 400});
	const error = await errorOf(order(stage, server, ['192.0.2.7']));
	expect(error.message).toContain('another profile');
	return error;
});
