/** What is no good from servers and on the disk, against the real libraries: typed errors, and a process that lives. */
import {execFileSync} from 'node:child_process';
import {chmod, copyFile, utimes} from 'node:fs/promises';
import {join} from 'node:path';
import fc from 'fast-check';
import {afterAll, describe, expect, test} from 'vitest';
import {CredentialUnavailableError, GatepassError, MutualAuthenticationError} from '../../src/index.ts';
import type {TestServer} from '../../src/testing/server.ts';
import type {GssContext} from '../../strategies/kerberos/gss-provider.ts';
import {KoffiProvider} from '../../strategies/kerberos/koffi-provider.ts';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith} from '../servers/availability.ts';
import {mitKdc} from '../servers/kdc.ts';
import {type Answer, startMeddler} from './kerberos-meddler.ts';
import {failureOf, libraries, useRealm} from './kerberos-setup.ts';
import {unreadable, withoutRoot} from './without-root.ts';

const tokens = {
	none: '',
	'no base64': '!!!not-base64!!!',
	'base64 that is cut off': 'YII',
	'base64 with padding in the middle': 'YII=YII=',
	'base64 of the URL alphabet': 'YI-_',
	'a letter': 'A',
	'zero bytes': Buffer.alloc(48).toString('base64'),
	'the head of a token alone': Buffer.from('6082ffff', 'hex').toString('base64'),
	'a length beyond all bounds': Buffer.from('6084ffffffff0102', 'hex').toString('base64'),
	'a length that never ends': Buffer.from('6080', 'hex').toString('base64'),
	'elements in elements': Buffer.alloc(4000, Buffer.from('3080', 'hex')).toString('base64'),
	'12,000 bytes': Buffer.alloc(9000, 0x60).toString('base64'),
};

describeWith([mitKdc, apacheNegotiate], 'bad input for Kerberos', () => {
	const realm = useRealm();
	const meddlers: TestServer[] = [];
	afterAll(async () => {
		await Promise.all(meddlers.map(meddler => meddler.close()));
	});

	async function behind(meddle: (answer: Answer) => void): Promise<string> {
		const meddler = await startMeddler(realm.url('http', ''), meddle);
		meddlers.push(meddler);
		return `${meddler.url.replace('127.0.0.1', 'localhost')}/negotiate`;
	}

	describe.each(libraries)('over %s', library => {
		const once = {retry: {limit: 0}};
		const withTicket = async (options: Record<string, unknown> = {}) =>
			realm.gatepassWith({library, credentialCache: await realm.kdc.ticket(), ...options});

		test.for(Object.entries(tokens))('%s for a proof', async ([, token]) => {
			const url = await behind(answer => {
				if (answer.status === 200) answer.headers['www-authenticate'] = `Negotiate ${token}`;
			});
			const gatepass = await withTicket();
			expect(await failureOf(gatepass.got(url, once))).toBeInstanceOf(MutualAuthenticationError);
			// The thread goes on.
			const {headers} = await gatepass.got(realm.url('http', '/negotiate'));
			expect(headers['x-remote-user']).toBe(`alice@${realm.kdc.realm}`);
		});

		test.for(Object.entries(tokens))('%s in a challenge, at first and for ever', async ([, token]) => {
			const gatepass = await withTicket();
			const first = await behind(answer => {
				if (answer.status === 401) answer.headers['www-authenticate'] = `Negotiate ${token}`;
			});
			expect((await gatepass.got(first, once)).statusCode).toBe(200);
			const forEver = await behind(answer => {
				answer.status = 401;
				answer.headers['www-authenticate'] = `Negotiate ${token}`;
			});
			expect((await gatepass.got(forEver, {...once, throwHttpErrors: false})).statusCode).toBe(401);
		});

		test('ten challenges', async () => {
			const others = Array.from({length: 9}, (_, index) => `Scheme-${index} realm="Negotiate, x=\\"", a=b`);
			const gatepass = await withTicket();
			for (const challenges of [
				[...others, 'Negotiate'],
				['Negotiate', ...others],
				Array.from({length: 10}, () => 'Negotiate'),
			]) {
				const url = await behind(answer => {
					if (answer.status === 401) answer.headers['www-authenticate'] = challenges.join(', ');
				});
				expect((await gatepass.got(url, once)).statusCode).toBe(200);
			}
			const without = await behind(answer => {
				if (answer.status === 401) answer.headers['www-authenticate'] = others.join(', ');
			});
			expect((await gatepass.got(without, {...once, throwHttpErrors: false})).statusCode).toBe(401);
		});

		test('a key table that others may read serves, one that we may not read does not', async () => {
			const keytab = join(realm.kdc.folder, `${library}.keytab`);
			await copyFile(realm.kdc.keytabs.alice, keytab);
			await chmod(keytab, 0o644);
			const options = {library, keytab, principal: `alice@${realm.kdc.realm}`};
			const gatepass = await realm.gatepassWith(options);
			const get = () => gatepass.got(realm.url('http', '/negotiate'), once);
			expect((await get()).statusCode).toBe(200);
			await chmod(keytab, unreadable);
			await utimes(keytab, 1, 1);
			// The tickets that were fetched with it last.
			expect((await withoutRoot(get)).statusCode).toBe(200);
			const later = await realm.gatepassWith(options);
			const error = await withoutRoot(() => failureOf(later.got(realm.url('http', '/negotiate'), once)));
			expect(error).toBeInstanceOf(CredentialUnavailableError);
			expect(error.message).toContain(`The key table ${keytab} cannot be read (EACCES)`);
		});

		test.for(['keytab', 'credentialCache'] as const)(
			'what is no regular file is not opened: %s',
			async option => {
				const pipe = join(realm.kdc.folder, `${library}-${option}-pipe`);
				execFileSync('mkfifo', [pipe]);
				for (const [path, kind] of [
					[pipe, 'a named pipe'],
					['/dev/zero', 'a device'],
					[realm.kdc.folder, 'a folder'],
				] as const) {
					// Whoever opens a pipe is left after the time limit of the rule alone, which no test waits for.
					const gatepass = await realm.gatepassWith({library, [option]: path, timeout: 600_000});
					const error = await failureOf(gatepass.got(realm.url('http', '/negotiate'), once));
					expect(error).toBeInstanceOf(CredentialUnavailableError);
					const name = option === 'keytab' ? 'key table' : 'credential cache';
					expect(error.message).toContain(`The ${name} ${path} is not a file but ${kind}`);
				}
			},
		);

		test('a ticket file that we may not read', async () => {
			const credentialCache = await realm.kdc.ticket();
			const gatepass = await realm.gatepassWith({library, credentialCache});
			const get = () => gatepass.got(realm.url('http', '/negotiate'), once);
			expect((await get()).statusCode).toBe(200);
			await chmod(credentialCache, unreadable);
			await utimes(credentialCache, 1, 1);
			const error = await withoutRoot(() => failureOf(get()));
			expect(error).toBeInstanceOf(CredentialUnavailableError);
			expect(error.message).toContain(`kinit -c FILE:${credentialCache}`);
			expect((await get()).statusCode).toBe(200);
		});

		test.for(['spnego', 'krb5'] as const)(
			"the server's own token, changed anywhere, never takes the process along (%s)",
			async mechanism => {
				const provider = new KoffiProvider({
					library,
					source: {credentialCache: `FILE:${await realm.kdc.ticket()}`},
					timeout: 30_000,
					rule: 'a rule',
				});
				const begin = () =>
					provider.createContext({
						target: 'HTTP@localhost',
						canonicalizeHostname: false,
						mechanism,
						mutualAuthentication: true,
						delegate: false,
						channelBindings: undefined,
						renew: false,
					});
				const answerTo = async ({token}: GssContext): Promise<Buffer> => {
					const authorization = `Negotiate ${Buffer.from(token).toString('base64')}`;
					const {headers} = await fetch(realm.url('http', '/negotiate'), {headers: {authorization}});
					return Buffer.from(headers.get('www-authenticate')?.slice('Negotiate '.length) ?? '', 'base64');
				};
				const unchanged = await begin();
				const {length} = await answerTo(unchanged);
				expect(length).toBeGreaterThan(100);
				let refused = 0;
				await fc.assert(
					fc.asyncProperty(
						// Counted from the end: its length differs by a byte or two.
						fc.nat({max: length - 5}),
						fc.integer({min: 1, max: 255}),
						fc.oneof(fc.constant(0), fc.nat({max: length})),
						async (fromEnd, change, cutOff) => {
							const context = await begin();
							const reply = await answerTo(context);
							const position = reply.length - 1 - fromEnd;
							reply[position] = (reply[position] as number) ^ change;
							try {
								await context.step(reply.subarray(0, Math.max(0, reply.length - cutOff)));
								// The frame may be changed and still be read; what is sealed may not.
								if (fromEnd < 60) expect(context.isComplete).toBe(false);
							} catch (error) {
								if (!(error instanceof GatepassError)) throw error;
								refused += 1;
								expect(context.isComplete).toBe(false);
							} finally {
								context.dispose();
							}
						},
					),
					{numRuns: 150},
				);
				expect(refused).toBeGreaterThan(50);
				const last = await begin();
				await last.step(await answerTo(last));
				expect(last.isComplete).toBe(true);
				await provider.close();
			},
		);
	});
});
