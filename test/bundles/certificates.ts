/** Certificates of any validity and kind for the tests of bundles, in PEM. */
import 'reflect-metadata';
import {randomBytes, webcrypto} from 'node:crypto';
import * as x509 from '@peculiar/x509';

const algorithm = {name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256'} as const;
const day = 86_400_000;

export interface MadeCertificate {
	readonly pem: string;
	readonly keys: webcrypto.CryptoKeyPair;
	readonly name: string;
}

export interface CertificateSettings {
	/** Days from now. Default: 1000. */
	readonly endsIn?: number;
	/** Days from now. Default: -2000, so that it begins before it ends. */
	readonly beginsIn?: number;
	/** Default: true. */
	readonly ca?: boolean;
	/** Default: itself. */
	readonly issuer?: MadeCertificate;
}

export async function makeCertificate(
	name: string,
	{endsIn = 1000, beginsIn = -2000, ca = true, issuer}: CertificateSettings = {},
): Promise<MadeCertificate> {
	const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
	const certificate = await x509.X509CertificateGenerator.create({
		serialNumber: `01${randomBytes(8).toString('hex')}`,
		subject: name,
		issuer: issuer?.name ?? name,
		notBefore: new Date(Date.now() + beginsIn * day),
		notAfter: new Date(Date.now() + endsIn * day),
		signingAlgorithm: algorithm,
		publicKey: keys.publicKey,
		signingKey: (issuer?.keys ?? keys).privateKey,
		extensions: [new x509.BasicConstraintsExtension(ca, undefined, true)],
	});
	return {pem: `${certificate.toString('pem')}\n`, keys, name};
}
