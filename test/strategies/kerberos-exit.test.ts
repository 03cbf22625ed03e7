/** A process ends in time although a call of the Kerberos library hangs in it. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {fileURLToPath} from 'node:url';
import {describe, test} from 'vitest';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith} from '../servers/availability.ts';
import {mitKdc} from '../servers/kdc.ts';
import {libraries, useRealm} from './kerberos-setup.ts';

const child = fileURLToPath(new URL('kerberos-exit-child.ts', import.meta.url));

describeWith([mitKdc, apacheNegotiate], 'the end of a process', () => {
	const realm = useRealm();

	describe.each(libraries)('over %s', library => {
		test.for(['exit', 'exit-waiting', 'end'])(
			'while the KDC hangs (%s): at once, with its exit code',
			{timeout: 90_000},
			async (how, {expect}) => {
				realm.kdc.pause();
				try {
					const running = spawn(process.execPath, [child, library, `alice@${realm.kdc.realm}`, how], {
						stdio: ['ignore', 'pipe', 'inherit'],
					});
					const ended = once(running, 'exit');
					let said = '';
					let leaving = Number.POSITIVE_INFINITY;
					for await (const chunk of running.stdout) {
						said += chunk;
						if (said.includes('leaving')) leaving = Math.min(leaving, Date.now());
					}
					expect(await ended).toEqual([3, null]);
					// Node alone takes half a minute and more.
					expect(Date.now() - leaving).toBeLessThan(10_000);
					expect(said).toContain('heard of it');
					if (how !== 'exit-waiting') expect(said).toContain('did not answer within 2500 ms');
				} finally {
					realm.kdc.resume();
				}
			},
		);
	});
});
