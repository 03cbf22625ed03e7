/** What the server proves, and what becomes of its answer: against the real libraries, with answers that are changed. */
import {randomBytes} from 'node:crypto';
import {readFileSync} from 'node:fs';
import type {ServerOptions} from 'node:https';
import {afterAll, describe, test} from 'vitest';
import {MutualAuthenticationError} from '../../src/index.ts';
import {startServer, type TestServer} from '../../src/testing/server.ts';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith} from '../servers/availability.ts';
import {mitKdc} from '../servers/kdc.ts';
import {startMeddler} from './kerberos-meddler.ts';
import {failureOf, libraries, useRealm} from './kerberos-setup.ts';

describeWith([mitKdc, apacheNegotiate], 'what the server proves, by what the rule demands', () => {
	const realm = useRealm();
	const meddlers: TestServer[] = [];
	afterAll(async () => {
		await Promise.all(meddlers.map(meddler => meddler.close()));
	});
	const tlsOf = (scheme: 'http' | 'https'): ServerOptions | undefined =>
		scheme === 'http'
			? undefined
			: {
					cert: readFileSync(realm.server.tls.certificate),
					key: readFileSync(realm.server.tls.key),
				};

	describe.each(libraries)('over %s', library => {
		const withTicket = async () => ({library, credentialCache: await realm.kdc.ticket()});

		describe.each(['http', 'https'] as const)('%s', scheme => {
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
				const meddler = await startMeddler(
					realm.url('http', ''),
					(answer, authorization) => {
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
					},
					tlsOf(scheme),
				);
				meddlers.push(meddler);
				const url = meddler.url.replace('127.0.0.1', 'localhost');
				const gatepass = await realm.gatepassWith({
					...(await withTicket()),
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
				const meddler = await startMeddler(
					realm.url('http', ''),
					(answer, authorization) => {
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
					},
					tlsOf(scheme),
				);
				meddlers.push(meddler, second);
				const gatepass = await realm.gatepassWith(await withTicket(), {
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
				const meddler = await startMeddler(
					realm.url('http', ''),
					answer => {
						if (answer.status !== 200) return;
						answer.status = 500;
						delete answer.headers['www-authenticate'];
					},
					tlsOf(scheme),
				);
				meddlers.push(meddler);
				const gatepass = await realm.gatepassWith({
					...(await withTicket()),
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
				const meddler = await startMeddler(
					realm.url('http', ''),
					answer => {
						answer.status = 401;
						answer.headers['www-authenticate'] = 'Basic realm="x", nEGOTIATE';
					},
					tlsOf(scheme),
				);
				meddlers.push(meddler);
				const gatepass = await realm.gatepassWith(await withTicket());
				const response = await gatepass.got(`${meddler.url.replace('127.0.0.1', 'localhost')}/negotiate`, {
					throwHttpErrors: false,
				});
				// Whoever says so has not proven who they are.
				expect([response.statusCode, response.body]).toEqual([401, '']);
				expect(response.headers['www-authenticate']).toBe('Basic realm="x", nEGOTIATE');
				const tokens = meddler.requests.map(({headers}) => headers.authorization);
				expect(tokens).toHaveLength(3);
				expect(new Set(tokens).size).toBe(3);
			});
		});
	});
});
