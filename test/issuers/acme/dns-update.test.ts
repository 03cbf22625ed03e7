/** Challenges by updates of a DNS zone, against Debian's BIND, and with pebble looking. */
import {readFile, stat, writeFile} from 'node:fs/promises';
import {connect, createServer} from 'node:net';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import type {ChallengeTask} from '../../../src/issuers/acme/authenticators/authenticator.ts';
import {dnsValue} from '../../../src/issuers/acme/authenticators/dns-record.ts';
import {
	DnsUpdateAuthenticator,
	type DnsUpdateSettings,
} from '../../../src/issuers/acme/authenticators/dns-update.ts';
import {decodeMessage, decodeText, encodeName, encodeText} from '../../../src/issuers/acme/dns/message.ts';
import {signatureAlgorithms} from '../../../src/issuers/acme/dns/tsig.ts';
import {managerAt, temporaryFolder} from '../../certificates/stage.ts';
import {describeWith} from '../../servers/availability.ts';
import {type Bind, bind, startBind} from '../../servers/bind.ts';
import {certbot, certbotDnsUpdate, runCertbot} from '../../servers/certbot.ts';
import {pebble} from '../../servers/pebble.ts';
import {pebbleFor} from './stage.ts';

async function bindFor(algorithm?: string): Promise<Bind> {
	const server = await startBind(algorithm);
	onTestFinished(() => server.close());
	return server;
}

function authenticatorAt(
	{port, secret, keyName}: Bind,
	settings: Partial<DnsUpdateSettings> = {},
): DnsUpdateAuthenticator {
	const key = {name: keyName, secret, algorithm: 'hmac-sha256'} as const;
	return new DnsUpdateAuthenticator(async () => ({server: '127.0.0.1', port, key, ...settings}));
}

const task = (domain: string, keyAuthorization = 'token.thumbprint'): ChallengeTask => ({
	domain,
	wildcard: false,
	type: 'dns-01',
	token: 'token',
	keyAuthorization,
	accountUrl: 'https://ca.example.org/account/1',
	allDomains: [domain],
	remaining: 0,
});

describeWith(bind, 'with BIND', () => {
	test('a record is added beside others, and only that one is taken away', async () => {
		const server = await bindFor();
		const authenticator = authenticatorAt(server);
		const first = await authenticator.perform(task('a.example.test', 'one'));
		const second = await authenticator.perform(task('a.example.test', 'two'));
		const name = '_acme-challenge.a.example.test';
		expect(await server.texts(name)).toEqual([dnsValue('one'), dnsValue('two')].sort());
		await first();
		expect(await server.texts(name)).toEqual([dnsValue('two')]);
		await second();
		expect(await server.texts(name)).toEqual([]);
	});

	test('aliases are followed, also into another zone', async () => {
		const server = await bindFor();
		const authenticator = authenticatorAt(server);
		for (const [domain, target] of [
			['alias.example.test', '_acme-challenge.target.example.test'],
			['far.example.test', '_acme-challenge.target.other.test'],
		] as const) {
			const cleanUp = await authenticator.perform(task(domain));
			expect(await server.texts(target)).toEqual([dnsValue('token.thumbprint')]);
			await cleanUp();
			expect(await server.texts(target)).toEqual([]);
		}
		await expect(authenticator.perform(task('round.example.test'))).rejects.toThrow(/lead in a circle/);
	});

	test('an alias that another server has is looked up as this machine does', async () => {
		const server = await bindFor();
		const asked: string[] = [];
		const authenticator = authenticatorAt(server, {
			aliasOf: async name => {
				asked.push(name);
				return '_acme-challenge.target.other.test';
			},
		});
		const cleanUp = await authenticator.perform(task('www.elsewhere.test'));
		expect(asked).toEqual(['_acme-challenge.www.elsewhere.test']);
		expect(await server.texts('_acme-challenge.target.other.test')).toHaveLength(1);
		await cleanUp();
	});

	test('a name in a zone of another server is refused before anything is changed', async () => {
		const server = await bindFor();
		const none = {aliasOf: async () => undefined};
		await expect(authenticatorAt(server, none).perform(task('sub.example.test'))).rejects.toThrow(
			/not in charge of _acme-challenge\.sub\.example\.test: sub\.example\.test is a zone of its own/,
		);
		await expect(authenticatorAt(server, none).perform(task('www.nowhere.test'))).rejects.toThrow(
			/not in charge of _acme-challenge\.www\.nowhere\.test/,
		);
		expect(server.log()).not.toMatch(/adding an RR/);
	});

	test('what is wrong with the key is told', async () => {
		const server = await bindFor();
		const wrong = async (name: string, secret = server.secret) => {
			const key = {name, secret, algorithm: 'hmac-sha256'} as const;
			const failed = authenticatorAt(server, {key}).perform(task('a.example.test'));
			return failed.then(
				() => '',
				error => error.message,
			);
		};
		expect(await wrong('no-such-key')).toMatch(/BADKEY.*no key of the name no-such-key/);
		const other = Buffer.alloc(32).toString('base64');
		expect(await wrong(server.keyName, other)).toMatch(/BADSIG.*another secret/);
		expect(await wrong(server.keyName, other)).not.toContain(other);
		expect(await wrong(server.powerless)).toMatch(/REFUSED.*update-policy/);
		expect(await wrong(server.keyName, 'no base64!')).toMatch(/is no base64/);
	});

	test.each(signatureAlgorithms)('it takes %s', async algorithm => {
		const server = await bindFor(algorithm);
		const key = {name: server.keyName, secret: server.secret, algorithm};
		const cleanUp = await authenticatorAt(server, {key}).perform(task('a.example.test'));
		expect(await server.texts('_acme-challenge.a.example.test')).toHaveLength(1);
		await cleanUp();
	});

	test.each([
		[-3600, 'behind', 'clock-behind-server'],
		[3600, 'ahead of', 'clock-ahead-of-server'],
	])('a clock that is wrong by %d seconds is named', async (offset, word, code) => {
		const server = await bindFor();
		const now = Date.now;
		onTestFinished(() => {
			Date.now = now;
		});
		Date.now = () => now() + offset * 1000;
		const failed = authenticatorAt(server).perform(task('a.example.test'));
		await expect(failed).rejects.toThrow(
			new RegExp(`clock is ${word} its own, by 36\\d\\d seconds|by 359\\d`),
		);
		await expect(failed).rejects.toMatchObject({diagnostics: [{code}]});
	});

	test('an answer that was changed on the way is not believed', async () => {
		const server = await bindFor();
		// Passes messages on; of a signed answer, it turns one bit of the signature.
		const meddler = createServer(client => {
			const upstream = connect(server.port, '127.0.0.1');
			client.pipe(upstream);
			upstream.on('data', chunk => {
				// Two bytes of length, then the header: an answer to an update.
				const at = chunk.length - 10;
				if (chunk.readUInt8(4) >> 3 === 0b10101) chunk.writeUInt8(chunk.readUInt8(at) ^ 1, at);
				client.write(chunk);
			});
			client.on('error', () => {});
			upstream.on('error', () => {});
			client.on('close', () => upstream.destroy());
		});
		await new Promise<void>(done => meddler.listen(0, '127.0.0.1', done));
		onTestFinished(() => void meddler.close());
		const {port} = meddler.address() as {port: number};
		await expect(authenticatorAt(server, {port}).perform(task('a.example.test'))).rejects.toThrow(
			/is not signed by the key acme-key/,
		);
	});

	test('a server that is silent, or none, is told within the time limit', async () => {
		const server = await bindFor();
		const silent = createServer(() => {});
		await new Promise<void>(done => silent.listen(0, '127.0.0.1', done));
		const {port} = silent.address() as {port: number};
		const failed = authenticatorAt(server, {port, timeout: 200}).perform(task('a.example.test'));
		await expect(failed).rejects.toThrow(/no answer within 200 ms/);
		silent.close();
		await expect(authenticatorAt(server, {port: 1}).perform(task('a.example.test'))).rejects.toThrow(
			/ECONNREFUSED/,
		);
	});
});

describeWith([bind, pebble], 'with BIND and pebble', () => {
	test('a name and its wildcard, enrolled and renewed, with the key in a file of its own', async () => {
		const zone = await bindFor();
		const server = await pebbleFor({dnsPort: zone.port});
		const {manager, folder} = await managerAt(server, {
			authenticator: {
				name: 'dns-update',
				server: '127.0.0.1',
				port: zone.port,
				keyName: zone.keyName,
				secret: zone.secret,
			},
		});
		await manager.enroll(['a.example.test', '*.a.example.test', 'alias.example.test']);
		expect(await manager.renew({force: true})).toMatchObject({renewed: ['a.example.test'], failed: []});
		const settings = await readFile(join(folder, 'renewal/a.example.test.conf'), 'utf8');
		expect(settings).toMatch(/^authenticator = dns-rfc2136$/m);
		expect(settings).not.toContain(zone.secret);
		const credentials = join(folder, 'gatepass/credentials/a.example.test.ini');
		expect((await stat(credentials)).mode & 0o777).toBe(0o600);
		expect(await zone.texts('_acme-challenge.a.example.test')).toEqual([]);
		expect((await manager.list())[0]?.isForCertbot).toBe(true);
		await manager.delete('a.example.test');
		await expect(stat(credentials)).rejects.toThrow(/ENOENT/);
	});
});

describeWith([bind, pebble, certbot, certbotDnsUpdate], 'with BIND, pebble and certbot', () => {
	test('certbot renews what was enrolled by updates, and its own is renewed', async () => {
		const zone = await bindFor();
		const server = await pebbleFor({dnsPort: zone.port, nonceReject: 0});
		const credentials = join(await temporaryFolder(), 'rfc2136.ini');
		await writeFile(
			credentials,
			`dns_rfc2136_server = 127.0.0.1\ndns_rfc2136_port = ${zone.port}\ndns_rfc2136_name = ${zone.keyName}\ndns_rfc2136_secret = ${zone.secret}\ndns_rfc2136_algorithm = HMAC-SHA256\n`,
			{mode: 0o600},
		);
		const {manager, folder} = await managerAt(server, {authenticator: {name: 'dns-update', credentials}});
		await manager.enroll(['ours.example.test']);
		await runCertbot(folder, server.ca, 'renew', '--force-renewal', '--no-random-sleep-on-renew');
		expect((await manager.list())[0]).toMatchObject({version: 2, warnings: []});
		await runCertbot(
			folder,
			server.ca,
			...['certonly', '--server', server.directoryUrl, '-d', 'theirs.example.test', '--dns-rfc2136'],
			...['--dns-rfc2136-credentials', credentials, '--dns-rfc2136-propagation-seconds', '0'],
		);
		expect(await manager.renew({name: 'theirs.example.test', force: true})).toMatchObject({
			renewed: ['theirs.example.test'],
			failed: [],
		});
	});
});

test('messages that are cut off, or lead in a circle, are refused', () => {
	const header = Buffer.from('000184000001000000000000', 'hex');
	expect(() => decodeMessage(Buffer.concat([header, Buffer.from('c00c00100001', 'hex')]))).toThrow(/circle/);
	expect(() => decodeMessage(Buffer.concat([header, Buffer.from('3f6162', 'hex')]))).toThrow(RangeError);
	expect(() => encodeName(`${'a'.repeat(64)}.test`)).toThrow(/too long/);
	const long = 'x'.repeat(600);
	expect(decodeText(encodeText(long))).toBe(long);
});
