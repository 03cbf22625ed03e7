/** Names and files that are odd, in a process of their own, as the libraries end theirs at some: it lives. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdir} from 'node:fs/promises';
import {join} from 'node:path';
import {text} from 'node:stream/consumers';
import {fileURLToPath} from 'node:url';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {describeWith} from '../servers/availability.ts';
import {type Kdc, mitKdc, startKdc} from '../servers/kdc.ts';
import {libraries} from './kerberos-setup.ts';

describeWith(mitKdc, 'odd names and files', () => {
	let kdc: Kdc;
	let tickets: string;
	beforeAll(async () => {
		kdc = await startKdc();
		tickets = await kdc.ticket();
		// Nobody is to wait for an answer about what a changed file names.
		await kdc.stop();
	});
	afterAll(() => kdc?.close());

	test.for(libraries)('end no process over %s', {timeout: 300_000}, async library => {
		const folder = join(kdc.folder, `collection-${library}`);
		await mkdir(folder);
		const child = spawn(
			process.execPath,
			[
				fileURLToPath(new URL('kerberos-odd-input-child.ts', import.meta.url)),
				...[library, tickets, kdc.keytabs.alice, folder],
			],
			{env: {...process.env, KRB5_CONFIG: kdc.configuration}, stdio: ['ignore', 'pipe', 'inherit']},
		);
		const [output, [code, signal]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
		expect([code, signal]).toEqual([0, null]);
		const outcomes = output.trim().split('\n');
		expect(outcomes.at(-1)).toBe('the end');
		expect(outcomes.length).toBeGreaterThan(80);
		const known = ['a token', 'CredentialUnavailableError', 'KerberosExchangeError', 'the end'];
		expect(outcomes.filter(outcome => !known.includes(outcome))).toEqual([]);
	});
});
