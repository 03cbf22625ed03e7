/** What only later ACME servers have: renewal information, profiles, records that stay. Against pebble 2.10. */
import {createPrivateKey, X509Certificate} from 'node:crypto';
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import type {CertificateSettings} from '../../src/config/certificate-settings.ts';
import {recordFor} from '../../src/issuers/acme/authenticators/dns-record.ts';
import {Orders} from '../../src/issuers/acme/order.ts';
import {fetchRenewalInformation, renewalIdentifier} from '../../src/issuers/acme/renewal-information.ts';
import {revokeCertificate} from '../../src/issuers/acme/revoke.ts';
import {CertbotFolder} from '../../src/lineages/certbot/folder.ts';
import {Lineage} from '../../src/lineages/certbot/lineage.ts';
import {accountAt, connectTo, pebbleFor} from '../issuers/acme/stage.ts';
import {describeWith} from '../servers/availability.ts';
import {type Bind, bind, startBind} from '../servers/bind.ts';
import {nextPebble, type PebbleSettings, pebble, twoProfiles} from '../servers/pebble.ts';
import {managerAt} from './stage.ts';

async function stage(settings: Partial<CertificateSettings> = {}, more: PebbleSettings = {}) {
	const server = await pebbleFor({program: 'pebble-next', more: twoProfiles, ...more});
	return {server, ...(await managerAt(server, settings))};
}

const hours = (count: number): Date => new Date(Date.now() + count * 3_600_000);

describeWith([pebble, nextPebble], 'with pebble 2.10', () => {
	test('a certificate is renewed in the window that the authority names, and names what it replaces', async () => {
		const {server, manager, folder} = await stage();
		await manager.enroll(['a.example.test']);
		const live = join(folder, 'live/a.example.test/cert.pem');
		const certificate = await readFile(live, 'utf8');
		expect(await manager.renew()).toMatchObject({skipped: ['a.example.test']});
		const [first] = await manager.list();
		// Not by the lifetime: a moment in the server's own window.
		const connection = connectTo(server);
		const window = await fetchRenewalInformation(connection, new X509Certificate(certificate));
		expect(first?.due).toBeGreaterThanOrEqual(window?.start as number);
		expect(first?.due).toBeLessThanOrEqual(window?.end as number);
		expect(first?.dueReason).toMatch(/the authority wants it/);

		await server.setRenewalInformation(certificate, {start: hours(-2), end: hours(-1)});
		// What it said first holds until it is to be asked again, also in another process.
		const again = await managerAt(server, {folder});
		expect(await again.manager.renew()).toMatchObject({skipped: ['a.example.test']});
		await forgetWhenToAsk(folder);
		expect(await again.manager.renew()).toMatchObject({renewed: ['a.example.test'], failed: []});
		expect(server.log()).toMatch(/replace/i);
		expect((await manager.list())[0]).toMatchObject({version: 2, warnings: []});
		expect(await manager.renew()).toMatchObject({skipped: ['a.example.test']});
	});

	test('a revoked certificate is renewed at once, also one that somebody else had revoked', async () => {
		const {server, manager, folder} = await stage();
		await manager.enroll(['a.example.test']);
		expect(await manager.renew()).toMatchObject({skipped: ['a.example.test']});
		await manager.revoke('a.example.test', {reason: 'superseded', byKey: true});
		expect(await manager.renew()).toMatchObject({renewed: ['a.example.test'], failed: []});
		const [certificate, key] = await Promise.all(
			['cert', 'privkey'].map(name => readFile(join(folder, `live/a.example.test/${name}.pem`))),
		);
		await revokeCertificate(connectTo(server), new X509Certificate(certificate as Buffer), {
			signer: createPrivateKey(key as Buffer),
		});
		expect(await manager.renew()).toMatchObject({renewed: ['a.example.test'], failed: []});
	});

	test('what is given up is not renewed for having been revoked', async () => {
		const {manager} = await stage({renewalInformation: false});
		await manager.enroll(['a.example.test']);
		await manager.revoke('a.example.test', {reason: 'cessationOfOperation'});
		expect(await manager.renew()).toMatchObject({skipped: ['a.example.test']});
	});

	test('what was replaced before is ordered without saying so', async () => {
		const {server, manager, folder} = await stage();
		await manager.enroll(['a.example.test']);
		const file = join(folder, 'live/a.example.test/cert.pem');
		const [connection, replaced] = [connectTo(server), new X509Certificate(await readFile(file))];
		const orders = new Orders(connection, await accountAt(connection));
		// Another account has not ordered it: unauthorized. The one that has may replace it once: 409.
		const replaces = renewalIdentifier(replaced);
		expect(
			(await orders.create({identifiers: [{type: 'dns', value: 'a.example.test'}], replaces})).status,
		).toBe('pending');
		const lineage = await Lineage.open(new CertbotFolder(folder), 'a.example.test');
		expect(await manager.renew({force: true})).toMatchObject({renewed: ['a.example.test'], failed: []});
		// As if the renewal had been lost: the first version is in use again, and was replaced.
		await lineage.use(1);
		expect(await manager.renew({force: true})).toMatchObject({renewed: ['a.example.test'], failed: []});
		expect(server.log()).toMatch(/already been replaced|marked as replaced/i);
		expect((await manager.list())[0]?.version).toBe(3);
	});

	test('a key that was compromised is not used again', async () => {
		const {manager, folder} = await stage({reuseKey: true});
		const key = () => readFile(join(folder, 'live/a.example.test/privkey.pem'), 'utf8');
		await manager.enroll(['a.example.test']);
		const first = await key();
		await manager.renew({force: true});
		expect(await key()).toBe(first);
		await manager.revoke('a.example.test', {reason: 'keyCompromise'});
		await manager.renew();
		const second = await key();
		expect(second).not.toBe(first);
		await manager.renew({force: true});
		expect(await key()).toBe(second);
	});

	test('profiles are listed, sent and remembered; an unknown one is refused with those that there are', async () => {
		const {manager} = await stage();
		expect(await manager.profiles()).toEqual({default: 'The usual one', shortlived: 'For six days'});
		const lifetime = async (): Promise<number> => {
			const [{notAfter, notBefore} = {notAfter: 0, notBefore: 0}] = await manager.list();
			return Math.round((notAfter - notBefore) / 3_600_000);
		};
		await manager.enroll(['a.example.test'], undefined, {profile: 'shortlived'});
		expect(await lifetime()).toBe(144);
		await manager.renew({force: true});
		expect(await lifetime()).toBe(144);
		const unknown = manager.enroll(['b.example.test'], undefined, {profile: 'shortlifed'});
		await expect(unknown).rejects.toThrow(/no profile 'shortlifed'\. It offers default, shortlived/);
		await expect(unknown).rejects.toMatchObject({diagnostics: [{code: 'acme-profile-unknown'}]});
	});

	test('it issues nothing for clients, which is noticed before it is put into use', async () => {
		const {server, manager, folder} = await stage({identityOnly: true});
		const {certificate} = await (await managerAt(server)).manager.obtain(['a.example.test']);
		expect(new X509Certificate(certificate).keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
		await expect(manager.enroll(['a.example.test'])).rejects.toThrow(/is not for clients .*lacks clientAuth/);
		await expect(readFile(join(folder, 'live/a.example.test/cert.pem'))).rejects.toThrow(/ENOENT/);
	});
});

describeWith([pebble, nextPebble, bind], 'with pebble 2.10 and BIND', () => {
	test('dns-account-01: the record has the name of the account', async () => {
		const zone = await zoneFor();
		const {manager} = await stage(
			{
				authenticator: {
					name: 'dns-update',
					server: '127.0.0.1',
					port: zone.port,
					keyName: zone.keyName,
					secret: zone.secret,
				},
			},
			{dnsPort: zone.port},
		);
		const states: string[] = [];
		await manager.enroll(['a.example.test'], undefined, {
			preferredChallenges: ['dns-account-01'],
			onProgress: ({detail}) => states.push(detail ?? ''),
		});
		expect(states).toContain('dns-account-01');
		expect(await manager.renew({force: true})).toMatchObject({renewed: ['a.example.test'], failed: []});
	});

	test('dns-persist-01: a record that stays proves a name and its wildcard, now and at renewals', async () => {
		const zone = await zoneFor();
		const {manager} = await stage({authenticator: {name: 'dns-persist-01'}}, {dnsPort: zone.port});
		const {url} = await manager.register();
		const failed = manager.enroll(['a.example.test', '*.a.example.test']);
		// What is missing is told, to be put there by hand.
		await expect(failed).rejects.toThrow(
			new RegExp(`_validation-persist\\.a\\.example\\.test.*accounturi=${url}; policy=wildcard`, 's'),
		);
		const {name, value} = recordFor({
			type: 'dns-persist-01',
			domain: 'a.example.test',
			wildcard: true,
			keyAuthorization: '',
			accountUrl: url,
			issuerDomainNames: ['pebble.letsencrypt.org'],
		});
		await zone.add(name, value);
		await manager.enroll(['a.example.test', '*.a.example.test']);
		expect(await manager.renew({force: true})).toMatchObject({renewed: ['a.example.test'], failed: []});
		expect((await manager.list())[0]).toMatchObject({isForCertbot: false});
		expect(await zone.texts(name)).toEqual([value]);
	});

	test('dns-persist-01 by updates: the record is added once and stays', async () => {
		const zone = await zoneFor();
		const {server: _, ...settings} = {
			server: undefined,
			authenticator: {
				name: 'dns-update',
				server: '127.0.0.1',
				port: zone.port,
				keyName: zone.keyName,
				secret: zone.secret,
			},
		};
		const {manager} = await stage(settings, {dnsPort: zone.port});
		const preferredChallenges = ['dns-persist-01'];
		await manager.enroll(['a.example.test'], 'one', {preferredChallenges});
		await manager.enroll(['a.example.test'], 'two', {preferredChallenges});
		expect(await zone.texts('_validation-persist.a.example.test')).toHaveLength(1);
	});
});

async function zoneFor(): Promise<Bind> {
	const zone = await startBind();
	onTestFinished(() => zone.close());
	return zone;
}

/** As if half a day had gone by. */
async function forgetWhenToAsk(folder: string): Promise<void> {
	const lineage = await Lineage.open(new CertbotFolder(folder), 'a.example.test');
	lineage.configuration.set(['gatepass'], 'ask_again_at', undefined);
	await lineage.save();
}
