/** Certificates from enrolment to deletion, against pebble, and side by side with certbot. */
import {createPrivateKey, X509Certificate} from 'node:crypto';
import {existsSync, readFileSync} from 'node:fs';
import {chmod, cp, readdir, readFile, rm, writeFile} from 'node:fs/promises';
import {createServer} from 'node:http';
import {join} from 'node:path';
import {describe, expect, onTestFinished, test} from 'vitest';
import {afterFailure, dueAt, type RenewalState, rememberInformation} from '../../src/certificates/due.ts';
import {makeAuthenticator} from '../../src/certificates/plug-ins.ts';
import {changeAccountKey} from '../../src/issuers/acme/account.ts';
import {AccountKey} from '../../src/issuers/acme/jws.ts';
import {accountId, type StoredAccount, StoredAccounts} from '../../src/lineages/certbot/accounts.ts';
import {CertbotFolder} from '../../src/lineages/certbot/folder.ts';
import {Lineage} from '../../src/lineages/certbot/lineage.ts';
import {connectTo, pebbleFor} from '../issuers/acme/stage.ts';
import {describeWith} from '../servers/availability.ts';
import {certbot, runCertbot} from '../servers/certbot.ts';
import {boundAccount, type Pebble, pebble} from '../servers/pebble.ts';
import {managerAt, temporaryFolder} from './stage.ts';

describeWith(pebble, 'a manager', () => {
	test('enrols, lists, renews, revokes and deletes', async () => {
		const server = await pebbleFor();
		const {manager, folder, events} = await managerAt(server);
		const enrolled = await manager.enroll(['a.example.test', 'b.example.test']);
		expect(enrolled).toMatchObject({
			name: 'a.example.test',
			domains: ['a.example.test', 'b.example.test'],
			version: 1,
		});
		const [listed] = await manager.list();
		expect(listed).toMatchObject({name: 'a.example.test', isForCertbot: true, warnings: []});
		// Five years of it are left.
		expect(await manager.renew()).toMatchObject({renewed: [], failed: [], skipped: ['a.example.test']});
		expect(await manager.renew({force: true})).toMatchObject({renewed: ['a.example.test'], failed: []});
		const [renewed] = await manager.list();
		expect(renewed).toMatchObject({version: 2, domains: ['a.example.test', 'b.example.test']});
		expect(renewed?.serialNumber).not.toBe(listed?.serialNumber);
		expect(events.map(({kind, name}) => [kind, name])).toEqual([['renewed', 'a.example.test']]);
		await manager.revoke('a.example.test', {reason: 'superseded'});
		expect(await server.statusOf(renewed?.serialNumber as string)).toBe('Revoked');
		await manager.delete('a.example.test');
		expect(await manager.list()).toEqual([]);
		expect(await readdir(join(folder, 'archive'))).toEqual([]);
		expect(await readdir(join(folder, 'gatepass/pending'))).toEqual([]);
	});

	test('a second certificate of the same name gets a number; a dry run leaves nothing', async () => {
		const server = await pebbleFor();
		const {manager, folder} = await managerAt(server);
		await manager.enroll(['a.example.test']);
		expect(await manager.enroll(['a.example.test'], undefined, {dryRun: true})).toBeUndefined();
		expect(await readdir(join(folder, 'archive'))).toEqual(['a.example.test']);
		expect(await readdir(join(folder, 'gatepass/pending'))).toEqual([]);
		expect((await manager.enroll(['a.example.test']))?.name).toBe('a.example.test-0001');
		await expect(manager.enroll(['c.example.test'], 'a.example.test')).rejects.toThrow(/is there already/);
		const before = (await manager.list())[0]?.serialNumber;
		expect(await manager.renew({name: 'a.example.test', dryRun: true})).toMatchObject({
			renewed: ['a.example.test'],
		});
		expect((await manager.list())[0]?.serialNumber).toBe(before);
	});

	test('obtains without keeping, with a key of its own and for a request', async () => {
		const server = await pebbleFor();
		const {manager, folder} = await managerAt(server);
		const {certificate, privateKey, fullchain, chain} = await manager.obtain(['free.example.test']);
		expect(fullchain).toBe(certificate + chain);
		await manager.validateKeyCsr(privateKey as string);
		expect(new X509Certificate(certificate).subjectAltName).toBe('DNS:free.example.test');
		expect(await readdir(join(folder, 'archive'))).toEqual([]);
	});

	test('until when it is to last, where the authority lets one say so', async () => {
		const server = await pebbleFor({nonceReject: 0});
		const {manager} = await managerAt(server);
		const notAfter = Date.UTC(2030, 0, 2, 3, 4, 5);
		const {certificate} = await manager.obtain(['short.example.test'], {notAfter});
		expect(new X509Certificate(certificate).validToDate.getTime()).toBe(notAfter);
	});

	test('without leave to agree to the terms, nothing is registered and no key is kept', async () => {
		const server = await pebbleFor();
		const {manager, folder} = await managerAt(server, {termsOfServiceAgreed: false});
		await expect(manager.enroll(['a.example.test'])).rejects.toThrow(
			/terms of service .* were not agreed to/,
		);
		expect(await readdir(join(folder, 'accounts'))).toEqual([]);
		await manager.register({termsOfService: () => true});
		expect((await manager.enroll(['a.example.test']))?.name).toBe('a.example.test');
	});

	test('an account is bound, gets a new key, and ends', async () => {
		const server = await pebbleFor({demandsBinding: true});
		const {manager} = await managerAt(server, {externalAccountBinding: boundAccount});
		const {id, url} = await manager.register();
		expect(await manager.register()).toEqual({id, url});
		await manager.enroll(['a.example.test']);
		const changed = await manager.rolloverAccount();
		expect(changed.id).not.toBe(id);
		expect(await manager.register()).toEqual({id: changed.id, url});
		expect(await manager.renew({force: true})).toMatchObject({renewed: ['a.example.test'], failed: []});
		await manager.updateAccount('other@example.org');
		await manager.deactivateAccount();
		// The lineage names an account that is no more.
		const {failed} = await manager.renew({force: true});
		expect(failed[0]?.error.message).toMatch(/There is no account/);
	});

	test.each([
		['before the server has it', 'unchanged'],
		['before it is in its place', 'changed'],
		['before the old one is removed', 'doubled'],
	])('a change of the account key that was cut off %s is put right', async (_, state) => {
		const server = await pebbleFor();
		const {manager, folder, events} = await managerAt(server);
		await manager.enroll(['a.example.test']);
		const {id, url} = await manager.register();
		const accounts = new StoredAccounts(new CertbotFolder(folder), server.directoryUrl);
		const stored = (await accounts.find()) as StoredAccount;
		const key = AccountKey.generate();
		await writeFile(
			join(folder, `gatepass/pending/${id}.rollover`),
			JSON.stringify({server: server.directoryUrl, key: key.toPem()}),
		);
		if (state !== 'unchanged') {
			const account = {
				key: new AccountKey(stored.key),
				accountUrl: url,
				resource: {status: 'valid'},
			} as const;
			await changeAccountKey(connectTo(server), account, key);
		}
		if (state === 'doubled') {
			const place = join(folder, 'accounts', new URL(server.directoryUrl).host, 'dir');
			await cp(join(place, id), join(place, accountId(createPrivateKey(key.toPem()))), {recursive: true});
			const copy = join(place, accountId(createPrivateKey(key.toPem())), 'private_key.json');
			await rm(copy);
			await writeFile(copy, JSON.stringify(createPrivateKey(key.toPem()).export({format: 'jwk'})));
		}
		expect(await manager.renew({force: true})).toMatchObject({renewed: ['a.example.test'], failed: []});
		const [one, ...others] = await accounts.list();
		expect(others).toEqual([]);
		expect(one?.id === id).toBe(state === 'unchanged');
		expect(events.some(({kind}) => kind === 'recovered')).toBe(state !== 'unchanged');
		expect(await readdir(join(folder, 'gatepass/pending'))).toEqual([]);
	});

	test('a certificate whose order was not forgotten is not taken for its own successor', async () => {
		const server = await pebbleFor();
		const {manager, folder} = await managerAt(server);
		const pending = join(folder, 'gatepass/pending/a.example.test.json');
		let kept = '';
		await manager.enroll(['a.example.test'], undefined, {
			onProgress: ({state}) => {
				if (state === 'issued') kept = readFileSync(pending, 'utf8');
			},
		});
		const [first] = await manager.list();
		// As where the process was killed once the certificate was in use.
		await writeFile(pending, kept, {mode: 0o600});
		expect(await manager.renew({force: true})).toMatchObject({renewed: ['a.example.test'], failed: []});
		expect((await manager.list())[0]?.serialNumber).not.toBe(first?.serialNumber);
	});

	test('hooks run once each, with what was renewed, and their failure spoils nothing', async () => {
		const server = await pebbleFor();
		const log = join(await temporaryFolder(), 'log');
		const {manager, folder, events} = await managerAt(server, {
			hooks: {
				before: `echo before >> ${log}`,
				deploy: `echo "deploy $RENEWED_LINEAGE: $RENEWED_DOMAINS" >> ${log}`,
				after: `echo "after $RENEWED_DOMAINS, failed [$FAILED_DOMAINS]" >> ${log}; echo no >&2; exit 3`,
			},
		});
		await manager.enroll(['a.example.test'], undefined, {deployHook: `echo "own, with a comma" >> ${log}`});
		await manager.enroll(['b.example.test', 'c.example.test']);
		const script = join(folder, 'renewal-hooks/pre/10-first');
		await writeFile(script, `#!/bin/sh\necho "from the folder" >> ${log}\n`);
		await chmod(script, 0o755);
		const {renewed, warnings} = await manager.renew({force: true});
		expect(renewed).toEqual(['a.example.test', 'b.example.test']);
		expect((await readFile(log, 'utf8')).trim().split('\n')).toEqual([
			// Those of a certificate run when it is obtained, too, as certbot runs them.
			'own, with a comma',
			'from the folder',
			'before',
			'own, with a comma',
			`deploy ${folder}/live/a.example.test: a.example.test`,
			`deploy ${folder}/live/b.example.test: b.example.test c.example.test`,
			'after a.example.test b.example.test c.example.test, failed []',
		]);
		expect(warnings).toEqual([expect.stringMatching(/ended with 3: no$/)]);
		expect(events.some(({kind}) => kind === 'hook-failed')).toBe(true);
	});

	test('the hooks of a certificate run once in a run, however many have the same, and are kept for certbot', async () => {
		const server = await pebbleFor();
		const log = join(await temporaryFolder(), 'log');
		const {manager, folder} = await managerAt(server);
		const hooks = {preHook: `echo pre >> ${log}`, postHook: `echo "post $RENEWED_DOMAINS" >> ${log}; false`};
		const enrolled = await manager.enroll(['a.example.test'], undefined, hooks);
		expect(enrolled?.warnings).toEqual([expect.stringMatching(/ended with 1/)]);
		await manager.enroll(['b.example.test'], undefined, hooks);
		expect(await readFile(join(folder, 'renewal/a.example.test.conf'), 'utf8')).toMatch(
			/^pre_hook = .*^post_hook = /ms,
		);
		await writeFile(log, '');
		expect(await manager.renew({force: true})).toMatchObject({
			renewed: ['a.example.test', 'b.example.test'],
			warnings: [expect.stringMatching(/ended with 1/)],
		});
		expect(await readFile(log, 'utf8')).toMatch(
			/^pre\npost (?:a|b)\.example\.test (?:a|b)\.example\.test\n$/,
		);
	});

	test('what is interrupted still runs the commands that come after it: one before it may have stopped a server', async () => {
		const server = await pebbleFor();
		const log = join(await temporaryFolder(), 'log');
		const {manager} = await managerAt(server);
		const hooks = {preHook: `echo pre >> ${log}`, postHook: `echo post >> ${log}`};
		const interrupted = () => {
			const controller = new AbortController();
			return {signal: controller.signal, onProgress: () => controller.abort()};
		};
		const both = 'pre\npost\n';
		await expect(
			manager.enroll(['a.example.test'], undefined, {...hooks, ...interrupted()}),
		).rejects.toThrow();
		expect(await readFile(log, 'utf8')).toBe(both);
		await manager.enroll(['a.example.test'], undefined, hooks);
		await expect(manager.renew({force: true, jitter: false, ...interrupted()})).rejects.toThrow();
		expect(await readFile(log, 'utf8')).toBe(both.repeat(3));
	});

	test('fifty orders at once, of which some want the same name', async () => {
		const server = await pebbleFor({nonceReject: 0});
		const {manager, folder} = await managerAt(server);
		const names = Array.from({length: 50}, (_, index) => `name-${index % 45}.example.test`);
		const made = await Promise.all(names.map(name => manager.enroll([name])));
		expect(new Set(made.map(one => one?.name)).size).toBe(50);
		expect(made.filter(one => one?.name.endsWith('-0001'))).toHaveLength(5);
		expect(
			(await manager.list()).every(({warnings, version}) => warnings.length === 0 && version === 1),
		).toBe(true);
		// One account, though all found none.
		const accounts = new StoredAccounts(new CertbotFolder(folder), server.directoryUrl);
		expect(await accounts.list()).toHaveLength(1);
		const all = made.map(one => one?.name);
		expect((await manager.renew({force: true})).renewed.toSorted()).toEqual(all.toSorted());
		expect((await manager.list()).every(({version}) => version === 2)).toBe(true);
		expect(await readdir(join(folder, 'gatepass/pending'))).toEqual([]);
	});

	test('what is told while something else goes on waits for it', async () => {
		const server = await pebbleFor();
		const {manager} = await managerAt(server);
		const enrolling = manager.enroll(['a.example.test']);
		const [status, deleted] = await Promise.all([enrolling, manager.delete('a.example.test')]);
		expect(status?.name).toBe('a.example.test');
		expect(deleted).toBeUndefined();
		expect(await manager.list()).toEqual([]);
	});

	test('the kinds of challenges, and leave to do without a name, are kept for renewals', async () => {
		const server = await pebbleFor();
		const {manager, folder} = await managerAt(server);
		await manager.enroll(['a.example.test'], undefined, {
			preferredChallenges: ['http-01'],
			allowSubset: true,
		});
		const text = await readFile(join(folder, 'renewal/a.example.test.conf'), 'utf8');
		expect(text).toMatch(/^allow_subset_of_names = True$/m);
		expect(text).toMatch(/^\[gatepass\]\n(?:.*\n)*preferred_challenges = http-01,$/m);
		expect((await manager.renew({force: true})).renewed).toEqual(['a.example.test']);
	});

	test('a failure keeps what is in use, is remembered, and puts the next try off', async () => {
		const server = await pebbleFor();
		const {manager, folder, events} = await managerAt(server);
		await manager.enroll(['a.example.test']);
		const lineage = await Lineage.open(new CertbotFolder(folder), 'a.example.test');
		lineage.configuration.set(['renewalparams'], 'http01_port', '1');
		lineage.configuration.set(['renewalparams'], 'http01_address', '127.0.0.1');
		lineage.configuration.set(['renewalparams'], 'authenticator', 'manual');
		lineage.configuration.set(['renewalparams'], 'manual_auth_hook', 'exit 1');
		await lineage.save();
		const before = Date.now();
		const {failed} = await manager.renew({force: true});
		expect(failed[0]?.error.message).toMatch(/auth hook for a\.example\.test ended with 1/);
		const [status] = await manager.list();
		expect(status).toMatchObject({version: 1, warnings: ['its renewal failed 1 times in a row']});
		const text = await readFile(join(folder, 'renewal/a.example.test.conf'), 'utf8');
		const next = Date.parse(/next_attempt = (.*)/.exec(text)?.[1] ?? '');
		expect(next).toBeGreaterThanOrEqual(before + 60_000);
		expect(next).toBeLessThan(Date.now() + 61_000);
		expect(await manager.renew()).toMatchObject({skipped: ['a.example.test'], warnings: []});
		// A long time later.
		const now = Date.now;
		onTestFinished(() => {
			Date.now = now;
		});
		for (const [offset, sentence] of [
			[-3_600_000, /^a\.example\.test: it expires soon, and is not renewed yet$/],
			[3_600_000, /^a\.example\.test: it has expired$/],
		] as const) {
			const then = (status?.notAfter as number) + offset;
			Date.now = () => then;
			events.length = 0;
			const state = (await Lineage.open(new CertbotFolder(folder), 'a.example.test')).configuration;
			state.set(['gatepass'], 'next_attempt', new Date(then + 60_000).toISOString());
			await writeFile(join(folder, 'renewal/a.example.test.conf'), state.toString());
			expect((await manager.renew()).warnings).toEqual([expect.stringMatching(sentence)]);
			await manager.renew();
			expect(events.map(({kind}) => kind)).toEqual(['expiring']);
		}
	});

	test('an interrupted order goes on with its key', async () => {
		const server = await pebbleFor();
		const {manager, folder} = await managerAt(server);
		const died = new Error('killed');
		await expect(
			manager.enroll(['a.example.test'], undefined, {
				onProgress: ({state}) => {
					if (state === 'issued') throw died;
				},
			}),
		).rejects.toBe(died);
		const pending = JSON.parse(await readFile(join(folder, 'gatepass/pending/a.example.test.json'), 'utf8'));
		expect(pending.orderUrl).toMatch(/^https:\/\/localhost/);
		await manager.enroll(['a.example.test']);
		const key = await readFile(join(folder, 'live/a.example.test/privkey.pem'), 'utf8');
		expect(key).toBe(pending.privkey);
		expect(existsSync(join(folder, 'gatepass/pending/a.example.test.json'))).toBe(false);
	});

	test('a key is used again where that is wanted', async () => {
		const server = await pebbleFor();
		const {manager, folder} = await managerAt(server);
		await manager.enroll(['a.example.test'], undefined, {reuseKey: true});
		const key = await readFile(join(folder, 'live/a.example.test/privkey.pem'), 'utf8');
		await manager.renew({force: true});
		expect(await readFile(join(folder, 'live/a.example.test/privkey.pem'), 'utf8')).toBe(key);
	});

	test("an authenticator of a user's own renews with its options, which are not written down", async () => {
		const server = await pebbleFor();
		const {parts, manager, folder} = await managerAt(server, {
			authenticator: {name: 'ours', apiKey: 'S3CRET-of-the-plug-in'},
		});
		const seen: unknown[] = [];
		const authenticator = makeAuthenticator({
			name: 'http-01',
			address: '127.0.0.1',
			port: server.httpPort,
		});
		parts.makeAuthenticator = settings => {
			seen.push(settings);
			return authenticator;
		};
		await manager.enroll(['a.example.test']);
		expect(await readFile(join(folder, 'renewal/a.example.test.conf'), 'utf8')).not.toContain('S3CRET');
		expect(await manager.renew({force: true})).toMatchObject({renewed: ['a.example.test']});
		expect(seen).toEqual([1, 2].map(() => ({name: 'ours', apiKey: 'S3CRET-of-the-plug-in'})));
	});

	test('two at once: the second is told, and neither spoils anything', async () => {
		const server = await pebbleFor();
		const {manager, folder} = await managerAt(server);
		const other = await managerAt(server, {folder});
		const both = await Promise.allSettled([
			manager.enroll(['a.example.test']),
			other.manager.enroll(['b.example.test']),
		]);
		expect(both.map(({status}) => status).sort()).toEqual(['fulfilled', 'rejected']);
		expect(await manager.list()).toHaveLength(1);
	});

	test('a certificate that servers would refuse from a client is not put into use', async () => {
		const server = await pebbleFor();
		const {manager, folder} = await managerAt(server, {identityOnly: true});
		const enrolling = manager.enroll(['a.example.test']);
		// pebble 2.4 issues for clients, too; later ones do not.
		const outcome = await enrolling.then(
			() => 'issued',
			error => error.message,
		);
		expect(outcome).toMatch(/^issued$|is not for clients .*lacks clientAuth/);
		await expect(
			manager.enroll(['a.example.test'], 'other', {server: 'https://acme-v02.api.letsencrypt.org/directory'}),
		).rejects.toThrow(
			/Let's Encrypt .* issues no certificates for clients \(since 2026-02-11 .* private authority/,
		);
		// It has not heard of us.
		expect(await readdir(join(folder, 'accounts'))).toEqual([new URL(server.directoryUrl).host]);
	});

	test('renews by itself, until it is stopped', async () => {
		const server = await pebbleFor();
		const {manager, folder, events} = await managerAt(server);
		await manager.enroll(['a.example.test']);
		const lineage = await Lineage.open(new CertbotFolder(folder), 'a.example.test');
		const {certificate} = await lineage.read();
		// As the authority would say: now.
		lineage.configuration.set(['gatepass'], 'serial_number', certificate.serialNumber);
		lineage.configuration.set(['gatepass'], 'renew_at', new Date(Date.now() - 1000).toISOString());
		lineage.configuration.set(['gatepass'], 'ask_again_at', new Date(Date.now() + 3_600_000).toISOString());
		await lineage.save();
		const renewing = manager.autoRenew({interval: 50});
		await expect.poll(() => events.filter(({kind}) => kind === 'renewed').length).toBe(1);
		renewing.stop();
		expect((await manager.list())[0]?.version).toBe(2);
	});
});

describeWith(pebble, 'a manager that renews by itself', () => {
	test('tries again when a failure wants it, however long its interval is', async () => {
		const server = await pebbleFor();
		const {manager, folder, events} = await managerAt(server);
		await manager.enroll(['a.example.test']);
		const lineage = await Lineage.open(new CertbotFolder(folder), 'a.example.test');
		const {serialNumber} = await lineage.certificate();
		const at = (milliseconds: number): string => new Date(Date.now() + milliseconds).toISOString();
		for (const [key, value] of Object.entries({
			...{serial_number: serialNumber, renew_at: at(-1000), ask_again_at: at(3_600_000)},
			...{attempts: '1', next_attempt: at(1500)},
		})) {
			lineage.configuration.set(['gatepass'], key, value);
		}
		await lineage.save();
		const renewing = manager.autoRenew();
		onTestFinished(() => renewing.stop());
		await expect.poll(() => events.map(({kind}) => kind)).toContain('renewed');
		expect((await manager.list())[0]).toMatchObject({version: 2, warnings: []});
	});
});

test('what nobody can enhance is an error', async () => {
	const {manager} = await managerAt({directoryUrl: 'https://localhost:1/dir', ca: ''} as Pebble);
	await expect(manager.enhance(['a.example.test'], {turbo: true} as never)).rejects.toThrow(
		/There is no enhancement 'turbo'\. There are redirect, hsts/,
	);
});

describeWith([pebble, certbot], 'beside certbot', () => {
	test('certbot renews what a manager made, with its account and its hook', async () => {
		const server = await pebbleFor({nonceReject: 0});
		const {manager, folder} = await managerAt(server);
		const log = join(await temporaryFolder(), 'log');
		await manager.enroll(['a.example.test'], undefined, {
			deployHook: `echo "hook, $RENEWED_DOMAINS" >> ${log}`,
		});
		await runCertbot(folder, server.ca, 'renew', '--force-renewal', '--no-random-sleep-on-renew');
		expect((await manager.list())[0]).toMatchObject({version: 2, warnings: []});
		// When it was obtained, and by certbot.
		expect(await readFile(log, 'utf8')).toBe('hook, a.example.test\n'.repeat(2));
		// What gatepass remembers survived certbot's rewriting.
		expect(await manager.renew({force: true})).toMatchObject({renewed: ['a.example.test']});
		expect((await manager.list())[0]?.version).toBe(3);
	});

	test('a manager renews what certbot made, by the account and authenticator that it finds', async () => {
		const server = await pebbleFor({nonceReject: 0});
		const {manager, folder} = await managerAt(server, {authenticator: undefined, server: undefined});
		await runCertbot(
			folder,
			server.ca,
			...['certonly', '--agree-tos', '-m', 'a@example.org', '--server', server.directoryUrl, '--standalone'],
			...[
				'--http-01-port',
				String(server.httpPort),
				'--http-01-address',
				'127.0.0.1',
				'-d',
				'theirs.example.test',
			],
		);
		expect(await manager.renew({force: true})).toMatchObject({renewed: ['theirs.example.test'], failed: []});
		expect(await runCertbot(folder, server.ca, 'certificates')).toMatch(/Certificate Name: theirs/);
	});

	test('hooks, and webroots of their own for each name, that certbot wrote down, are heeded', async () => {
		const server = await pebbleFor({nonceReject: 0});
		const {manager, folder} = await managerAt(server, {authenticator: undefined, server: undefined});
		const [log, ...roots] = [
			join(await temporaryFolder(), 'log'),
			await temporaryFolder(),
			await temporaryFolder(),
		];
		// Each name has its folder, by the Host that the authority asks for.
		const web = createServer((request, response) => {
			const root = request.headers.host?.startsWith('a.') ? roots[0] : roots[1];
			readFile(join(root as string, request.url ?? '')).then(
				content => response.end(content),
				() => response.writeHead(404).end(),
			);
		}).listen(server.httpPort, '127.0.0.1');
		onTestFinished(() => {
			web.close();
		});
		await runCertbot(
			folder,
			server.ca,
			...['certonly', '--agree-tos', '-m', 'a@example.org', '--server', server.directoryUrl, '--webroot'],
			...['-w', roots[0] as string, '-d', 'a.example.test', '-w', roots[1] as string, '-d', 'b.example.test'],
			...['--pre-hook', `echo pre >> ${log}`, '--post-hook', `echo post >> ${log}`],
		);
		await writeFile(log, '');
		expect(await manager.renew({force: true})).toMatchObject({renewed: ['a.example.test'], warnings: []});
		expect(await readFile(log, 'utf8')).toBe('pre\npost\n');
		// And certbot goes on with what is there.
		await runCertbot(folder, server.ca, 'renew', '--force-renewal', '--no-random-sleep-on-renew');
		expect((await manager.list())[0]?.version).toBe(3);
	});

	test('certbot renews what has folders of its own for each name', async () => {
		const server = await pebbleFor({nonceReject: 0});
		const roots = [await temporaryFolder(), await temporaryFolder()] as const;
		const web = createServer((request, response) => {
			const root = roots[request.headers.host?.startsWith('a.') ? 0 : 1];
			readFile(join(root, request.url ?? '')).then(
				content => response.end(content),
				() => response.writeHead(404).end(),
			);
		}).listen(server.httpPort, '127.0.0.1');
		onTestFinished(() => {
			web.close();
		});
		const {manager, folder} = await managerAt(server, {
			authenticator: {name: 'webroot', path: roots[0], paths: {'b.example.test': roots[1]}},
		});
		await manager.enroll(['a.example.test', 'b.example.test']);
		await runCertbot(folder, server.ca, 'renew', '--force-renewal', '--no-random-sleep-on-renew');
		expect((await manager.list())[0]?.version).toBe(2);
		expect((await manager.renew({force: true})).failed).toEqual([]);
	});
});

describe('when to renew', () => {
	test('after failures in 1, 10 and 100 minutes, then daily, for as long as it takes', () => {
		let state: RenewalState = {attempts: 0};
		const pauses: number[] = [];
		for (let time = 0; time < 31 * 86_400_000; time = state.nextAttempt as number) {
			state = afterFailure(state, time);
			pauses.push(((state.nextAttempt as number) - time) / 60_000);
		}
		expect(pauses.slice(0, 5)).toEqual([1, 10, 100, 1440, 1440]);
		expect(pauses).toHaveLength(34);
		expect((afterFailure(state, 0, 3 * 86_400_000).nextAttempt as number) / 86_400_000).toBe(3);
	});

	test.each([
		[undefined, 6],
		[{retryAfter: 60_000}, 1 / 60],
		[{retryAfter: 86_400_000}, 12],
	])('the authority is asked again after %j: in %d hours, twice a day at least', (answer, hours) => {
		const information = answer && {start: 1000, end: 2000, ...answer};
		const {askAgainAt = 0, renewAt} = rememberInformation({attempts: 0}, lasting(90), information, 0);
		expect(askAgainAt / 3_600_000).toBeCloseTo(hours);
		if (answer !== undefined) expect(renewAt).toBeGreaterThanOrEqual(1000);
		// And a moment that was drawn stays, as long as the window has it.
		const again = rememberInformation(
			{attempts: 0, serialNumber: '01', renewAt: 1500},
			lasting(90),
			information,
			0,
		);
		expect(again.renewAt).toBe(answer === undefined ? undefined : 1500);
	});

	test('a server that cannot be asked does not unsay when to renew; of another certificate it never said', () => {
		const known = {attempts: 0, serialNumber: '01', renewAt: 1500, askAgainAt: 10};
		const after = rememberInformation(known, lasting(90), 'failed', 10);
		expect(after).toEqual({...known, askAgainAt: 10 + 3_600_000});
		const other = rememberInformation({...known, serialNumber: '02'}, lasting(90), 'failed', 10);
		expect(other).toEqual({attempts: 0, serialNumber: '01', askAgainAt: 10 + 3_600_000});
	});

	test('the jitter is for what is due by itself, not for what is forced', async () => {
		const server = await pebbleFor({nonceReject: 0});
		const {manager} = await managerAt(server, {jitter: 2_000_000_000});
		await manager.enroll(['a.example.test']);
		// Weeks, if it waited.
		expect((await manager.renew({force: true})).renewed).toEqual(['a.example.test']);
	});

	const lasting = (days: number) => {
		const now = Date.UTC(2026, 0, 1);
		return {
			validFromDate: new Date(now),
			validToDate: new Date(now + days * 86_400_000),
			serialNumber: '01',
		} as unknown as X509Certificate;
	};

	test.each([
		[90, 60],
		[6, 3],
		[1, 0.5],
	])('a certificate of %d days after %d', (days, after) => {
		const {at} = dueAt(lasting(days), {attempts: 0});
		expect((at - Date.UTC(2026, 0, 1)) / 86_400_000).toBeCloseTo(after);
	});
});
