import {expect} from 'vitest';
import {pebble, startPebble} from '../servers/pebble.ts';
import {order} from './acme.ts';
import {errorOf, fault} from './harness.ts';

// The authority goes to the IPv6 address first, where nothing answers for the name.
fault('challenge-elsewhere', pebble, () => async stage => {
	const server = stage.ended(await startPebble({nonceReject: 0}));
	await server.dns('add-aaaa', {host: 'www.example.test', addresses: ['::1']});
	await server.dns('clear-a', {host: 'www.example.test'});
	const error = await errorOf(order(stage, server, ['www.example.test']));
	expect(error.message).toContain('[::1]');
	expect(error.message).toContain('IPv6');
	return error;
});
