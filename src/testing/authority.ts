/** A certificate authority for tests: makes certificates in milliseconds, writes them into a folder of its own. */
import 'reflect-metadata';
import {randomBytes, webcrypto} from 'node:crypto';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {Pkcs10CertificateRequest} from '@peculiar/x509';

/** PEM files of a certificate and its key. */
export interface CertificateFiles {
	readonly certificate: string;
	readonly key: string;
}

/** What a certificate is to say. */
export interface CertificateRequest {
	/** As RFC 2253 writes it, such as `CN=alice,O=Example`. */
	readonly subject: string;
	/** Names and addresses of a server. */
	readonly hosts?: readonly string[];
	/** Milliseconds since 1970. Default: an hour ago. */
	readonly notBefore?: number;
	/** Milliseconds since 1970. Default: in a day. */
	readonly notAfter?: number;
}

/** A certificate authority of its own, with the folder that holds its files. */
export interface TestAuthority {
	/** PEM file of the CA certificate. */
	readonly ca: string;
	/** Where all files are. */
	readonly folder: string;
	/** Issue a certificate; its files are named after `name`. */
	issue(name: string, request: CertificateRequest): Promise<CertificateFiles>;
	/** Sign a certificate request (PEM), and give back the certificate in PEM. */
	sign(request: string, settings?: SigningSettings): Promise<string>;
	/** A new certificate revocation list, in PEM, of certificates with these serial numbers. */
	revocationList(serialNumbers: readonly string[]): Promise<string>;
	/** Remove the folder. */
	close(): Promise<void>;
}

/** What the certificate of a request is to say. */
export interface SigningSettings extends Partial<Omit<CertificateRequest, 'hosts'>> {
	/** Object identifiers of certificate policies, such as the grid's policy of robots. */
	readonly policies?: readonly string[];
}

const algorithm = {name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256'} as const;
const hour = 3_600_000;

/** Make a certificate authority. */
export async function createTestAuthority(name = 'gatepass test CA'): Promise<TestAuthority> {
	// Loaded here: nobody needs X.509 code who does not make certificates.
	const x509 = await import('@peculiar/x509');
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-ca-'));
	const caKeys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
	const validity = {notBefore: new Date(Date.now() - hour), notAfter: new Date(Date.now() + 24 * hour)};
	const ca = await x509.X509CertificateGenerator.createSelfSigned({
		serialNumber: newSerial(),
		name: `CN=${name}`,
		...validity,
		signingAlgorithm: algorithm,
		keys: caKeys,
		extensions: [
			new x509.BasicConstraintsExtension(true, undefined, true),
			new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
			await x509.SubjectKeyIdentifierExtension.create(caKeys.publicKey),
		],
	});
	const caFile = join(folder, 'ca.pem');
	await writeFile(caFile, `${ca.toString('pem')}\n`);
	return {
		ca: caFile,
		folder,
		async issue(fileName, {subject, hosts = [], notBefore, notAfter}) {
			const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
			const certificate = await x509.X509CertificateGenerator.create({
				serialNumber: newSerial(),
				subject: inOrderOfEncoding(subject),
				issuer: ca.subject,
				notBefore: notBefore === undefined ? validity.notBefore : new Date(notBefore),
				notAfter: notAfter === undefined ? validity.notAfter : new Date(notAfter),
				signingAlgorithm: algorithm,
				publicKey: keys.publicKey,
				signingKey: caKeys.privateKey,
				extensions: [
					new x509.BasicConstraintsExtension(false, undefined, true),
					new x509.ExtendedKeyUsageExtension([
						x509.ExtendedKeyUsage.clientAuth,
						...(hosts.length > 0 ? [x509.ExtendedKeyUsage.serverAuth] : []),
					]),
					await x509.AuthorityKeyIdentifierExtension.create(ca),
					...(hosts.length > 0
						? [
								new x509.SubjectAlternativeNameExtension(
									hosts.map(host => ({type: isAddress(host) ? 'ip' : 'dns', value: host})),
								),
							]
						: []),
				],
			});
			const files = {certificate: join(folder, `${fileName}.pem`), key: join(folder, `${fileName}.key`)};
			const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
			await writeFile(files.certificate, `${certificate.toString('pem')}\n`);
			await writeFile(files.key, `${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`, {mode: 0o600});
			return files;
		},
		async sign(request, {subject, notBefore, notAfter, policies = []} = {}) {
			const {publicKey, subject: requested} = await verified(new x509.Pkcs10CertificateRequest(request));
			const certificate = await x509.X509CertificateGenerator.create({
				serialNumber: newSerial(),
				subject: subject === undefined ? requested : inOrderOfEncoding(subject),
				issuer: ca.subject,
				notBefore: notBefore === undefined ? validity.notBefore : new Date(notBefore),
				notAfter: notAfter === undefined ? validity.notAfter : new Date(notAfter),
				signingAlgorithm: algorithm,
				publicKey,
				signingKey: caKeys.privateKey,
				extensions: [
					new x509.BasicConstraintsExtension(false, undefined, true),
					new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
					await x509.AuthorityKeyIdentifierExtension.create(ca),
					...(policies.length > 0 ? [new x509.CertificatePolicyExtension([...policies])] : []),
				],
			});
			return `${certificate.toString('pem')}\n`;
		},
		async revocationList(serialNumbers) {
			const list = await x509.X509CrlGenerator.create({
				issuer: ca.subject,
				thisUpdate: validity.notBefore,
				nextUpdate: validity.notAfter,
				signingAlgorithm: algorithm,
				signingKey: caKeys.privateKey,
				entries: serialNumbers.map(serialNumber => ({serialNumber, revocationDate: new Date()})),
			});
			return `${x509.PemConverter.encode(list.rawData, 'X509 CRL')}\n`;
		},
		async close() {
			await rm(folder, {recursive: true, force: true});
		},
	};
}

/** A request whose sender has the key. */
async function verified(request: Pkcs10CertificateRequest): Promise<Pkcs10CertificateRequest> {
	if (await request.verify()) return request;
	throw new Error('The signature of the certificate request is wrong');
}

/** Positive, as RFC 5280 section 4.1.2.2 demands. */
function newSerial(): string {
	return `01${randomBytes(8).toString('hex')}`;
}

/** RFC 2253 writes the last part first, the library takes the first part first. */
function inOrderOfEncoding(subject: string): string {
	return subject
		.split(/(?<!\\),/)
		.reverse()
		.join(',');
}

function isAddress(host: string): boolean {
	return /^[\d.]+$/.test(host) || host.includes(':');
}
