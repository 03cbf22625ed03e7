/** The copy of a ticket file in memory: the file is what counts. And credentials that are replaced while in use. */
import {execFileSync} from 'node:child_process';
import {renameSync} from 'node:fs';
import {chmod, copyFile, rename, rm, truncate} from 'node:fs/promises';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {describe, expect, test} from 'vitest';
import {CredentialUnavailableError, type Gatepass} from '../../src/index.ts';
import type {GssContext, GssContextRequest} from '../../strategies/kerberos/gss-provider.ts';
import {KoffiProvider} from '../../strategies/kerberos/koffi-provider.ts';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith, findProgram} from '../servers/availability.ts';
import {k5start, runK5start} from '../servers/k5start.ts';
import {mitKdc} from '../servers/kdc.ts';
import {failureOf, libraries, useRealm} from './kerberos-setup.ts';
import {unreadable, withoutRoot} from './without-root.ts';

describeWith([mitKdc, apacheNegotiate], "a rule's tickets", () => {
	const realm = useRealm();

	/** Whom the server sees. */
	async function userOf(gatepass: Gatepass): Promise<string> {
		const {headers} = await gatepass.got(realm.url('http', '/negotiate'), {retry: {limit: 0}});
		return String(headers['x-remote-user']).replace(`@${realm.kdc.realm}`, '');
	}

	/** Ask until the copy is made: a file that was written just now is not copied yet. */
	async function warmUp(gatepass: Gatepass): Promise<void> {
		await userOf(gatepass);
		await pause(150);
		await userOf(gatepass);
	}

	describe.each(libraries)('over %s', library => {
		test('are not read from the file again while it stands as it was', async () => {
			const credentialCache = await realm.kdc.ticket();
			const gatepass = await realm.gatepassWith({library, credentialCache});
			await warmUp(gatepass);
			// It can still be looked at.
			await chmod(credentialCache, unreadable);
			expect(await withoutRoot(() => userOf(gatepass))).toBe('alice');
		});

		test.for(['written over', 'replaced'])('are those of a kinit in between: the file is %s', async how => {
			const credentialCache = await realm.kdc.ticket();
			const gatepass = await realm.gatepassWith({library, credentialCache});
			for (const principal of ['robot', 'alice', 'robot'] as const) {
				await warmUp(gatepass);
				const other = await realm.kdc.ticket({principal});
				await (how === 'replaced' ? rename : copyFile)(other, credentialCache);
				expect(await userOf(gatepass)).toBe(principal);
			}
		});

		test('are gone with the file, and back with it', async () => {
			const credentialCache = await realm.kdc.ticket();
			const gatepass = await realm.gatepassWith({library, credentialCache});
			await warmUp(gatepass);
			await copyFile(credentialCache, `${credentialCache}-kept`);
			await rm(credentialCache);
			expect(await failureOf(userOf(gatepass))).toBeInstanceOf(CredentialUnavailableError);
			await rename(`${credentialCache}-kept`, credentialCache);
			expect(await userOf(gatepass)).toBe('alice');
		});

		test('survive the moment in which the file is taken away and written again', async () => {
			const credentialCache = await realm.kdc.ticket();
			const gatepass = await realm.gatepassWith({library, credentialCache});
			await warmUp(gatepass);
			const other = await realm.kdc.ticket({principal: 'robot'});
			await rm(credentialCache);
			const waiting = userOf(gatepass);
			await pause(100);
			// At once, so that the second attempt, which a timer begins later, cannot come before it.
			renameSync(other, credentialCache);
			expect(await waiting).toBe('robot');
			expect(await userOf(gatepass)).toBe('robot');
		});

		test.for(['taken away', 'emptied', 'cut off'])(
			'of a key table last while the key table is %s, and none is had without it',
			async how => {
				const keytab = `${realm.kdc.folder}/${library}-${how.replace(' ', '-')}.keytab`;
				await copyFile(realm.kdc.keytabs.alice, keytab);
				const options = {library, keytab, principal: `alice@${realm.kdc.realm}`};
				const gatepass = await realm.gatepassWith(options);
				expect(await userOf(gatepass)).toBe('alice');
				if (how === 'taken away') await rm(keytab);
				else await truncate(keytab, how === 'emptied' ? 0 : 20);
				for (let request = 0; request < 3; request++) expect(await userOf(gatepass)).toBe('alice');
				const later = await realm.gatepassWith(options);
				const error = await failureOf(userOf(later));
				expect(error).toBeInstanceOf(CredentialUnavailableError);
				expect(error.message).toContain(keytab);
				const waiting = userOf(await realm.gatepassWith(options));
				await copyFile(realm.kdc.keytabs.alice, keytab);
				expect(await waiting).toBe('alice');
			},
		);

		test("those for a service are in the file, for other programs, with the host's realm", async () => {
			const credentialCache = await realm.kdc.ticket();
			const gatepass = await realm.gatepassWith({
				library,
				credentialCache,
				hostname: 'localhost',
			});
			await warmUp(gatepass);
			const listed = execFileSync(findProgram('klist') as string, ['-c', credentialCache], {
				encoding: 'utf8',
			});
			expect(listed.match(/HTTP\/localhost@GATEPASS\.TEST/g)).toHaveLength(1);
		});

		test('two rules with two files side by side do not mix', async () => {
			const [alice, robot] = await Promise.all(
				(['alice', 'robot'] as const).map(async principal =>
					realm.gatepassWith({library, credentialCache: await realm.kdc.ticket({principal})}),
				),
			);
			await Promise.all([warmUp(alice as Gatepass), warmUp(robot as Gatepass)]);
			const seen = await Promise.all(
				Array.from({length: 40}, (_, index) => userOf((index % 2 === 0 ? alice : robot) as Gatepass)),
			);
			expect(seen).toEqual(seen.map((_, index) => (index % 2 === 0 ? 'alice' : 'robot')));
		});

		test.for(['a key table', 'a file'] as const)(
			'from %s are let go of with the last request that uses them',
			async from => {
				const {keytabs, realm: name} = realm.kdc;
				const credentialCache = await realm.kdc.ticket({principal: 'robot'});
				const provider = new KoffiProvider({
					library,
					source:
						from === 'a file'
							? {credentialCache: `FILE:${credentialCache}`}
							: {keytab: keytabs.robot, principal: `robot@${name}`},
					timeout: 30_000,
					rule: 'a rule',
				});
				const begin = (renew: boolean): Promise<GssContext> => provider.createContext({...beginning, renew});
				const complete = async (context: GssContext): Promise<boolean> => {
					const authorization = `Negotiate ${Buffer.from(context.token).toString('base64')}`;
					const {headers} = await fetch(realm.url('http', '/negotiate'), {headers: {authorization}});
					const proof = headers.get('www-authenticate')?.slice('Negotiate '.length) ?? '';
					await context.step(Buffer.from(proof, 'base64'));
					return context.isComplete;
				};
				await begin(false).then(complete);
				await pause(150);
				// A refusal makes the thread get others while requests with the old ones are under way.
				for (let round = 0; round < 5; round++) {
					const open = await Promise.all(Array.from({length: 20}, () => begin(false)));
					const renewed = await begin(true);
					const later = await Promise.all(Array.from({length: 5}, () => begin(false)));
					const outcomes = await Promise.all([...open, renewed, ...later].map(complete));
					expect(outcomes).toEqual(outcomes.map(() => true));
				}
				await provider.close();
			},
		);
	});
});

describeWith([mitKdc, apacheNegotiate, k5start], 'a ticket file that k5start replaces', () => {
	const realm = useRealm();

	test.for(libraries)('fails no request, and counts at once, over %s', async library => {
		const {kdc, url} = realm;
		const credentialCache = join(kdc.folder, `k5start-${library}`);
		const replace = (principal: 'alice' | 'robot') =>
			runK5start(kdc.keytabs[principal], credentialCache, kdc.configuration);
		await replace('alice');
		const gatepass = await realm.gatepassWith({library, credentialCache});
		const userOf = async (): Promise<unknown> => {
			const {headers} = await gatepass.got(url('http', '/negotiate'), {retry: {limit: 0}});
			return String(headers['x-remote-user']).replace(`@${kdc.realm}`, '');
		};
		for (const principal of ['robot', 'alice', 'robot', 'alice'] as const) {
			let isWritten = false;
			const writing = replace(principal).finally(() => {
				isWritten = true;
			});
			while (!isWritten) {
				const users = await Promise.all(Array.from({length: 5}, userOf));
				for (const user of users) expect(['alice', 'robot']).toContain(user);
			}
			await writing;
			expect(await userOf()).toBe(principal);
			// A file that is left alone is copied into memory.
			await pause(150);
			expect(await userOf()).toBe(principal);
		}
	});
});

const beginning: GssContextRequest = {
	target: 'HTTP@localhost',
	canonicalizeHostname: false,
	mechanism: 'spnego',
	mutualAuthentication: true,
	delegate: false,
	channelBindings: undefined,
	renew: false,
};
