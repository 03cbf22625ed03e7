/** A process ends in time although a call of the Kerberos library hangs in it. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {text} from 'node:stream/consumers';
import {fileURLToPath} from 'node:url';
import {describe, test} from 'vitest';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith} from '../servers/availability.ts';
import {mitKdc} from '../servers/kdc.ts';
import {stopProcess, untilSaid} from '../servers/process.ts';
import {libraries, useRealm} from './kerberos-setup.ts';

const child = fileURLToPath(new URL('kerberos-exit-child.ts', import.meta.url));

describeWith([mitKdc, apacheNegotiate], 'the end of a process', () => {
	const realm = useRealm();

	describe.each(libraries)('over %s', library => {
		test.for(['exit', 'exit-waiting', 'end'])(
			'while the KDC hangs (%s): at once, with its exit code',
			async (how, {expect}) => {
				const start = (what: string) =>
					spawn(process.execPath, [child, library, `alice@${realm.kdc.realm}`, what], {
						stdio: ['ignore', 'pipe', 'inherit'],
					});
				realm.kdc.pause();
				// Began earlier, and ends when the library gives up. Node alone would keep the other one for as long.
				const waiting = start('wait');
				try {
					await untilSaid(waiting, waiting.stdout, 'asking');
					const running = start(how);
					const ended = once(running, 'exit');
					const said = await text(running.stdout);
					expect(await ended).toEqual([3, null]);
					expect([waiting.exitCode, waiting.signalCode]).toEqual([null, null]);
					expect(said).toContain('heard of it');
					if (how !== 'exit-waiting') expect(said).toContain('did not answer within 2500 ms');
				} finally {
					await stopProcess(waiting, 'SIGKILL');
					realm.kdc.resume();
				}
			},
		);
	});
});
