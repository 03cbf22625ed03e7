import {expect, vi} from 'vitest';
import type {AcmeHttp} from '../../src/issuers/acme/connection.ts';
import {CertbotFolder} from '../../src/lineages/certbot/folder.ts';
import {Lineage} from '../../src/lineages/certbot/lineage.ts';
import {managerAt} from '../certificates/stage.ts';
import {connectTo} from '../issuers/acme/stage.ts';
import {pebble, startPebble} from '../servers/pebble.ts';
import {fault} from './harness.ts';

// A certificate is due, and its authority cannot be reached: the process that renews asks for it once, puts the next try
// off, goes on looking, and renews when the time has come and the authority is back.
fault('renewal-loops', pebble, () => async stage => {
	const server = stage.ended(await startPebble({nonceReject: 0}));
	const {manager, folder, events, parts} = await managerAt(server);
	await manager.enroll(['a.example.test']);
	const network = {isDown: true, requests: 0};
	const between = (http: AcmeHttp): AcmeHttp => ({
		fetch(url, init) {
			network.requests += 1;
			// Nothing listens there.
			return http.fetch(network.isDown ? 'https://localhost:1/' : url, init);
		},
	});
	parts.connect = directoryUrl => connectTo({directoryUrl, ca: server.ca}, 60_000, between);
	const lineage = (): Promise<Lineage> => Lineage.open(new CertbotFolder(folder), 'a.example.test');
	const set = async (times: Readonly<Record<string, number>>): Promise<void> => {
		const one = await lineage();
		const {certificate} = await one.read();
		one.configuration.set(['gatepass'], 'serial_number', certificate.serialNumber);
		for (const [name, at] of Object.entries(times)) {
			one.configuration.set(['gatepass'], name, new Date(at).toISOString());
		}
		await one.save();
	};
	await set({renew_at: Date.now() - 1000, ask_again_at: Date.now() + 3_600_000});
	// Each look begins with the names of what is there.
	const names = vi.spyOn(CertbotFolder.prototype, 'names');
	stage.ended({close: () => names.mockRestore()});
	const looks = (): number => names.mock.calls.length;
	const renewing = manager.autoRenew({interval: 20});
	stage.ended({close: () => renewing.stop()});
	await expect.poll(looks).toBeGreaterThan(20);
	expect(events.filter(({kind}) => kind === 'failed')).toHaveLength(1);
	const asked = network.requests;
	const putOff = Date.parse((await lineage()).configuration.text(['gatepass'], 'next_attempt') ?? '');
	expect(putOff).toBeGreaterThan(Date.now() + 10_000);
	await expect.poll(looks).toBeGreaterThan(40);
	expect(network.requests).toBe(asked);

	network.isDown = false;
	await set({next_attempt: Date.now() - 1000});
	await expect.poll(() => events.map(({kind}) => kind)).toContain('renewed');
	expect(events.filter(({kind}) => kind === 'renewed')).toHaveLength(1);
	return undefined;
});
