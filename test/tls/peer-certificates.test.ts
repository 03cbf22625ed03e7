/** The certificates that a server has sent: asked for by anybody, any number of times, and whatever their keys. */
import {readFileSync} from 'node:fs';
import {readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {type ConnectionOptions, connect, createServer, type TLSSocket} from 'node:tls';
import {afterAll, beforeAll, expect, onTestFinished, test} from 'vitest';
import {judgeChain} from '../../src/cli/chain-trust.ts';
import {inspectServer} from '../../src/cli/inspected-server.ts';
import {TlsAgents} from '../../src/tls/agents.ts';
import {answerFromX509, certificatesOf, checkNames} from '../../src/tls/peer-certificates.ts';
import {createTrustSet} from '../../src/trust/trust-stores.ts';
import {describeWith} from '../servers/availability.ts';
import {opensslServer} from '../servers/openssl-server.ts';
import {type Holder, startTlsServer} from '../trust/pki.ts';
import {gatepassFor, grid, host, newFolder, outcome, pki, root, server} from '../trust/stage.ts';

/** An open connection, as it is at the end of the handshake. */
async function opened(
	url: string,
	options: ConnectionOptions,
	prepare = (_: TLSSocket): void => {},
): Promise<TLSSocket> {
	const {hostname, port} = new URL(url);
	return new Promise((resolve, reject) => {
		const socket = connect({host: hostname, port: Number(port), ...options}, () => resolve(socket));
		prepare(socket);
		socket.on('error', reject);
		onTestFinished(() => void socket.destroy());
	});
}

const subjects = (certificates: readonly {subject: string}[]): string[] =>
	certificates.map(({subject}) => subject.split('\n').at(-1) ?? '');

describeWith(opensslServer, "a server's certificates", () => {
	test('are there again and again, all that were sent, in either form', async () => {
		const ca = await readFile(root.certificate);
		const chain = join(pki.folder, 'sent.chain');
		const own = await readFile(host.certificate, 'utf8');
		await writeFile(
			chain,
			own + (await readFile(root.certificate, 'utf8')) + (await readFile(grid.certificate, 'utf8')),
		);
		const {url, close} = await startTlsServer({...host, chain});
		onTestFinished(close);
		const plain = await opened(url, {ca});
		// Node's own, before the other form takes the certificates away.
		// biome-ignore lint/plugin: the key is an ordinary one
		const older = plain.getPeerCertificate(true);
		// That server has time for one at a time.
		plain.destroy();
		const socket = await opened(url, {ca}, answerFromX509);
		for (let time = 0; time < 2; time++) {
			expect(subjects(certificatesOf(socket))).toEqual(['CN=localhost', 'CN=Root', 'CN=Grid CA']);
			expect(socket.getPeerX509Certificate()?.fingerprint256).toBe(older.fingerprint256);
			// biome-ignore lint/plugin: it is answered from the other form
			const answered = socket.getPeerCertificate(true);
			expect(answered.issuerCertificate.issuerCertificate.fingerprint256).toBe(
				older.issuerCertificate.issuerCertificate.fingerprint256,
			);
			const {issuerCertificate: _, ...rest} = older;
			expect(answered).toMatchObject(rest);
			// biome-ignore lint/plugin: it is answered from the other form
			expect(socket.getPeerCertificate()).not.toHaveProperty('issuerCertificate');
		}
	});

	test('none is there before the handshake has ended', () => {
		const socket = connect({host: '127.0.0.1', port: 1});
		socket.on('error', () => {});
		onTestFinished(() => void socket.destroy());
		answerFromX509(socket);
		expect(certificatesOf(socket)).toEqual([]);
		expect(socket.getPeerX509Certificate()).toBeUndefined();
		// biome-ignore lint/plugin: it is answered from the other form
		expect(socket.getPeerCertificate()).toEqual({});
	});

	test('on connections of our own agents, while they are kept', async () => {
		const folder = await newFolder();
		const trust = createTrustSet({patterns: [], files: [folder.path], only: true, source: 'trust[0]'});
		const agents = new TlsAgents();
		onTestFinished(() => agents.close());
		const {request} = await import('node:https');
		const ask = (): Promise<TLSSocket> =>
			new Promise((resolve, reject) => {
				const leg = request(server.url, {agent: agents.for(undefined, trust)}, response => {
					resolve(response.socket as TLSSocket);
					response.resume();
				});
				leg.on('error', reject);
				leg.end();
			});
		const socket = await ask();
		expect(subjects(certificatesOf(socket))).toEqual(['CN=localhost', 'CN=Grid CA']);
		expect(subjects(certificatesOf(await ask()))).toEqual(['CN=localhost', 'CN=Grid CA']);
	});

	test('a great many are not all kept', async () => {
		const many = Array.from({length: 150}, () => root);
		const pem =
			readFileSync(host.certificate, 'utf8') +
			many.map(one => readFileSync(one.certificate, 'utf8')).join('');
		const noisy = createServer({cert: pem, key: readFileSync(host.key)});
		await new Promise<void>(resolve => noisy.listen(0, '127.0.0.1', resolve));
		onTestFinished(() => void noisy.close());
		const {port} = noisy.address() as {port: number};
		const socket = await opened(`https://127.0.0.1:${port}`, {rejectUnauthorized: false}, answerFromX509);
		expect(subjects(certificatesOf(socket))).toEqual(['CN=localhost', 'CN=Root']);
	});
});

// Such keys are for TLS 1.3 in OpenSSL 3.5 and later alone.
const [major = 0, minor = 0] = process.versions.openssl.split('.').map(Number);

describeWith(opensslServer, 'a key on a curve without a name of NIST', () => {
	let brainpool: Holder;
	let url: string;
	let close: () => Promise<void>;

	beforeAll(async () => {
		await pki.openssl(
			...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:brainpoolP256r1', '-nodes'],
			...['-keyout', 'brainpool.key', '-out', 'brainpool.pem', '-subj', '/O=one/O=two/CN=a\\+b'],
			...['-addext', 'subjectAltName=IP:127.0.0.1,DNS:a.example.org', '-days', '2'],
		);
		const at = (name: string): string => join(pki.folder, name);
		brainpool = {
			...host,
			certificate: at('brainpool.pem'),
			key: at('brainpool.key'),
			chain: at('brainpool.pem'),
		};
		const cert = await readFile(brainpool.certificate);
		const tls = createServer({cert, key: await readFile(brainpool.key)}, socket => {
			socket.on('error', () => {});
			socket.once('data', () =>
				socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n'),
			);
		});
		await new Promise<void>(resolve => tls.listen(0, '127.0.0.1', resolve));
		const {port} = tls.address() as {port: number};
		url = `https://127.0.0.1:${port}/`;
		close = () => new Promise(resolve => tls.close(() => resolve()));
	});
	afterAll(() => close?.());

	// Node's older form would end the process.
	test.runIf(major > 3 || minor >= 5)(
		'ends no process: requests, and whoever asks for the certificate',
		async () => {
			expect(await outcome(await gatepassFor(brainpool.certificate), url)).toBe(200);
			const folder = await newFolder([brainpool]);
			expect(await outcome(await gatepassFor(folder.path), url)).toBe(200);
			expect(await outcome(await gatepassFor(root.certificate), url)).toMatchObject({message: /self-signed/});
			const {chain, problems} = await inspectServer(new URL(url));
			expect(problems).toEqual([]);
			await judgeChain(chain, undefined, new URL(url));
			const socket = await opened(url, {rejectUnauthorized: false}, answerFromX509);
			// biome-ignore lint/plugin: it is answered from the other form
			expect(socket.getPeerCertificate(true)).toMatchObject({
				subject: {O: ['one', 'two'], CN: 'a+b'},
				subjectaltname: 'IP Address:127.0.0.1, DNS:a.example.org',
				raw: expect.any(Buffer),
			});
			const [leaf] = certificatesOf(socket);
			for (const [name, isRight] of [
				['127.0.0.1', true],
				['a.example.org', true],
				['b.example.org', false],
				['a+b', false],
			] as const) {
				expect(checkNames(name, leaf as NonNullable<typeof leaf>) === undefined).toBe(isRight);
			}
		},
	);
});
