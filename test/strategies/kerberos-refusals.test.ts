/** A server that refuses the ticket because its keys are others: its 401 is delivered, and the event says why. */
import {copyFile, readFile, rm, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import fc from 'fast-check';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {createGatepass, KerberosExchangeError} from '../../src/index.ts';
import {refusalIn} from '../../strategies/kerberos/refusal.ts';
import {type ApacheNegotiate, apacheNegotiate, startApacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith} from '../servers/availability.ts';
import {mitKdc} from '../servers/kdc.ts';
import {libraries, useRealm} from './kerberos-setup.ts';
import {requestEvents} from './request-events.ts';

const minorFor = (code: number): number => (code - 1_765_328_384) >>> 0;

describeWith([mitKdc, apacheNegotiate], 'a server that refuses the ticket', () => {
	const realm = useRealm();
	const events = requestEvents();
	let wrong: ApacheNegotiate;
	beforeAll(async () => {
		// It is told that it is HTTP/localhost, and has the keys of another.
		const keytab = join(realm.kdc.folder, 'another.keytab');
		await realm.kdc.administer('addprinc -randkey HTTP/another');
		await realm.kdc.administer(`ktadd -k ${keytab} HTTP/another`);
		wrong = await startApacheNegotiate(realm.kdc, keytab);
	});
	afterAll(() => wrong?.close());

	/** Give the service new keys; the server gets them alone, or beside the old ones. */
	async function changeKeys(which: 'new' | 'both'): Promise<void> {
		const table = join(realm.kdc.folder, `http-${which}.keytab`);
		await rm(table, {force: true});
		if (which === 'both') await copyFile(realm.server.keytab, table);
		await realm.kdc.administer(`ktadd -k ${table} HTTP/localhost`);
		// As it is: a copy would take the mode along, and Apache reads it as another user.
		await writeFile(realm.server.keytab, await readFile(table));
	}

	describe.each(libraries)('over %s', library => {
		const robot = () => ({
			library,
			keytab: realm.kdc.keytabs.robot,
			principal: `robot@${realm.kdc.realm}`,
		});

		describe.each(['http', 'https'] as const)('%s', scheme => {
			test.for(['spnego', 'krb5'])('wrong service key (%s)', async (mechanism, context) => {
				const gatepass = await createGatepass({
					config: {
						cache: {url: 'memory:'},
						trust: [{match: 'localhost:*', ca: wrong.ca, only: true}],
						hostRules: [
							{
								match: [`${scheme}://localhost:*`],
								strategy: 'kerberos',
								options: {library, mechanism, credentialCache: await realm.kdc.ticket()},
							},
						],
					},
				});
				context.onTestFinished(() => gatepass.close());
				const url = `${scheme}://localhost:${wrong.ports[scheme]}/negotiate/${library}-${mechanism}`;
				const response = await gatepass.got(url, {throwHttpErrors: false});
				expect(response.statusCode).toBe(401);
				expect(response.headers['www-authenticate']).toMatch(/^Negotiate \S{50}/);
				const event = events.of(url);
				expect(event).toMatchObject({status: 401, legs: 3});
				const refusal = event?.refusal as KerberosExchangeError;
				expect(refusal).toBeInstanceOf(KerberosExchangeError);
				expect([refusal.major, refusal.minor]).toEqual([13 << 16, minorFor(35)]);
				expect(refusal.message).toContain('the server says KRB_AP_ERR_NOT_US (35)');
				expect(refusal.message).toContain(
					"The server's keys are not the ones that the KDC encrypts for (key version), or it is not HTTP/localhost at all",
				);
			});

			test('6. key version: the key table is replaced while tickets for the old key are about', async () => {
				const cache = await realm.kdc.ticket();
				const withCache = await realm.gatepassWith({library, credentialCache: cache, mechanism: 'krb5'});
				const withKeytab = await realm.gatepassWith(robot());
				const url = (name: string): string => realm.url(scheme, `/negotiate/${library}-version-${name}`);
				for (const gatepass of [withCache, withKeytab]) {
					expect((await gatepass.got(url('before'))).statusCode).toBe(200);
				}
				await changeKeys('new');
				const refused = await withCache.got(url('cache'), {throwHttpErrors: false});
				expect(refused.statusCode).toBe(401);
				const refusal = events.of(url('cache'))?.refusal as KerberosExchangeError;
				expect([refusal.major, refusal.minor]).toEqual([13 << 16, minorFor(44)]);
				expect(refusal.message).toContain('the server says KRB_AP_ERR_BADKEYVER (44)');
				expect(refusal.message).toContain("Get new tickets with 'kinit'");
				// Tickets of the rule's own are fetched again for the second attempt.
				const {headers} = await withKeytab.got(url('keytab'));
				expect(headers['x-remote-user']).toBe(`robot@${realm.kdc.realm}`);
				expect(events.of(url('keytab'))).toMatchObject({status: 200, legs: 3});
				expect(events.of(url('keytab'))).not.toHaveProperty('refusal');
				// What the message says helps.
				await copyFile(await realm.kdc.ticket(), cache);
				expect((await withCache.got(url('after'))).statusCode).toBe(200);
			});

			test('a key table with the old keys and the new ones refuses nobody', async () => {
				const withCache = await realm.gatepassWith({library, credentialCache: await realm.kdc.ticket()});
				const url = realm.url(scheme, `/negotiate/${library}-both`);
				await withCache.got(url);
				await changeKeys('both');
				expect((await withCache.got(url)).statusCode).toBe(200);
				expect(events.of(url)).toMatchObject({status: 200, legs: 2});
			});
		});
	});
});

describe('why a server refuses, as its token says', () => {
	/** mod_auth_gssapi's, through SPNEGO and without: KRB_AP_ERR_NOT_US, KRB_AP_ERR_BADKEYVER. */
	const tokens = [
		[
			'oXYwdKADCgECom0Ea2BpBgkqhkiG9xIBAgIDAH5aMFigAwIBBaEDAgEepBEYDzIwMjYxMTIyMjA1OTIxWqUFAgMJsPmmAwIBI6kPGw1HQVRFUEFTUy5URVNUqhwwGqADAgEBoRMwERsESFRUUBsJbG9jYWxob3N0',
			35,
			'KRB_AP_ERR_NOT_US',
		],
		[
			'YGkGCSqGSIb3EgECAgMAflowWKADAgEFoQMCAR6kERgPMjAyNjExMjIyMDU5MjJapQUCAwoPc6YDAgEsqQ8bDUdBVEVQQVNTLlRFU1SqHDAaoAMCAQGhEzARGwRIVFRQGwlsb2NhbGhvc3Q=',
			44,
			'KRB_AP_ERR_BADKEYVER',
		],
	] as const;

	test.each(tokens)('%s', (token, code, name) => {
		expect(refusalIn(Buffer.from(token, 'base64'))).toEqual({
			phase: 'context',
			text: `the server says ${name} (${code})`,
			major: 13 << 16,
			minor: minorFor(code),
		});
	});

	test('a token that is cut off or changed is read or not, and never throws', () => {
		const genuine = Buffer.from(tokens[0][0], 'base64');
		fc.assert(
			fc.property(
				fc.nat({max: genuine.length}),
				fc.nat({max: genuine.length - 1}),
				fc.nat({max: 255}),
				(length, position, value) => {
					const token = Buffer.from(genuine);
					token[position] = value;
					const refusal = refusalIn(token.subarray(0, length));
					expect(refusal === undefined || refusal.text.startsWith('the server says ')).toBe(true);
				},
			),
			{numRuns: 5000},
		);
	});

	test('what is none says nothing', () => {
		fc.assert(
			fc.property(fc.uint8Array({maxLength: 200}), bytes => {
				expect(refusalIn(bytes)).toBeUndefined();
			}),
		);
	});
});
