import {chown} from 'node:fs/promises';
import process from 'node:process';
import {apache, startApacheMtls} from '../servers/apache.ts';
import type {RealServer} from '../servers/availability.ts';
import {fault} from './harness.ts';

const root: RealServer = {
	name: 'root',
	install: 'sudo',
	whyUnavailable: () => (process.geteuid?.() === 0 ? undefined : 'only root can give a file away'),
};

fault('key-of-another-user', [apache, root], () => async stage => {
	const server = stage.ended(await startApacheMtls());
	const {alice} = server.users;
	await chown(alice.key, 12_345, 12_345);
	const gatepass = await stage.open({
		trust: [{match: '127.0.0.1:*', ca: server.ca, only: true}],
		hostRules: [{match: '127.0.0.1:*', strategy: 'grid-certificate', options: {...alice}}],
	});
	return gatepass.diagnose(server.urls['TLSv1.3']);
});
