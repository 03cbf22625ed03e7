/** Each kind of ticket cache, key table and key that the guide lists, over both libraries. */
import {execFile} from 'node:child_process';
import {mkdir, readFile, rm, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {afterAll, beforeAll, describe, test} from 'vitest';
import {describeWith, findProgram} from '../servers/availability.ts';
import {mitKdc} from '../servers/kdc.ts';
import {keyrings} from '../servers/keyrings.ts';
import {startTwoRealms, type TwoRealms} from '../servers/two-realms.ts';
import {fileForms, keyForms, keyringForms, keytabForms} from './kerberos-forms.ts';
import {withKeyType} from './kerberos-key-table.ts';
import {type Attempt, checkForm} from './kerberos-outcome.ts';
import {libraries} from './kerberos-setup.ts';

const [alice, other] = ['alice@GATEPASS.TEST', 'alice@SECOND.TEST'];
const robot = 'robot@GATEPASS.TEST';

describeWith(mitKdc, 'what the guide says of tickets and keys', () => {
	let realms: TwoRealms;
	/** A folder with tickets of both realms; those of the first are primary. */
	let folder: string;
	const before = {...process.env};
	const use = (environment: Readonly<Record<string, string>>): void => {
		Object.assign(process.env, environment);
	};
	beforeAll(async () => {
		realms = await startTwoRealms();
		folder = join(realms.first.folder, 'collection');
		await mkdir(folder);
		await realms.ticket('first', `DIR::${folder}/tkt1`);
		await realms.ticket('second', `DIR::${folder}/tkt2`);
		await writeFile(join(folder, 'primary'), 'tkt1\n');
		// Of each key's own type, as Heimdal asks for that alone.
		const sessions = keyForms.map(({name}) => name).filter(name => name.startsWith('aes'));
		const {first} = realms;
		await first.administer(`setstr krbtgt/${first.realm} session_enctypes ${sessions.join(',')}`);
		use({KRB5_CONFIG: realms.withDomains, HOME: folder});
	});
	afterAll(async () => {
		for (const name of ['KRB5_CONFIG', 'HOME']) {
			if (before[name] === undefined) delete process.env[name];
			else process.env[name] = before[name];
		}
		await realms?.close();
	});

	const cache = (credentialCache: string): Pick<Attempt, 'options'> => ({options: {credentialCache}});
	const fileWays: Readonly<Record<(typeof fileForms)[number]['name'], () => Attempt>> = {
		FILE: () => ({...cache(`FILE:${folder}/tkt2`), wanted: other}),
		path: () => ({...cache(`${folder}/tkt2`), wanted: other}),
		DIR: () => ({...cache(`DIR:${folder}`), wanted: alice}),
		'DIR::': () => ({...cache(`DIR::${folder}/tkt2`), wanted: other}),
		'DIR principal': () => ({
			options: {credentialCache: `DIR:${folder}`, principal: other},
			wanted: other,
		}),
		realm: () => ({...cache(`DIR:${folder}`), host: 'www.second.test', wanted: other}),
		k5identity: () => ({...cache(`DIR:${folder}`), wanted: other}),
		referral: () => ({...cache(`DIR::${folder}/tkt1`), host: 'www.second.test', wanted: alice}),
	};

	describe.each(libraries)('over %s', library => {
		test.for(fileForms)(`$title: $${library}.shown`, async form => {
			const identities = join(folder, '.k5identity');
			if (form.name === 'k5identity') await writeFile(identities, `${other} host=www.first.test\n`);
			use({KRB5_CONFIG: form.name === 'referral' ? realms.configuration : realms.withDomains});
			try {
				await checkForm(form, library, fileWays[form.name]());
			} finally {
				use({KRB5_CONFIG: realms.withDomains});
				await rm(identities, {force: true});
			}
		});

		test.for(keytabForms)(`a key table, $title: $${library}.shown`, async form => {
			const {robot: keytab} = realms.first.keytabs;
			const name = form.name === 'path' ? keytab : `${form.name}:${keytab}`;
			await checkForm(form, library, {options: {keytab: name}, wanted: robot});
		});

		test.for(keyForms)(`keys of $title alone: $${library}.shown`, async ({name: type, ...form}) => {
			const {first} = realms;
			const principal = `${type}-${library}`;
			const keytab = join(first.folder, `${principal}.keytab`);
			const isGone = type === 'des-cbc-md5';
			const made = `${isGone ? 'aes256-cts-hmac-sha1-96' : type}:normal`;
			await first.administer(`addprinc -randkey -e ${made} ${principal}`);
			await first.administer(`ktadd -k ${keytab} -e ${made} ${principal}`);
			if (isGone) await writeFile(keytab, withKeyType(await readFile(keytab), 3));
			await checkForm({name: type, ...form}, library, {
				options: {keytab},
				wanted: `${principal}@${first.realm}`,
			});
		});
	});

	describeWith(keyrings, 'in keyrings of the kernel', () => {
		const collection = `KEYRING:user:gatepass-${process.pid}`;
		const caches = {one: `${collection}:one`, two: `${collection}:two`};
		beforeAll(async () => {
			await realms.ticket('first', caches.one);
			await realms.ticket('second', caches.two);
		});
		afterAll(async () => {
			for (const name of Object.values(caches)) {
				await promisify(execFile)(findProgram('kdestroy') as string, ['-q', '-c', name]);
			}
		});
		const ways: Readonly<Record<(typeof keyringForms)[number]['name'], () => Attempt>> = {
			KEYRING: () => ({...cache(caches.two), wanted: other}),
			'KEYRING principal': () => ({
				options: {credentialCache: collection, principal: alice},
				wanted: alice,
			}),
		};
		describe.each(libraries)('over %s', library => {
			test.for(keyringForms)(`$title: $${library}.shown`, async form => {
				await checkForm(form, library, ways[form.name]());
			});
		});
	});
});
