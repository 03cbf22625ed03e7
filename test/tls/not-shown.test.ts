/** Keys that a server does not take: a certificate that could not be shown is an error, whatever the server answers. */
import 'reflect-metadata';
import {type ChildProcess, spawn} from 'node:child_process';
import {webcrypto} from 'node:crypto';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {createServer, type Server} from 'node:https';
import type {AddressInfo} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {SecureVersion, TLSSocket} from 'node:tls';
import * as x509 from '@peculiar/x509';
import {afterAll, afterEach, beforeAll, describe, expect, test} from 'vitest';
import {CertificateError, createGatepass, type Gatepass} from '../../src/index.ts';
import {describeWith, findProgram} from '../servers/availability.ts';
import {commonNameOf} from '../servers/common-name.ts';
import {opensslServer} from '../servers/openssl-server.ts';
import {stopProcess, untilSaid} from '../servers/process.ts';
import {knownKeyTypes} from './key-types.ts';

let folder: string;
let ca: string;
const files = new Map<string, {certificate: string; key: string}>();
const open: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
	folder = mkdtempSync(join(tmpdir(), 'gatepass-not-shown-'));
	const algorithm = {name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256'};
	const caKeys = (await webcrypto.subtle.generateKey(algorithm, true, [
		'sign',
		'verify',
	])) as webcrypto.CryptoKeyPair;
	const validity = {notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + 86_400_000)};
	const common = {...validity, signingAlgorithm: algorithm};
	const root = await x509.X509CertificateGenerator.createSelfSigned({
		...common,
		name: 'CN=Key CA',
		keys: caKeys,
		extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
	});
	ca = join(folder, 'ca.pem');
	writeFileSync(ca, root.toString('pem'));
	for (const {name, make} of knownKeyTypes) {
		const {publicKey, privateKey} = make();
		const issued = await x509.X509CertificateGenerator.create({
			...common,
			subject: `CN=${name}`,
			issuer: root.subject,
			publicKey: new x509.PublicKey(new Uint8Array(publicKey.export({type: 'spki', format: 'der'}))),
			signingKey: caKeys.privateKey,
			extensions: [new x509.SubjectAlternativeNameExtension([{type: 'ip', value: '127.0.0.1'}])],
		});
		const pair = {certificate: join(folder, `${name}.pem`), key: join(folder, `${name}.key`)};
		writeFileSync(pair.certificate, issued.toString('pem'));
		writeFileSync(pair.key, privateKey.export({type: 'pkcs8', format: 'pem'}), {mode: 0o600});
		files.set(name, pair);
	}
});
afterEach(async () => {
	for (const close of open.splice(0).toReversed()) await close();
});
afterAll(() => rmSync(folder, {recursive: true, force: true}));

/** Cases whose kind of key this Node knows. */
function known<Case extends readonly [string, ...unknown[]]>(cases: readonly Case[]): Case[] {
	return cases.filter(([name]) => knownKeyTypes.some(type => type.name === name));
}

interface Wanted {
	readonly version?: SecureVersion;
	/** As OpenSSL writes them; both for what it takes, and with what it proves its own key. */
	readonly signatures?: string;
	readonly demands?: boolean;
}

/** A server of Node's that asks for a certificate and answers with whose it saw. */
async function start({version, signatures, demands = false}: Wanted): Promise<string> {
	const own = ['rsa', 'P-256'].map(name => files.get(name) as {certificate: string; key: string});
	const server: Server = createServer(
		{
			cert: own.map(({certificate}) => readFileSync(certificate)),
			key: own.map(({key}) => readFileSync(key)),
			ca: readFileSync(ca),
			requestCert: true,
			rejectUnauthorized: demands,
			...(version !== undefined && {minVersion: version, maxVersion: version}),
			...(signatures !== undefined && {sigalgs: signatures}),
		},
		({socket}, response) => response.end(commonNameOf(socket as TLSSocket) ?? 'nobody'),
	);
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	open.push(
		() =>
			new Promise(resolve => {
				server.close(resolve);
				server.closeAllConnections();
			}),
	);
	return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function gatepassWith(url: string, name: string): Promise<Gatepass> {
	const gatepass = await createGatepass({
		env: {},
		config: {
			cache: {url: 'memory:'},
			trust: [{match: url, ca, only: true}],
			hostRules: [{match: url, strategy: 'grid-certificate', options: {...files.get(name)}}],
		},
	});
	open.push(() => gatepass.close());
	return gatepass;
}

const clients: Readonly<Record<string, (gatepass: Gatepass, url: string) => Promise<string>>> = {
	got: (gatepass, url) => gatepass.got(url).text(),
	fetch: async (gatepass, url) => (await gatepass.fetch(url)).text(),
};

async function answerOf(url: string, name: string, client = 'got'): Promise<string> {
	const gatepass = await gatepassWith(url, name);
	return (clients[client] as (typeof clients)['got'])?.(gatepass, url) as Promise<string>;
}

async function refusalOf(url: string, name: string, client?: string): Promise<string> {
	const error: unknown = await answerOf(url, name, client).catch((failure: unknown) => failure);
	expect(error).toBeInstanceOf(CertificateError);
	const start = `${new URL(url).host} asks for a client certificate, but ${files.get(name)?.certificate} (CN=${name}) could not be shown to it: its key is of `;
	const {message} = error as CertificateError;
	expect(message.slice(0, start.length)).toBe(start);
	return message.slice(start.length);
}

describe.each([
	['that can do without one', false],
	['that demands one', true],
])('a server %s', (_, demands) => {
	describe.each(Object.keys(clients))('asked by %s', client => {
		test.each(known([['ml-dsa-44'], ['ml-dsa-87']]))('TLS 1.2 and %s', async name => {
			const url = await start({version: 'TLSv1.2', demands});
			expect(await refusalOf(url, name, client)).toBe(
				`${name.toUpperCase()}, which needs TLS 1.3, and it speaks TLS 1.2. Have TLS 1.3 enabled there, or use a certificate with a key of ECDSA, Ed25519, Ed448 or RSA`,
			);
		});

		const refused: [string, SecureVersion, string, string][] = [
			['P-256', 'TLSv1.2', 'RSA-PSS+SHA256:RSA+SHA256', 'ECDSA (P-256), and it takes RSA'],
			['P-256', 'TLSv1.3', 'RSA-PSS+SHA256', 'ECDSA (P-256), and it takes RSA'],
			['rsa', 'TLSv1.3', 'ECDSA+SHA256:RSA+SHA256', 'RSA, and it takes ECDSA (P-256)'],
			['P-384', 'TLSv1.3', 'ECDSA+SHA256:ed25519', 'ECDSA (P-384), and it takes ECDSA (P-256) or Ed25519'],
			['ed25519', 'TLSv1.2', 'ECDSA+SHA256:RSA+SHA256', 'Ed25519, and it takes ECDSA or RSA'],
			['ed448', 'TLSv1.3', 'ed25519:RSA-PSS+SHA256', 'Ed448, and it takes Ed25519 or RSA'],
			['ml-dsa-44', 'TLSv1.3', 'mldsa65:RSA-PSS+SHA256', 'ML-DSA-44, and it takes ML-DSA-65 or RSA'],
			['secp256k1', 'TLSv1.3', 'ECDSA+SHA256', 'ECDSA (secp256k1), and it takes ECDSA (P-256)'],
		];
		test.each(known(refused))(
			'%s over %s, where it takes %s',
			async (name, version, signatures, expected) => {
				const url = await start({version, signatures, demands});
				expect(await refusalOf(url, name, client)).toBe(`${expected}. Use a certificate with such a key`);
			},
		);

		test.each(['brainpool', 'secp256k1'])('TLS 1.2 and a key on the curve %s', async name => {
			const url = await start({version: 'TLSv1.2', demands});
			expect(await refusalOf(url, name, client)).toMatch(
				/^ECDSA \((?:brainpoolP256r1|secp256k1)\), which it does not take\. Use a certificate with a key of RSA or P-256$/,
			);
		});
	});
});

describe('a key that the server takes', () => {
	const all = (['TLSv1.2', 'TLSv1.3'] as const).flatMap(version =>
		knownKeyTypes.map(({name, versions}) => [name, version, versions.includes(version)] as const),
	);
	test.each(all)('%s over %s: %s', async (name, version, isShown) => {
		const url = await start({version});
		if (isShown) expect(await answerOf(url, name)).toBe(name);
		else expect(await refusalOf(url, name)).toMatch(/Use a certificate|use a certificate/);
	});

	const taken: [string, SecureVersion, string][] = [
		['rsa', 'TLSv1.3', 'RSA-PSS+SHA256'],
		['rsa', 'TLSv1.2', 'RSA+SHA256'],
		['P-384', 'TLSv1.2', 'ECDSA+SHA256:RSA+SHA256'],
		['P-384', 'TLSv1.3', 'ECDSA+SHA384:RSA-PSS+SHA256'],
		['ml-dsa-44', 'TLSv1.3', 'mldsa44:RSA-PSS+SHA256'],
	];
	test.each(known(taken))('%s over %s, where it takes %s', async (name, version, signatures) => {
		expect(await answerOf(await start({version, signatures}), name)).toBe(name);
	});
});

describeWith(opensslServer, 'openssl s_server', () => {
	test.each(['-verify', '-Verify'])('that takes RSA alone, with %s', async verify => {
		const {certificate, key} = files.get('rsa') as {certificate: string; key: string};
		const server: ChildProcess = spawn(
			findProgram('openssl') as string,
			[
				...['s_server', '-accept', '127.0.0.1:0', '-www', '-cert', certificate, '-key', key, '-CAfile', ca],
				...[verify, '3', '-client_sigalgs', 'RSA-PSS+SHA256:RSA+SHA256'],
			],
			{stdio: ['ignore', 'pipe', 'ignore']},
		);
		open.push(() => stopProcess(server, 'SIGTERM'));
		let port = '';
		server.stdout?.on('data', chunk => {
			port ||= /ACCEPT 127\.0\.0\.1:(\d+)/.exec(String(chunk))?.[1] ?? '';
		});
		await untilSaid(server, server.stdout, 'ACCEPT ');
		const url = `https://127.0.0.1:${port}`;
		expect(await refusalOf(url, 'ed25519')).toBe(
			'Ed25519, and it takes RSA. Use a certificate with such a key',
		);
		expect(await answerOf(url, 'rsa')).toContain('CN=rsa');
	});
});
