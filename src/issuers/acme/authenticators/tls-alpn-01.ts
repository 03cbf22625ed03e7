/** Answers tls-alpn-01 (RFC 8737): a TLS server that shows a certificate with the answer in it. */
import 'reflect-metadata';
import {createHash, webcrypto} from 'node:crypto';
import {isIP} from 'node:net';
import {createSecureContext, createServer, type SecureContext, type Server} from 'node:tls';
import type {Authenticator, ChallengeTask, CleanUp} from './authenticator.ts';
import {ChallengeListener, type ListenerKind, type ListenerSettings} from './challenge-listener.ts';

const protocol = 'acme-tls/1';

/** Listens while challenges are open, and no longer. */
export class TlsAlpnAuthenticator implements Authenticator {
	readonly name = 'tls-alpn-01';
	readonly isShareable = true;
	readonly challenges = ['tls-alpn-01'];
	/** Answers by the name that the authority asks for. */
	readonly #listener: ChallengeListener<Server, SecureContext>;

	constructor(settings: ListenerSettings = {}) {
		this.#listener = new ChallengeListener(tlsAlpn, settings);
	}

	async perform({domain, keyAuthorization}: ChallengeTask): Promise<CleanUp> {
		const name = isIP(domain) === 0 ? domain : reverseName(domain);
		return this.#listener.open(name, createSecureContext(await answerCertificate(domain, keyAuthorization)));
	}
}

const tlsAlpn: ListenerKind<Server, SecureContext> = {
	challenge: 'tls-alpn-01',
	usualPort: 443,
	create(answers) {
		const server = createServer({
			ALPNProtocols: [protocol],
			SNICallback: (name, done) => {
				const context = answers.get(name.toLowerCase());
				if (context === undefined) done(new Error('no challenge for this name'));
				else done(null, context);
			},
		});
		// RFC 8737 section 3: the connection is closed after the handshake.
		server.on('secureConnection', socket => socket.end());
		server.on('tlsClientError', () => {});
		return server;
	},
	hintFor: () => 'Stop the server that listens there meanwhile, or use http-01 or dns-01',
};

/** Self-signed, with the hash of the answer in an extension that nobody may overlook (RFC 8737 section 3). */
async function answerCertificate(
	domain: string,
	keyAuthorization: string,
): Promise<{key: string; cert: string}> {
	const x509 = await import('@peculiar/x509');
	const algorithm = {name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256'};
	const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
	const hash = createHash('sha256').update(keyAuthorization).digest();
	const certificate = await x509.X509CertificateGenerator.createSelfSigned({
		name: 'CN=ACME challenge',
		notBefore: new Date(Date.now() - 86_400_000),
		notAfter: new Date(Date.now() + 86_400_000),
		keys,
		signingAlgorithm: algorithm,
		extensions: [
			new x509.SubjectAlternativeNameExtension([{type: isIP(domain) === 0 ? 'dns' : 'ip', value: domain}]),
			// An octet string of 32 bytes.
			new x509.Extension('1.3.6.1.5.5.7.1.31', true, Buffer.concat([Buffer.of(0x04, 0x20), hash])),
		],
	});
	const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
	return {key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'), cert: certificate.toString('pem')};
}

/** How an address is asked for where only a name can be (RFC 8738 section 6). */
function reverseName(address: string): string {
	if (isIP(address) === 4) return `${address.split('.').reverse().join('.')}.in-addr.arpa`;
	const [head = '', tail] = address.split('::') as [string, string | undefined];
	const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
	const [before, after] = [groups(head), groups(tail ?? '')];
	const zeros = tail === undefined ? [] : Array.from({length: 8 - before.length - after.length}, () => '0');
	const digits = [...before, ...zeros, ...after].map(group => group.padStart(4, '0')).join('');
	return `${[...digits].reverse().join('.')}.ip6.arpa`;
}
