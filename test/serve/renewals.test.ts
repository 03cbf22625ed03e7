/** Renewals run on timers here: a proxy that nobody uses still warns and renews. */
import {afterEach, beforeEach, describe, expect, it, onTestFinished, vi} from 'vitest';
import {CertbotFolder} from '../../src/lineages/certbot/folder.ts';
import {Lineage} from '../../src/lineages/certbot/lineage.ts';
import {createTestAuthority} from '../../src/testing/authority.ts';
import {managerAt} from '../certificates/stage.ts';
import {describeWith} from '../servers/availability.ts';
import {pebble, startPebble} from '../servers/pebble.ts';
import {TokenEndpoint} from '../tokens/token-endpoint.ts';
import {secret, startProxy, startServer} from './start-proxy.ts';

/** As often as the proxy looks, in milliseconds. */
const interval = 60_000;

describe('by the timer', () => {
	beforeEach(() => void vi.useFakeTimers({toFake: ['setInterval', 'clearInterval', 'Date']}));
	afterEach(() => void vi.useRealTimers());

	it('renews a token that somebody has used, before it ends and before somebody waits for it', async () => {
		const endpoint = await TokenEndpoint.start();
		const server = await startServer((request, response) => response.end(request.headers.authorization));
		onTestFinished(() => Promise.all([endpoint.close(), server.close()]).then(() => {}));
		endpoint.lifetime = 600_000;
		const options = {clientId: 'id', clientSecret: 'a-secret', tokenEndpoint: endpoint.url};
		const proxy = await startProxy({
			hostRules: [{match: server.origin, strategy: 'sso-client-credentials', options}],
			serve: {routes: {'/api': server.origin}},
		});
		onTestFinished(() => proxy.close());
		const ask = async (): Promise<string> =>
			(await fetch(`${proxy.url}/api/`, {headers: {'x-gatepass-secret': secret}})).text();
		expect(await ask()).toBe('Bearer token-1');
		// Nobody asks any more.
		for (let minutes = 0; minutes < 9; minutes += 1) {
			vi.advanceTimersByTime(interval);
			await new Promise(resolve => setTimeout(resolve, 20));
		}
		await endpoint.untilRequest(2);
		expect(server.requests.length).toBe(1);
		await expect.poll(ask).toBe('Bearer token-2');
		expect(endpoint.requests).toBe(2);
	});

	it('warns of a certificate that is about to end', async () => {
		const authority = await createTestAuthority();
		onTestFinished(() => authority.close());
		const {certificate, key} = await authority.issue('user', {
			subject: 'CN=alice',
			notBefore: Date.now() - 300 * 86_400_000,
			notAfter: Date.now() + 12 * 86_400_000,
		});
		const proxy = await startProxy({
			hostRules: [
				{match: 'https://a.example.org', strategy: 'grid-certificate', options: {certificate, key}},
			],
		});
		onTestFinished(() => proxy.close());
		const texts = (): string[] => proxy.proxy.activity.warnings.map(({text}) => text);
		vi.advanceTimersByTime(interval);
		await expect.poll(texts).toEqual([expect.stringMatching(/alice expires in less than 30 days/)]);
		vi.setSystemTime(Date.now() + 3 * 86_400_000);
		vi.advanceTimersByTime(interval);
		await expect.poll(texts).toContainEqual(expect.stringMatching(/alice expires in less than 10 days/));
	});
});

describeWith(pebble, 'certificates from an ACME server', () => {
	it('are renewed when they are due, though nobody uses the proxy', async () => {
		const server = await startPebble({nonceReject: 0});
		onTestFinished(() => server.close());
		const {manager, folder} = await managerAt(server);
		await manager.enroll(['a.example.test']);
		const lineage = await Lineage.open(new CertbotFolder(folder), 'a.example.test');
		const {serialNumber} = await lineage.certificate();
		const at = (milliseconds: number): string => new Date(Date.now() + milliseconds).toISOString();
		lineage.configuration.set(['gatepass'], 'serial_number', serialNumber);
		lineage.configuration.set(['gatepass'], 'renew_at', at(-1000));
		lineage.configuration.set(['gatepass'], 'ask_again_at', at(3_600_000));
		await lineage.save();
		const proxy = await startProxy({
			trust: [{match: 'https://localhost:*', ca: server.ca}],
			certificates: {
				folder,
				server: server.directoryUrl,
				email: 'tests@example.org',
				termsOfServiceAgreed: true,
				authenticator: {name: 'http-01', address: '127.0.0.1', port: server.httpPort},
			},
			hostRules: [
				{
					match: 'https://api.example.org',
					strategy: 'grid-certificate',
					options: {lineage: 'a.example.test'},
				},
			],
		} as never);
		onTestFinished(() => proxy.close());
		await expect.poll(async () => (await manager.list())[0]?.version).toBe(2);
	});
});
