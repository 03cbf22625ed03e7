/**
 * The certificates that a server has sent, in the X.509 form of `node:crypto`.
 *
 * Node's older form (`getPeerCertificate`) ends the process at a key on a curve without a name of NIST's, such as
 * brainpool's; Node itself asks for it at the end of each handshake. And the newer form (`getPeerX509Certificate`) can be
 * asked for once: it takes the certificates out of the connection. So on connections of our own, both forms are answered
 * from certificates that are read once, at the end of the handshake.
 */
import type {X509Certificate} from 'node:crypto';
import {checkServerIdentity, type DetailedPeerCertificate, type PeerCertificate, TLSSocket} from 'node:tls';
import {isIssuedBy, isSelfIssued} from '../x509/certificates.ts';
import {attributesOf} from '../x509/names.ts';

const read = new WeakMap<TLSSocket, readonly X509Certificate[]>();
const failed = new WeakMap<Error, readonly X509Certificate[]>();

/** No chain has so many; a server could send thousands. */
const mostCertificates = 100;

/**
 * All that the server has sent, its own first, each once; none before the end of the handshake. To be asked of connections
 * of our own only: on others, nobody could ask once more.
 */
export function certificatesOf(socket: TLSSocket): readonly X509Certificate[] {
	const known = read.get(socket);
	if (known !== undefined) return known;
	const found = new Map<string, X509Certificate>();
	let next = TLSSocket.prototype.getPeerX509Certificate.call(socket);
	while (next !== undefined && found.size < mostCertificates) {
		if (!found.has(next.fingerprint256)) found.set(next.fingerprint256, next);
		next = next.issuerCertificate;
	}
	const certificates = [...found.values()];
	if (certificates.length > 0) read.set(socket, certificates);
	return certificates;
}

/** Answer whoever asks a new connection of our own for the server's certificate, Node itself included. */
export function answerFromX509(socket: TLSSocket): void {
	socket.getPeerX509Certificate = () => certificatesOf(socket)[0];
	socket.getPeerCertificate = ((detailed?: boolean) =>
		olderForm(certificatesOf(socket), detailed === true)) as TLSSocket['getPeerCertificate'];
	// Emitted at the end of the handshake, before Node decides on the certificate: after a refusal, nothing is left to read.
	socket.prependOnceListener('secure', () => certificatesOf(socket));
	socket.prependListener('error', (error: Error) => {
		const certificates = read.get(socket);
		if (certificates !== undefined) failed.set(error, certificates);
	});
}

/** What the server had sent on the connection that ended with this error; none where that is not known. */
export function certificatesBehind(error: Error): readonly X509Certificate[] {
	return failed.get(error) ?? (error.cause instanceof Error ? certificatesBehind(error.cause) : []);
}

/** An error that says the same as another one. */
export function sameFailure<Failure extends Error>(error: Failure, original: Error): Failure {
	const certificates = certificatesBehind(original);
	if (certificates.length > 0) failed.set(error, certificates);
	return error;
}

/** Whether a server's certificate is for a name or an address, as Node decides it. */
export function checkNames(host: string, certificate: X509Certificate): Error | undefined {
	return checkServerIdentity(host, olderForm([certificate], false));
}

/** Keys whose older form is safe to ask for. */
const safeKeys: readonly unknown[] = [
	'rsa',
	'rsa-pss',
	'ed25519',
	'ed448',
	'prime256v1',
	'secp384r1',
	'secp521r1',
];

function olderForm(certificates: readonly X509Certificate[], isDetailed: boolean): PeerCertificate {
	const [leaf, ...others] = certificates;
	// As Node has it where there is none.
	if (leaf === undefined) return {} as PeerCertificate;
	const form = oneOlderForm(leaf);
	if (!isDetailed) return form;
	const issuer = others.find(other => isIssuedBy(leaf, other));
	const detailed = form as DetailedPeerCertificate;
	if (isSelfIssued(leaf)) detailed.issuerCertificate = detailed;
	else if (issuer !== undefined) {
		const rest = others.filter(other => other !== issuer);
		detailed.issuerCertificate = olderForm([issuer, ...rest], true) as DetailedPeerCertificate;
	}
	return detailed;
}

function oneOlderForm(certificate: X509Certificate): PeerCertificate {
	if (hasSafeKey(certificate)) {
		// biome-ignore lint/plugin: its key is none of those that end the process
		const form = certificate.toLegacyObject();
		const {infoAccess} = form as {infoAccess?: unknown};
		return typeof infoAccess === 'string' ? {...form, infoAccess: accessOf(infoAccess)} : form;
	}
	return {
		subject: namesOf(certificate.subject),
		issuer: namesOf(certificate.issuer),
		subjectaltname: certificate.subjectAltName,
		ca: certificate.ca,
		valid_from: certificate.validFrom,
		valid_to: certificate.validTo,
		fingerprint: certificate.fingerprint,
		fingerprint256: certificate.fingerprint256,
		fingerprint512: certificate.fingerprint512,
		serialNumber: certificate.serialNumber,
		ext_key_usage: certificate.keyUsage,
		raw: certificate.raw,
	} as unknown as PeerCertificate;
}

function hasSafeKey(certificate: X509Certificate): boolean {
	try {
		const {asymmetricKeyType, asymmetricKeyDetails} = certificate.publicKey;
		return safeKeys.includes(asymmetricKeyType) || safeKeys.includes(asymmetricKeyDetails?.namedCurve);
	} catch {
		// A kind of key that OpenSSL does not know.
		return false;
	}
}

/** An attribute that is there several times has a list. */
function namesOf(name: string): object {
	const names = Object.create(null) as Record<string, string | string[]>;
	for (const [attribute, all] of Map.groupBy(attributesOf(name), part => part.name)) {
		const values = all.map(({value}) => value);
		names[attribute] = values.length === 1 ? (values[0] as string) : values;
	}
	return names;
}

/** As Node does it: `CA Issuers - URI:http://…` on a line each. */
function accessOf(text: string): Record<string, string[]> {
	const lines = [...text.matchAll(/([^\n:]*):([^\n]*)(?:\n|$)/g)];
	const access = Object.create(null) as Record<string, string[]>;
	for (const [kind, all] of Map.groupBy(lines, ([, name = '']) => name)) {
		access[kind] = all.map(([, , place = '']) => place);
	}
	return access;
}
