import {expect} from 'vitest';
import {order, startRefusing} from './acme.ts';
import {errorOf, fault} from './harness.ts';

// In the words of Let's Encrypt; pebble has no limits.
fault('too-many-certificates', [], () => async stage => {
	const detail =
		'too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s';
	const server = await startRefusing(stage, {type: 'rateLimited', detail}, {status: 429, retryAfter: '3600'});
	const error = await errorOf(order(stage, server, ['www.example.test']));
	expect(error.message).toContain(detail);
	expect(error.message).toMatch(/Ask again after \d{4}-/);
	return error;
});
