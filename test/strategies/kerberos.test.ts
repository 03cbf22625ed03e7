/** `kerberos` against MIT's KDC and Apache with mod_auth_gssapi, over MIT's and Heimdal's GSS-API. */
import {randomBytes} from 'node:crypto';
import {afterAll, describe, test} from 'vitest';
import {InsecureTransportError, MutualAuthenticationError} from '../../src/index.ts';
import {startServer, type TestServer} from '../../src/testing/server.ts';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith} from '../servers/availability.ts';
import {mitKdc} from '../servers/kdc.ts';
import {startMeddler} from './kerberos-meddler.ts';
import {failureOf, libraries, useRealm} from './kerberos-setup.ts';

const sources = ['cache', 'keytab', 'password'] as const;

describeWith([mitKdc, apacheNegotiate], 'kerberos with a realm', () => {
	const realm = useRealm();
	const meddlers: TestServer[] = [];
	afterAll(async () => {
		await Promise.all(meddlers.map(meddler => meddler.close()));
	});

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

		describe('what the server proves, by what the rule demands', () => {
			/** What becomes of the server's last token, and which status the answer gets. */
			type Proof = 'valid' | 'garbage' | "somebody else's" | 'none';
			const rows: [string, Proof, number, string][] = [];
			const demands = {required: 0, optional: 1, disabled: 2} as const;
			const outcomes: Readonly<Record<Proof, readonly [under400: string[], from400: string[]]>> = {
				valid: [
					['delivered', 'delivered', 'delivered'],
					['delivered', 'delivered', 'delivered'],
				],
				garbage: [
					['refused', 'refused', 'delivered'],
					['refused', 'refused', 'delivered'],
				],
				"somebody else's": [
					['refused', 'refused', 'delivered'],
					['refused', 'refused', 'delivered'],
				],
				none: [
					['refused', 'delivered', 'delivered'],
					['withheld', 'delivered', 'delivered'],
				],
			};
			for (const [demand, column] of Object.entries(demands)) {
				for (const [proof, [under, from]] of Object.entries(outcomes)) {
					rows.push([demand, proof as Proof, 200, under[column] as string]);
					rows.push([demand, proof as Proof, 302, under[column] as string]);
					rows.push([demand, proof as Proof, 500, from[column] as string]);
				}
			}

			test.for(rows)('%s, %s token, status %i: %s', async ([demand, proof, status, outcome], {expect}) => {
				let earlier: string | undefined;
				const meddler = await startMeddler(realm.url('http', ''), (answer, authorization) => {
					if (authorization === undefined || answer.status !== 200) return;
					const genuine = answer.headers['www-authenticate'];
					const shown = {
						valid: genuine,
						garbage: `Negotiate ${randomBytes(60).toString('base64')}`,
						"somebody else's": earlier ?? genuine,
						none: undefined,
					}[proof];
					earlier ??= genuine;
					delete answer.headers['www-authenticate'];
					if (shown !== undefined) answer.headers['www-authenticate'] = shown;
					if (status !== 200 && earlier !== undefined) {
						answer.status = status;
						answer.headers['set-cookie'] = ['session=of-the-server'];
					}
				});
				meddlers.push(meddler);
				const url = meddler.url.replace('127.0.0.1', 'localhost');
				const gatepass = await realm.gatepassWith({
					...(await optionsBy('cache')),
					mutualAuthentication: demand,
				});
				const get = () =>
					gatepass.got(`${url}/negotiate`, {
						throwHttpErrors: false,
						followRedirect: false,
						retry: {limit: 0},
					});
				// The first token of the server is remembered, and shown again as somebody else's.
				if (proof === "somebody else's") await get().catch(() => {});
				if (outcome === 'refused') {
					expect(await failureOf(get())).toBeInstanceOf(MutualAuthenticationError);
					return;
				}
				const response = await get();
				expect(response.statusCode).toBe(status);
				if (outcome === 'withheld') {
					expect(response.body).toBe('');
					expect(Object.keys(response.headers).sort()).toEqual(['content-length', 'date', 'server']);
				} else {
					expect(response.body).toBe('served by Apache\n');
					expect(response.headers['x-remote-user']).toBe(`alice@${realm.kdc.realm}`);
				}
			});

			test.for([
				['valid', true],
				['garbage', false],
				["somebody else's", false],
				['none', false],
			] as const)('a redirect with %s token is followed: %s', async ([proof, followed], {expect}) => {
				const second = await startServer((_request, response) => void response.end('the second server'));
				let earlier: string | undefined;
				const meddler = await startMeddler(realm.url('http', ''), (answer, authorization) => {
					if (authorization === undefined || answer.status !== 200) return;
					const genuine = answer.headers['www-authenticate'];
					const shown = {
						valid: genuine,
						garbage: `Negotiate ${randomBytes(60).toString('base64')}`,
						"somebody else's": earlier,
						none: undefined,
					}[proof];
					const isFirst = earlier === undefined;
					earlier ??= genuine;
					// The first answer is only to learn a token from.
					if (proof === "somebody else's" && isFirst) return;
					delete answer.headers['www-authenticate'];
					if (shown !== undefined) answer.headers['www-authenticate'] = shown;
					answer.status = 302;
					answer.headers.location = `${second.url}/next`;
				});
				meddlers.push(meddler, second);
				const gatepass = await realm.gatepassWith(await optionsBy('cache'), {
					[second.url]: {library, mutualAuthentication: 'disabled'},
				});
				const get = () =>
					gatepass.got(`${meddler.url.replace('127.0.0.1', 'localhost')}/negotiate`, {retry: {limit: 0}});
				if (proof === "somebody else's") expect((await get()).statusCode).toBe(200);
				if (followed) expect((await get()).body).toBe('the second server');
				else expect(await failureOf(get())).toBeInstanceOf(MutualAuthenticationError);
				expect(second.requests).toHaveLength(followed ? 1 : 0);
				expect(second.requests.filter(({headers}) => headers.authorization !== undefined)).toEqual([]);
			});

			test('an error without proof is raw where sanitizeErrorResponse is false', async ({expect}) => {
				const meddler = await startMeddler(realm.url('http', ''), answer => {
					if (answer.status !== 200) return;
					answer.status = 500;
					delete answer.headers['www-authenticate'];
				});
				meddlers.push(meddler);
				const gatepass = await realm.gatepassWith({
					...(await optionsBy('cache')),
					sanitizeErrorResponse: false,
				});
				const response = await gatepass.got(`${meddler.url.replace('127.0.0.1', 'localhost')}/negotiate`, {
					throwHttpErrors: false,
					retry: {limit: 0},
				});
				expect([response.statusCode, response.body]).toEqual([500, 'served by Apache\n']);
			});

			test('a server that sends 401 for ever is asked twice with a token, and its 401 is delivered', async ({
				expect,
			}) => {
				const meddler = await startMeddler(realm.url('http', ''), answer => {
					answer.status = 401;
					answer.headers['www-authenticate'] = 'Basic realm="x", nEGOTIATE';
				});
				meddlers.push(meddler);
				const gatepass = await realm.gatepassWith(await optionsBy('cache'));
				const response = await gatepass.got(`${meddler.url.replace('127.0.0.1', 'localhost')}/negotiate`, {
					throwHttpErrors: false,
				});
				expect([response.statusCode, response.body]).toEqual([401, 'served by Apache\n']);
				const tokens = meddler.requests.map(({headers}) => headers.authorization);
				expect(tokens).toHaveLength(3);
				expect(new Set(tokens).size).toBe(3);
			});
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
