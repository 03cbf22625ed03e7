/** Obtaining certificates from pebble: every challenge, and every way in which it can go wrong. */
import {execFileSync} from 'node:child_process';
import {X509Certificate} from 'node:crypto';
import {existsSync} from 'node:fs';
import {mkdtemp, readdir, readFile, rm} from 'node:fs/promises';
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import {networkInterfaces, tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {AcmeError} from '../../../src/errors.ts';
import {CommandAuthenticator} from '../../../src/issuers/acme/authenticators/dns-command.ts';
import {
	StandaloneAuthenticator,
	WebrootAuthenticator,
} from '../../../src/issuers/acme/authenticators/http-01.ts';
import {TlsAlpnAuthenticator} from '../../../src/issuers/acme/authenticators/tls-alpn-01.ts';
import {
	generateCertificateKey,
	identifierOf,
	readCertificateRequest,
} from '../../../src/issuers/acme/certificate-request.ts';
import {type ObtainSettings, obtainCertificate, type Progress} from '../../../src/issuers/acme/obtain.ts';
import {Orders} from '../../../src/issuers/acme/order.ts';
import {revokeCertificate} from '../../../src/issuers/acme/revoke.ts';
import {describeWith} from '../../servers/availability.ts';
import {freePorts} from '../../servers/free-port.ts';
import {type Pebble, pebble} from '../../servers/pebble.ts';
import {accountAt, connectTo, pebbleFor} from './stage.ts';

const address = '127.0.0.1';

async function obtain(server: Pebble, domains: readonly string[], settings: Partial<ObtainSettings> = {}) {
	const connection = connectTo(server);
	const account = await accountAt(connection);
	const key = generateCertificateKey();
	const obtained = await obtainCertificate(connection, account, {
		identifiers: domains.map(identifierOf),
		key,
		authenticators: [new StandaloneAuthenticator({address, port: server.httpPort})],
		...settings,
	});
	return {...obtained, key, connection, account, leaf: new X509Certificate(obtained.certificate)};
}

describeWith(pebble, 'pebble', () => {
	test('http-01 by a server of its own, for several names at once', async () => {
		const server = await pebbleFor();
		const seen: Progress[] = [];
		const {leaf, key, fullchain, chain, certificate} = await obtain(
			server,
			['a.example.test', 'b.example.test'],
			{
				onProgress: progress => seen.push(progress),
			},
		);
		expect(leaf.subjectAltName).toBe('DNS:a.example.test, DNS:b.example.test');
		expect(leaf.checkPrivateKey(key)).toBe(true);
		expect(fullchain).toBe(certificate + chain);
		const [issuer] = chain.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? [];
		expect(leaf.verify(new X509Certificate(issuer as string).publicKey)).toBe(true);
		expect(seen.filter(({domain}) => domain === 'a.example.test').map(({state}) => state)).toEqual([
			'pending',
			'challenge',
			'valid',
			'issued',
		]);
		// Nothing listens any more.
		await expect(fetch(`http://127.0.0.1:${server.httpPort}/`)).rejects.toThrow();
	});

	test('http-01 by files in the folder of a web server, which are gone afterwards', async () => {
		const server = await pebbleFor();
		const folder = await mkdtemp(join(tmpdir(), 'gatepass-webroot-'));
		const asked: string[] = [];
		const web = createServer((request, response) => {
			asked.push(request.url ?? '');
			const file = join(folder, request.url ?? '');
			readFile(file).then(
				content => response.end(content),
				() => response.writeHead(404).end(),
			);
		});
		await new Promise<void>(done => web.listen(server.httpPort, address, done));
		onTestFinished(async () => {
			web.closeAllConnections();
			await new Promise(done => web.close(done));
			await rm(folder, {recursive: true, force: true});
		});
		const {leaf} = await obtain(server, ['web.example.test'], {
			authenticators: [new WebrootAuthenticator(folder)],
		});
		expect(leaf.subjectAltName).toBe('DNS:web.example.test');
		expect(asked.length).toBeGreaterThan(0);
		expect(await readdir(folder)).toEqual([]);
	});

	test('tls-alpn-01', async () => {
		const server = await pebbleFor();
		const {leaf} = await obtain(server, ['alpn.example.test'], {
			authenticators: [new TlsAlpnAuthenticator({address, port: server.tlsPort})],
		});
		expect(leaf.subjectAltName).toBe('DNS:alpn.example.test');
	});

	test("dns-01 by certbot's hooks, for a name and its wildcard", async () => {
		const server = await pebbleFor();
		const folder = await mkdtemp(join(tmpdir(), 'gatepass-hooks-'));
		onTestFinished(() => rm(folder, {recursive: true, force: true}));
		const log = join(folder, 'log');
		// challtestsrv keeps one value for each call and adds them up, as a real zone does.
		const set = server.dnsCommand(
			'set-txt',
			'{"host":"_acme-challenge.$CERTBOT_DOMAIN.","value":"$CERTBOT_VALIDATION"}',
		);
		const clear = server.dnsCommand('clear-txt', '{"host":"_acme-challenge.$CERTBOT_DOMAIN."}');
		const {leaf} = await obtain(server, ['wild.example.test', '*.wild.example.test'], {
			authenticators: [
				new CommandAuthenticator({
					auth: `${set} && echo "$CERTBOT_ALL_DOMAINS $CERTBOT_REMAINING_CHALLENGES" >> ${log} && echo placed`,
					cleanup: `${clear} && echo "cleaned $CERTBOT_AUTH_OUTPUT" >> ${log}`,
				}),
			],
		});
		expect(leaf.subjectAltName?.split(', ').sort()).toEqual([
			'DNS:*.wild.example.test',
			'DNS:wild.example.test',
		]);
		expect((await readFile(log, 'utf8')).trim().split('\n')).toEqual([
			'wild.example.test,*.wild.example.test 1',
			'wild.example.test,*.wild.example.test 0',
			'cleaned placed',
			'cleaned placed',
		]);
	});

	test.each([
		['ECDSA on P-384', {type: 'ecdsa', curve: 'secp384r1'}, 'ec'],
		['RSA', {type: 'rsa', size: 2048}, 'rsa'],
	] as const)('a key of %s', async (_, kind, type) => {
		const server = await pebbleFor();
		const key = generateCertificateKey(kind);
		const {leaf} = await obtain(server, ['key.example.test'], {key});
		expect(leaf.publicKey.asymmetricKeyType).toBe(type);
		expect(leaf.checkPrivateKey(key)).toBe(true);
	});

	test('a request that openssl made', async () => {
		const server = await pebbleFor();
		const pem = execFileSync(
			'openssl',
			[
				'req',
				'-new',
				'-newkey',
				'ec',
				'-pkeyopt',
				'ec_paramgen_curve:P-256',
				'-nodes',
				'-keyout',
				'/dev/null',
				'-subj',
				'/CN=ignored.example.test',
				'-addext',
				'subjectAltName=DNS:foreign.example.test',
			],
			{encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore']},
		);
		const {request, identifiers} = await readCertificateRequest(pem);
		expect(identifiers).toEqual([{type: 'dns', value: 'foreign.example.test'}]);
		// pebble takes no name under CN alone, and demands that it is among the others.
		const clean = execFileSync(
			'openssl',
			[
				'req',
				'-new',
				'-newkey',
				'ec',
				'-pkeyopt',
				'ec_paramgen_curve:P-256',
				'-nodes',
				'-keyout',
				'/dev/null',
				'-subj',
				'/',
				'-addext',
				'subjectAltName=DNS:foreign.example.test',
				'-outform',
				'DER',
			],
			{stdio: ['ignore', 'pipe', 'ignore']},
		);
		const read = await readCertificateRequest(clean);
		expect(request.length).toBeGreaterThan(0);
		const {leaf} = await obtain(server, ['foreign.example.test'], {key: {request: read.request}});
		expect(leaf.subjectAltName).toBe('DNS:foreign.example.test');
	});

	test('the chain to the issuer that is wanted, of several; without it, the usual one', async () => {
		const server = await pebbleFor({alternateRoots: 2, nonceReject: 0});
		const names = await Promise.all(
			[0, 1, 2].map(async index => new X509Certificate(await server.root(index)).subject.replace('CN=', '')),
		);
		expect(new Set(names).size).toBe(3);
		for (const [index, wanted] of [...names, 'nobody'].entries()) {
			const {chain} = await obtain(server, ['chain.example.test'], {preferredChain: wanted});
			const [intermediate] = chain.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? [];
			const issuer = new X509Certificate(intermediate as string).issuer.replace('CN=', '');
			expect(issuer).toBe(names[index] ?? names[0]);
		}
	});

	test.each([50, 90])('with %i percent of the nonces refused', async nonceReject => {
		const server = await pebbleFor({nonceReject});
		const {leaf} = await obtain(server, ['nonce.example.test']);
		expect(leaf.subjectAltName).toBe('DNS:nonce.example.test');
	});

	test('a challenge that nobody answers is an error with the reason, and the answers are taken away', async () => {
		const server = await pebbleFor();
		let cleaned = 0;
		const nobody = {
			name: 'nobody',
			challenges: ['http-01'],
			perform: async () => async () => {
				cleaned += 1;
			},
		};
		const failure = await obtain(server, ['nobody.example.test'], {authenticators: [nobody]}).catch(
			error => error,
		);
		expect(failure).toBeInstanceOf(AcmeError);
		expect(failure.type).toBe('connection');
		expect(failure.message).toMatch(
			/did not authorize nobody\.example\.test \(connection\): .*See that the authority can reach/s,
		);
		expect(cleaned).toBe(1);
	});

	test('with some names unproven, the rest is issued where that is allowed', async () => {
		const server = await pebbleFor();
		const standalone = new StandaloneAuthenticator({address, port: server.httpPort});
		const partly = {
			name: 'partly',
			challenges: ['http-01'],
			perform: (task: Parameters<StandaloneAuthenticator['perform']>[0]) =>
				task.domain.startsWith('bad') ? Promise.resolve(async () => {}) : standalone.perform(task),
		};
		const names = ['good.example.test', 'bad.example.test'];
		await expect(obtain(server, names, {authenticators: [partly]})).rejects.toThrow(/did not authorize bad/);
		const {leaf, identifiers} = await obtain(server, names, {authenticators: [partly], allowSubset: true});
		expect(leaf.subjectAltName).toBe('DNS:good.example.test');
		expect(identifiers).toEqual([{type: 'dns', value: 'good.example.test'}]);
	});

	test('each name at fault is told', async () => {
		const server = await pebbleFor();
		const nobody = {name: 'nobody', challenges: ['http-01'], perform: async () => async () => {}};
		const failure = await obtain(server, ['one.example.test', 'two.example.test'], {
			authenticators: [nobody],
		}).catch(error => error);
		expect(failure.subproblems.map(({identifier}: {identifier: string}) => identifier).sort()).toEqual([
			'one.example.test',
			'two.example.test',
		]);
	});

	test('a challenge that nothing here can answer is told with what is offered', async () => {
		const server = await pebbleFor();
		await expect(obtain(server, ['*.star.example.test'])).rejects.toThrow(
			/offers dns-01.* for \*\.star\.example\.test, and only http-01 can be answered here/,
		);
	});

	test('an order whose process died goes on with the next one', async () => {
		const server = await pebbleFor();
		let place = '';
		const died = new Error('killed');
		const connection = connectTo(server);
		const account = await accountAt(connection);
		const settings = {
			identifiers: [identifierOf('resumed.example.test')],
			key: generateCertificateKey(),
			authenticators: [new StandaloneAuthenticator({address, port: server.httpPort})],
		};
		await expect(
			obtainCertificate(connection, account, {
				...settings,
				onProgress: ({state}) => {
					if (state === 'valid') throw died;
				},
				onOrder: ({url}) => {
					place = url;
				},
			}),
		).rejects.toThrow();
		const order = await new Orders(connectTo(server), account).resume(place);
		expect(order.status).toBe('ready');
		// Nobody answers a challenge any more: what is proven stays proven.
		const resumed = {...settings, authenticators: [], resume: place};
		const {certificate} = await obtainCertificate(connectTo(server), account, resumed);
		expect(new X509Certificate(certificate).checkPrivateKey(settings.key)).toBe(true);
		// And once more, now that it is issued.
		const again = await obtainCertificate(connectTo(server), account, resumed);
		expect(again.certificate).toBe(certificate);
	});

	test('is revoked by the account, and by the key of the certificate', async () => {
		const server = await pebbleFor();
		const {leaf, connection, account} = await obtain(server, ['gone.example.test']);
		expect(await server.statusOf(leaf.serialNumber)).toBe('Valid');
		await revokeCertificate(connection, leaf, {signer: account, reason: 'superseded'});
		expect(await server.statusOf(leaf.serialNumber)).toBe('Revoked');
		const again = await revokeCertificate(connection, leaf, {signer: account}).catch(error => error);
		expect(again.type).toBe('alreadyRevoked');
		const other = await obtain(server, ['lost.example.test']);
		await revokeCertificate(connectTo(server), other.leaf, {signer: other.key, reason: 'keyCompromise'});
		expect(await server.statusOf(other.leaf.serialNumber)).toBe('Revoked');
	});
});

test('a port that is taken is told with what to do', async () => {
	const taken = createServer();
	await new Promise<void>(done => taken.listen(0, address, done));
	onTestFinished(() => new Promise(done => taken.close(() => done())));
	const {port} = taken.address() as AddressInfo;
	const task = {
		domain: 'a',
		wildcard: false,
		type: 'http-01',
		token: 't',
		keyAuthorization: 'k',
		allDomains: [],
		remaining: 0,
		accountUrl: '',
	};
	await expect(new StandaloneAuthenticator({address, port}).perform(task)).rejects.toThrow(
		/Nothing could listen on 127\.0\.0\.1, port \d+, .*\(EADDRINUSE\)\. Use the server that listens there/,
	);
	await expect(new TlsAlpnAuthenticator({address, port}).perform(task)).rejects.toThrow(/EADDRINUSE/);
});

test('a token that would lead out of the folder is refused', async () => {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-webroot-'));
	onTestFinished(() => rm(folder, {recursive: true, force: true}));
	const task = {
		domain: 'a',
		wildcard: false,
		type: 'http-01',
		keyAuthorization: 'k',
		allDomains: [],
		remaining: 0,
		accountUrl: '',
	};
	await expect(new WebrootAuthenticator(folder).perform({...task, token: '../../escaped'})).rejects.toThrow(
		/no token/,
	);
	expect(existsSync(join(folder, '.well-known'))).toBe(false);
});

test('a hook that fails is told with its last words', async () => {
	const task = {
		domain: 'a.example.test',
		wildcard: false,
		type: 'dns-01',
		token: 't',
		keyAuthorization: 'k',
		allDomains: [],
		remaining: 0,
		accountUrl: '',
	};
	const hook = new CommandAuthenticator({auth: 'echo "no such zone" >&2; exit 3'});
	await expect(hook.perform(task)).rejects.toThrow(
		/The auth hook for a\.example\.test ended with 3: no such zone\./,
	);
	const slow = new CommandAuthenticator({auth: 'sleep 60', timeout: 50});
	await expect(slow.perform(task)).rejects.toThrow(/did not end within 50 ms/);
});

test('http-01 by a server of its own is answered over IPv4 and IPv6', async () => {
	const hasIpv6 = Object.values(networkInterfaces()).some(list =>
		list?.some(({address}) => address === '::1'),
	);
	const [port = 0] = await freePorts(1);
	const takeAway = await new StandaloneAuthenticator({port}).perform({
		...{domain: 'a.example.test', wildcard: false, type: 'http-01', token: 'a-token', accountUrl: ''},
		...{keyAuthorization: 'a-token.thumbprint', allDomains: ['a.example.test'], remaining: 0},
	});
	try {
		for (const host of hasIpv6 ? ['127.0.0.1', '[::1]'] : ['127.0.0.1']) {
			const answer = await fetch(`http://${host}:${port}/.well-known/acme-challenge/a-token`);
			expect(await answer.text()).toBe('a-token.thumbprint');
		}
	} finally {
		await takeAway();
	}
	await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
});
