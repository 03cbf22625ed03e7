/** What the KDC says of the services of a rule, in `status({verify: true})`, `status --verify` and `doctor --network`. */
import {rm} from 'node:fs/promises';
import {describe, test} from 'vitest';
import {servicesOf} from '../../strategies/kerberos/service-names.ts';
import {createWorkspace} from '../cli/command-line.ts';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith} from '../servers/availability.ts';
import {mitKdc} from '../servers/kdc.ts';
import {libraries, useRealm} from './kerberos-setup.ts';

test.for([
	[{}, 'www.example.org', ['HTTP@www.example.org']],
	[
		{},
		'https://a.example.org/x, http://b.example.org:*/y, a.example.org:8443',
		['HTTP@a.example.org', 'HTTP@b.example.org'],
	],
	[{}, '*.example.org, *', []],
	[{}, 'http://[::1]:8080, 127.0.0.1:*', ['HTTP@::1', 'HTTP@127.0.0.1']],
	[{hostname: 'www'}, '*.example.org', ['HTTP@www']],
	[{service: 'host'}, 'b.example.org', ['host@b.example.org']],
	[{proxy: 'http://proxy.example.org:3128'}, '*', ['HTTP@proxy.example.org']],
	[{proxy: 'http://127.0.0.1:3128', hostname: 'proxy'}, 'b.example.org', ['HTTP@proxy']],
] as const)('the services of %j for %s', ([options, match, services], {expect}) => {
	expect(servicesOf({service: 'HTTP', proxy: false, hostname: undefined, ...options}, {match})).toEqual(
		services,
	);
});

describeWith([mitKdc, apacheNegotiate], 'the status of Kerberos', () => {
	const realm = useRealm();

	describe.each(libraries)('over %s', library => {
		const statusWith = async (options: Record<string, unknown>, verify: boolean) => {
			const gatepass = await realm.gatepassWith({library, ...options});
			const [status] = await gatepass.status({verify});
			return status;
		};
		const alice = () => `alice@${realm.kdc.realm}`;
		const sources = () => [
			{keytab: realm.kdc.keytabs.alice, principal: alice()},
			{password: realm.kdc.password, principal: alice()},
		];

		test('the KDC gives a ticket', async ({expect}) => {
			const all = [{credentialCache: await realm.kdc.ticket({renewable: '5h'})}, ...sources()];
			for (const source of all) {
				const status = await statusWith(source, true);
				expect(status).toMatchObject({available: true, expiresAt: expect.any(Number)});
				expect(status?.detail).toContain(`${alice()} through`);
				expect(status?.detail).toContain('the KDC gives a ticket for HTTP/localhost');
				if ('credentialCache' in source) expect(status?.detail).toContain('renewable until');
			}
		});

		test('until when a ticket of the default cache can be renewed', async ({expect}) => {
			const cache = `${realm.kdc.folder}/default-cache`;
			await realm.kdc.ticket({renewable: '5h', cache});
			try {
				expect((await statusWith({}, false))?.detail).toMatch(/renewable until \d{4}-/);
			} finally {
				await rm(cache);
			}
		});

		test('the KDC knows no such service; it is not asked unless told to', async ({expect}) => {
			const options = {credentialCache: await realm.kdc.ticket(), hostname: 'nowhere.localhost'};
			const status = await statusWith(options, true);
			expect(status?.available).toBe(false);
			expect(status?.detail).toContain('knows no service HTTP/nowhere.localhost');
			expect(await statusWith(options, false)).toMatchObject({available: true});
		});

		test('no KDC answers', async ({expect}) => {
			const credentialCache = await realm.kdc.ticket();
			await realm.kdc.stop();
			try {
				for (const source of [{credentialCache}, ...sources()]) {
					const status = await statusWith(source, true);
					expect(status?.available).toBe(false);
					expect(status?.detail).toContain('No KDC of the realm answers');
					expect(await statusWith(source, false)).toMatchObject({available: true});
				}
			} finally {
				await realm.kdc.restart();
			}
		});

		test('on the command line', async ({expect}) => {
			const options = {library, credentialCache: await realm.kdc.ticket(), hostname: 'nowhere.localhost'};
			const rule = {match: realm.url('http', '/'), strategy: 'kerberos', options};
			const workspace = await createWorkspace({cache: {url: 'memory:'}, hostRules: [rule]});
			const env = {KRB5_CONFIG: realm.kdc.configuration};
			const run = async (...parameters: string[]) => {
				const {code, stdout} = await workspace.run([...parameters, '--json'], {env});
				return {code, text: JSON.stringify(JSON.parse(stdout))};
			};
			expect(await run('status')).toMatchObject({code: 0});
			const verified = await run('status', '--verify');
			expect(verified.code).toBe(1);
			expect(verified.text).toContain('knows no service HTTP/nowhere.localhost');
			expect((await run('doctor')).text).not.toContain('knows no service');
			expect((await run('doctor', '--network')).text).toContain('knows no service HTTP/nowhere.localhost');
			await workspace.close();
		});
	});
});
