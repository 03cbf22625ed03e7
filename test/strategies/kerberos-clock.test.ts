/** A machine whose clock is off by more than Kerberos allows: the libraries keep the difference, as for curl. */
import {execFile} from 'node:child_process';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {describe, expect, test} from 'vitest';
import type {CredentialSource} from '../../strategies/kerberos/gss-messages.ts';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith, findProgram} from '../servers/availability.ts';
import {faketime} from '../servers/faketime.ts';
import {mitKdc} from '../servers/kdc.ts';
import {clockForms} from './kerberos-forms.ts';
import {libraries, useRealm} from './kerberos-setup.ts';

describeWith([mitKdc, apacheNegotiate, faketime], 'a clock that is off', () => {
	const realm = useRealm();

	async function at(shift: string, program: string, ...parameters: string[]): Promise<string> {
		const {stdout} = await promisify(execFile)(
			findProgram('faketime') as string,
			['-f', shift, program, ...parameters],
			{env: {...process.env, KRB5_CONFIG: realm.kdc.configuration}},
		);
		return stdout.trim();
	}

	describe.each(libraries)('over %s', library => {
		test.for(['+20m', '-20m'])('by %s: each request is let in, not every second one', async shift => {
			const {folder, keytabs, realm: name} = realm.kdc;
			const cache = join(folder, `at${shift}-${library}`);
			const kinit = findProgram('kinit') as string;
			await at(shift, kinit, '-c', cache, '-k', '-t', keytabs.alice, `alice@${name}`);
			const child = fileURLToPath(new URL('kerberos-clock-child.ts', import.meta.url));
			const sources: Readonly<Record<(typeof clockForms)[number]['name'], CredentialSource>> = {
				'clock, tickets': {credentialCache: `FILE:${cache}`},
				'clock, key table': {keytab: keytabs.robot, principal: `robot@${name}`},
				'clock, password': {password: realm.kdc.password, principal: `alice@${name}`},
			};
			for (const form of clockForms) {
				const source = JSON.stringify(sources[form.name]);
				const said = await at(
					shift,
					process.execPath,
					child,
					library,
					source,
					realm.url('http', '/negotiate'),
				);
				const {error = /^200 200 200 200 200$/} = form[library];
				expect(`${form.title}: ${said}`).toMatch(new RegExp(error.source.replace(/^\^/, ': '), error.flags));
			}
		});

		test("a ticket file with the clock's offset after one without: each request is let in", async () => {
			const {folder, keytabs, realm: name} = realm.kdc;
			const [cache, later] = [await realm.kdc.ticket(), join(folder, `later-${library}`)];
			const kinit = findProgram('kinit') as string;
			await at('+20m', kinit, '-c', later, '-k', '-t', keytabs.alice, `alice@${name}`);
			const child = fileURLToPath(new URL('kerberos-clock-child.ts', import.meta.url));
			const source = JSON.stringify({credentialCache: `FILE:${cache}`});
			const url = realm.url('http', '/negotiate');
			const said = await at('+20m', process.execPath, child, library, source, url, later, cache);
			expect(said).toBe('200 200 200 200 200');
		});
	});
});
