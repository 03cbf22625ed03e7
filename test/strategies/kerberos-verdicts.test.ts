/** Last answers that are no plain success: without a proof, refused with one, and to a ticket that is too long. */
import {join} from 'node:path';
import {afterAll, describe, expect, test} from 'vitest';
import {KerberosExchangeError, MutualAuthenticationError} from '../../src/index.ts';
import type {TestServer} from '../../src/testing/server.ts';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith} from '../servers/availability.ts';
import {mitKdc} from '../servers/kdc.ts';
import {type Answer, startMeddler} from './kerberos-meddler.ts';
import {failureOf, libraries, useRealm} from './kerberos-setup.ts';
import {requestEvents} from './request-events.ts';

/** NegTokenResp of RFC 4178 section 4.2.2: `accept-completed`, and no more. */
const accepted = Buffer.from('a1073005a0030a0100', 'hex').toString('base64');

describeWith([mitKdc, apacheNegotiate], 'the last answer', () => {
	const realm = useRealm();
	const events = requestEvents();
	const meddlers: TestServer[] = [];
	afterAll(async () => {
		await Promise.all(meddlers.map(meddler => meddler.close()));
	});
	async function behind(
		meddle: (answer: Answer, authorization: string | undefined) => void,
	): Promise<string> {
		const meddler = await startMeddler(realm.url('http', ''), meddle);
		meddlers.push(meddler);
		return `${meddler.url.replace('127.0.0.1', 'localhost')}/negotiate`;
	}

	describe.each(libraries)('over %s', library => {
		const gatepassWith = async (options: Record<string, unknown> = {}) =>
			realm.gatepassWith({library, credentialCache: await realm.kdc.ticket(), ...options});

		test('that accepts without a token is no proof, and no wrong one', async () => {
			const url = await behind(answer => {
				if (answer.status === 200) answer.headers['www-authenticate'] = `Negotiate ${accepted}`;
			});
			const lenient = await gatepassWith({mutualAuthentication: 'optional'});
			expect((await lenient.got(url)).body).toBe('served by Apache\n');
			const error = await failureOf((await gatepassWith()).got(url, {retry: {limit: 0}}));
			expect(error).toBeInstanceOf(MutualAuthenticationError);
			expect(error.message).toContain('did not prove its identity');
		});

		test('that refuses a known user with a proof is delivered, and no second token is sent', async () => {
			const gatepass = await gatepassWith();
			const url = realm.url('https', `/known/${library}`);
			const response = await gatepass.got(url, {throwHttpErrors: false});
			expect(response.statusCode).toBe(401);
			expect(response.headers['www-authenticate']).toMatch(/^Negotiate \S{50}/);
			expect(response.body).not.toBe('');
			expect(events.of(url)).toMatchObject({status: 401, legs: 2});
			expect(events.of(url)).not.toHaveProperty('refusal');
		});

		test('400 of Apache to a header that is longer than it takes comes with its body, and says what it means', async () => {
			const {kdc} = realm;
			const [keytab, principal] = [
				join(kdc.folder, `long-${library}.keytab`),
				`${library}${'x'.repeat(1900)}`,
			];
			await kdc.administer(`addprinc -randkey ${principal}`);
			await kdc.administer(`ktadd -k ${keytab} ${principal}`);
			// Its LimitRequestFieldSize is the usual one.
			const url = realm.url('https', `/negotiate/long-${library}`);
			for (const mutualAuthentication of ['required', 'optional']) {
				const gatepass = await realm.gatepassWith({library, keytab, mutualAuthentication});
				const response = await gatepass.got(url, {throwHttpErrors: false, retry: {limit: 0}});
				expect(response.statusCode).toBe(400);
				expect(response.body).toContain('Size of a request header field exceeds server limit.');
				expect(response.headers['content-type']).toMatch(/^text\/html/);
				const refusal = events.of(url)?.refusal as KerberosExchangeError;
				expect(refusal).toBeInstanceOf(KerberosExchangeError);
				expect(refusal.message).toMatch(
					/answered 400 to a header of 1\d{4} characters.*LimitRequestFieldSize/,
				);
			}
		});

		test('400 to a ticket of usual length is withheld where nothing proves it, and means nothing else', async () => {
			const url = await behind((answer, authorization) => {
				if (authorization === undefined) return;
				answer.status = 400;
				delete answer.headers['www-authenticate'];
			});
			const gatepass = await gatepassWith();
			const response = await gatepass.got(url, {throwHttpErrors: false, retry: {limit: 0}});
			expect([response.statusCode, response.body]).toEqual([400, '']);
			expect(events.of(url)).not.toHaveProperty('refusal');
		});

		test('431 to a ticket says what it means', async () => {
			const url = await behind((answer, authorization) => {
				if (authorization === undefined) return;
				answer.status = 431;
				delete answer.headers['www-authenticate'];
			});
			const gatepass = await gatepassWith();
			const response = await gatepass.got(url, {throwHttpErrors: false, retry: {limit: 0}});
			expect(response.statusCode).toBe(431);
			expect(response.body).toBe('served by Apache\n');
			const refusal = events.of(url)?.refusal as KerberosExchangeError;
			expect(refusal).toBeInstanceOf(KerberosExchangeError);
			expect(refusal.message).toContain('LimitRequestFieldSize');
		});
	});
});
