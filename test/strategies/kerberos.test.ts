/** `kerberos` against MIT's KDC and Apache with mod_auth_gssapi, over MIT's and Heimdal's GSS-API. */
import {randomBytes} from 'node:crypto';
import {describe, test} from 'vitest';
import {InsecureTransportError, MutualAuthenticationError} from '../../src/index.ts';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith} from '../servers/availability.ts';
import {mitKdc} from '../servers/kdc.ts';
import {failureOf, libraries, useRealm} from './kerberos-setup.ts';

const sources = ['cache', 'keytab', 'password'] as const;

describeWith([mitKdc, apacheNegotiate], 'kerberos with a realm', () => {
	const realm = useRealm();

	describe.each(libraries)('over %s', library => {
		const optionsBy = async (source: (typeof sources)[number]): Promise<Record<string, unknown>> => {
			const {kdc} = realm;
			const principal = `alice@${kdc.realm}`;
			if (source === 'cache') return {library, credentialCache: await kdc.ticket()};
			return source === 'keytab'
				? {library, keytab: kdc.keytabs.alice, principal}
				: {library, password: kdc.password, principal};
		};

		describe.each(['http', 'https'] as const)('%s', scheme => {
			test.for(sources)('a ticket by %s is let in', async (source, {expect}) => {
				const gatepass = await realm.gatepassWith(await optionsBy(source));
				const response = await gatepass.got(realm.url(scheme, '/negotiate'));
				expect(response.statusCode).toBe(200);
				expect(response.headers['x-remote-user']).toBe(`alice@${realm.kdc.realm}`);
				expect(response.body).toBe('served by Apache\n');
			});

			test.for([{mechanism: 'krb5'}, {mechanism: 'spnego'}, {preemptive: true}])(
				'%j, with one round trip where it is preemptive',
				async (options, {expect}) => {
					const gatepass = await realm.gatepassWith({...(await optionsBy('cache')), ...options});
					const before = await realm.server.statuses();
					const {headers} = await gatepass.got(realm.url(scheme, '/negotiate'));
					expect(headers['x-remote-user']).toBe(`alice@${realm.kdc.realm}`);
					// Apache writes its log after the answer.
					await expect
						.poll(async () => (await realm.server.statuses())['200'])
						.toBe((before['200'] ?? 0) + 1);
					const refused = (await realm.server.statuses())['401'] ?? 0;
					expect(refused - (before['401'] ?? 0)).toBe('preemptive' in options ? 0 : 1);
				},
			);
		});

		test('a body is sent again after the challenge; a stream is sent with the token at once', async ({
			expect,
		}) => {
			const gatepass = await realm.gatepassWith(await optionsBy('cache'));
			const body = randomBytes(20_000);
			const again = await gatepass.got.post(realm.url('http', '/negotiate'), {body});
			expect(again.headers['x-remote-user']).toBe(`alice@${realm.kdc.realm}`);
			const stream = (async function* () {
				yield body;
			})();
			const once = await gatepass.got.post(realm.url('http', '/negotiate'), {body: stream});
			expect(once.headers['x-remote-user']).toBe(`alice@${realm.kdc.realm}`);
		});

		test('what needs no ticket: no challenge is an answer without proof', async ({expect}) => {
			const gatepass = await realm.gatepassWith(await optionsBy('cache'));
			expect(await failureOf(gatepass.got(realm.url('http', '/public')))).toBeInstanceOf(
				MutualAuthenticationError,
			);
			const lenient = await realm.gatepassWith({
				...(await optionsBy('cache')),
				mutualAuthentication: 'optional',
			});
			expect((await lenient.got(realm.url('http', '/public'))).statusCode).toBe(200);
		});

		test.for([
			['policy', false, 'policy, where the KDC does not trust the service'],
			['policy', true, 'policy, where it does'],
			[true, false, 'true'],
			[false, true, 'false'],
		] as const)('delegate: %s (service trusted: %s)', async ([delegate, trusted], {expect}) => {
			const {kdc} = realm;
			await kdc.administer(`modprinc ${trusted ? '+' : '-'}ok_as_delegate HTTP/localhost`);
			const gatepass = await realm.gatepassWith({
				library,
				credentialCache: await kdc.ticket({forwardable: true}),
				delegate,
			});
			const {headers} = await gatepass.got(realm.url('https', '/delegate'));
			const isDelegated = String(headers['x-delegated']).includes('delegated');
			expect(isDelegated).toBe(delegate === true || (delegate === 'policy' && trusted));
		});

		test('delegate: true is refused over plain http, on loopback too', async ({expect}) => {
			const gatepass = await realm.gatepassWith({...(await optionsBy('cache')), delegate: true});
			const before = await realm.server.statuses();
			const error = await failureOf(gatepass.got(realm.url('http', '/delegate')));
			expect(error).toBeInstanceOf(InsecureTransportError);
			expect(await realm.server.statuses()).toEqual(before);
		});

		test('hostname names the service where the URL does not', async ({expect}) => {
			const gatepass = await realm.gatepassWith({...(await optionsBy('cache')), hostname: 'localhost'});
			const {headers} = await gatepass.got(realm.url('http', '/negotiate', '127.0.0.1'));
			expect(headers['x-remote-user']).toBe(`alice@${realm.kdc.realm}`);
		});

		test('a connection that the server binds to one principal is not used for another', async ({expect}) => {
			const {kdc} = realm;
			const robot = {library, keytab: kdc.keytabs.robot, principal: `robot@${kdc.realm}`, preemptive: true};
			const gatepass = await realm.gatepassWith(
				{...(await optionsBy('keytab')), preemptive: true},
				{'http://localhost:*/bound/robot': robot},
			);
			const seen = new Map<string, Set<unknown>>();
			for (let request = 0; request < 6; request++) {
				const principal = request % 2 === 0 ? 'alice' : 'robot';
				const {headers} = await gatepass.got(realm.url('http', `/bound/${principal}`));
				expect(headers['x-remote-user']).toBe(`${principal}@${kdc.realm}`);
				const ports = seen.get(principal) ?? new Set();
				seen.set(principal, ports.add(headers['x-client-port']));
			}
			expect(seen.get('alice')?.size).toBe(1);
			expect(seen.get('robot')?.size).toBe(1);
			expect(seen.get('alice')).not.toEqual(seen.get('robot'));
		});

		test('500 requests at once, two principals, two hosts: each answer is of its own principal', async ({
			expect,
		}) => {
			const {kdc} = realm;
			const robot = {library, keytab: kdc.keytabs.robot, principal: `robot@${kdc.realm}`};
			const gatepass = await realm.gatepassWith(await optionsBy('cache'), {
				'http://localhost:*/negotiate/robot': robot,
				'http://127.0.0.1:*/negotiate/robot': robot,
			});
			let started = 0;
			const answers: [expected: string, seen: unknown][] = [];
			const work = async (): Promise<void> => {
				while (started < 500) {
					const index = started;
					started += 1;
					const principal = index % 2 === 0 ? 'alice' : 'robot';
					const host = index % 4 < 2 ? 'localhost' : '127.0.0.1';
					const {headers} = await gatepass.got(realm.url('http', `/negotiate/${principal}`, host));
					answers.push([`${principal}@${kdc.realm}`, headers['x-remote-user']]);
				}
			};
			await Promise.all(Array.from({length: 100}, work));
			expect(answers).toHaveLength(500);
			expect(answers.filter(([expected, seen]) => expected !== seen)).toEqual([]);
		});
	});
});
