/** Servers that remember a connection or a session from its first proof on, with the rule's defaults. */
import {describe, expect, test} from 'vitest';
import {type Gatepass, MutualAuthenticationError} from '../../src/index.ts';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith} from '../servers/availability.ts';
import {mitKdc} from '../servers/kdc.ts';
import {failureOf, libraries, useRealm} from './kerberos-setup.ts';

describeWith([mitKdc, apacheNegotiate], 'servers that remember whom they know', () => {
	const realm = useRealm();

	/** A jar as got takes it: all cookies of the one server. */
	function jar() {
		const cookies = new Map<string, string>();
		return {
			getCookieString: async () => [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
			setCookie: async (cookie: string) => {
				const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
				cookies.set(name, value);
			},
		};
	}

	/** How many requests Apache has answered with 200 since. */
	async function answered(): Promise<(count: number) => Promise<void>> {
		const before = (await realm.server.statuses())['200'] ?? 0;
		// Apache writes its log after the answer.
		return count =>
			expect.poll(async () => ((await realm.server.statuses())['200'] ?? 0) - before).toBe(count);
	}

	describe.each(libraries)('over %s', library => {
		const gatepassWith = async (options: Record<string, unknown> = {}): Promise<Gatepass> =>
			realm.gatepassWith({library, credentialCache: await realm.kdc.ticket(), ...options});

		test.for(['http', 'https'] as const)(
			'a bound connection (%s): what changes something is executed once, and each answer proven',
			async scheme => {
				const gatepass = await gatepassWith();
				const countIs = await answered();
				const ports = new Set<unknown>();
				for (const method of ['GET', 'POST', 'GET', 'POST', 'GET'] as const) {
					const {statusCode, headers} = await gatepass.got(realm.url(scheme, '/bound'), {
						method,
						...(method === 'GET' ? {} : {body: 'once'}),
						retry: {limit: 0},
					});
					expect(statusCode).toBe(200);
					expect(headers['x-remote-user']).toBe(`alice@${realm.kdc.realm}`);
					ports.add(headers['x-client-port']);
				}
				// A connection whose answer is passed over may still be busy with it.
				expect(ports.size).toBeLessThanOrEqual(2);
				// One is answered without a proof, and asked for again: the second GET, by which that is learned.
				await countIs(6);
			},
		);

		test('a session in a cookie: each answer is proven, and what changes something is executed once', async () => {
			const gatepass = await gatepassWith();
			const cookieJar = jar();
			const countIs = await answered();
			for (const method of ['GET', 'POST', 'GET', 'POST'] as const) {
				const {headers} = await gatepass.got(realm.url('https', '/session'), {
					method,
					cookieJar,
					...(method === 'GET' ? {} : {body: 'once'}),
					retry: {limit: 0},
				});
				expect(headers['x-remote-user']).toBe(`alice@${realm.kdc.realm}`);
			}
			expect(await cookieJar.getCookieString()).toContain('remembered=');
			// The second GET is asked for again.
			await countIs(5);
		});

		test('a session that is older than the rule: what changes nothing is sent again with a token', async () => {
			const cookieJar = jar();
			await (await gatepassWith()).got(realm.url('https', '/session'), {cookieJar});
			const later = await gatepassWith();
			const {headers} = await later.got(realm.url('https', '/session'), {cookieJar});
			expect(headers['x-remote-user']).toBe(`alice@${realm.kdc.realm}`);
			// What changes something is not, and the advice is not to give up the proof.
			const latest = await gatepassWith();
			const countIs = await answered();
			const post = latest.got.post(realm.url('https', '/session'), {cookieJar, retry: {limit: 0}});
			const error = await failureOf(post);
			expect(error).toBeInstanceOf(MutualAuthenticationError);
			expect(error.message).toContain("'preemptive: true'");
			await countIs(1);
			const preemptive = await gatepassWith({preemptive: true});
			expect((await preemptive.got.post(realm.url('https', '/session'), {cookieJar})).statusCode).toBe(200);
		});

		test('an answer of another principal is not taken from a connection that was bound before a kinit', async () => {
			const {kdc} = realm;
			const credentialCache = await kdc.ticket();
			const gatepass = await realm.gatepassWith({library, credentialCache});
			const userOf = async (): Promise<unknown> =>
				(await gatepass.got(realm.url('http', '/bound'))).headers['x-remote-user'];
			expect(await userOf()).toBe(`alice@${kdc.realm}`);
			await kdc.ticket({principal: 'robot', cache: credentialCache});
			expect(await userOf()).toBe(`robot@${kdc.realm}`);
			await kdc.ticket({principal: 'alice', cache: credentialCache});
			expect(await userOf()).toBe(`alice@${kdc.realm}`);
		});
	});
});
