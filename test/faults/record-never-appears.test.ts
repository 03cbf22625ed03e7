import {CommandAuthenticator} from '../../src/issuers/acme/authenticators/dns-command.ts';
import {pebble, startPebble} from '../servers/pebble.ts';
import {order} from './acme.ts';
import {errorOf, fault} from './harness.ts';

// The hook sets the record where the authority does not look.
fault('record-never-appears', pebble, () => async stage => {
	const server = stage.ended(await startPebble({nonceReject: 0}));
	const authenticators = [new CommandAuthenticator({auth: 'true', cleanup: 'true'})];
	return errorOf(order(stage, server, ['www.example.test'], {authenticators}));
});
