/** Reads what a version of an identity holds. */
import type {X509Certificate} from 'node:crypto';
import {parseCertificates} from '../x509/certificates.ts';
import {readBounded} from '../x509/files.ts';
import {isEncryptedKey, parsePrivateKey} from '../x509/private-keys.ts';
import type {Version} from './identity-folder.ts';

/** The certificate of a version; `undefined` for one that was adopted without it, or with a damaged one. */
export async function certificateIn({certificate}: Version): Promise<X509Certificate | undefined> {
	try {
		return parseCertificates(await readBounded(certificate), certificate)[0];
	} catch {
		return undefined;
	}
}

/** Whether certificate and key belong together, as far as can be told. */
export async function isPair(certificate: X509Certificate, keyFile: string): Promise<boolean> {
	const key = await readBounded(keyFile);
	// One that was adopted may be encrypted; whoever uses it has the passphrase.
	return isEncryptedKey(key) || certificate.checkPrivateKey(parsePrivateKey(key, keyFile));
}
