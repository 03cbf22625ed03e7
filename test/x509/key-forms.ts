/**
 * The forms of keys and PKCS#12 files that tools write, and what becomes of each. The tests make them with the real tools;
 * docs/certificates.md shows the same list.
 */

/** `OUT`, `IN`, `CERTIFICATE` and `STORE` stand for the files; the passphrase is {@link formPassphrase}. */
export interface Form {
	readonly title: string;
	readonly tool: 'openssl' | 'pk12util' | 'certtool' | 'keytool';
	readonly parameters: readonly string[];
	/** The scheme that the error names, where it does not open. */
	readonly unsupported?: string;
}

export const formPassphrase = 'hunter2 canary';

const legacy = ['-provider', 'legacy', '-provider', 'default'];
const secret = ['-passout', `pass:${formPassphrase}`];
const pkcs8 = (...parameters: string[]): string[] => [
	...['pkcs8', '-topk8', ...legacy, '-in', 'IN', ...parameters, ...secret, '-out', 'OUT'],
];
const traditional = (cipher: string): string[] => [
	...['rsa', ...legacy, '-traditional', `-${cipher}`, '-in', 'IN', ...secret, '-out', 'OUT'],
];
const openssl = (title: string, parameters: string[], unsupported?: string): Form => ({
	title,
	tool: 'openssl',
	parameters,
	...(unsupported !== undefined && {unsupported}),
});

/** Keys of RSA, encrypted. */
export const keyForms: readonly Form[] = [
	openssl('PBES2: AES-256', pkcs8('-v2', 'aes-256-cbc')),
	openssl('PBES2: AES-128, HMAC-SHA512', pkcs8('-v2', 'aes-128-cbc', '-v2prf', 'hmacWithSHA512')),
	openssl('PBES2: AES-192, HMAC-SHA1', pkcs8('-v2', 'aes-192-cbc', '-v2prf', 'hmacWithSHA1')),
	openssl('PBES2: AES-256 with scrypt', pkcs8('-scrypt')),
	openssl('PBES2: Camellia', pkcs8('-v2', 'camellia-256-cbc')),
	openssl('PBES2: ARIA', pkcs8('-v2', 'aria-128-cbc')),
	openssl('PBES2: 3DES', pkcs8('-v2', 'des3')),
	openssl('PBES2: DES', pkcs8('-v2', 'des')),
	openssl('PBES2: RC2 with 128 bits', pkcs8('-v2', 'rc2')),
	openssl('PBES2: RC2 with 40 bits', pkcs8('-v2', 'rc2-40')),
	openssl('PBES2: RC4', pkcs8('-v2', 'rc4'), 'RC4 (PBES2)'),
	openssl('PBES2: Blowfish', pkcs8('-v2', 'bf'), 'Blowfish (PBES2)'),
	openssl('PBES2: SEED', pkcs8('-v2', 'seed'), 'SEED (PBES2)'),
	openssl('PBES1: DES, MD5', pkcs8('-v1', 'PBE-MD5-DES')),
	openssl('PBES1: DES, SHA-1', pkcs8('-v1', 'PBE-SHA1-DES')),
	openssl('PBES1: RC2, MD5', pkcs8('-v1', 'PBE-MD5-RC2-64')),
	openssl('PBES1: RC2, SHA-1', pkcs8('-v1', 'PBE-SHA1-RC2-64')),
	openssl('PKCS#12: 3DES', pkcs8('-v1', 'PBE-SHA1-3DES')),
	openssl('PKCS#12: 3DES with two keys', pkcs8('-v1', 'PBE-SHA1-2DES')),
	openssl('PKCS#12: RC2 with 128 bits', pkcs8('-v1', 'PBE-SHA1-RC2-128')),
	openssl('PKCS#12: RC2 with 40 bits', pkcs8('-v1', 'PBE-SHA1-RC2-40')),
	openssl('PKCS#12: RC4', pkcs8('-v1', 'PBE-SHA1-RC4-128'), 'RC4 with 128 bits (PKCS#12)'),
	openssl('PKCS#12: RC4 with 40 bits', pkcs8('-v1', 'PBE-SHA1-RC4-40'), 'RC4 with 40 bits (PKCS#12)'),
	openssl('traditional: AES-256', traditional('aes256')),
	openssl('traditional: 3DES', traditional('des3')),
	openssl('traditional: DES', traditional('des')),
	openssl('traditional: Camellia', traditional('camellia128')),
	openssl('traditional: RC2', traditional('rc2')),
	openssl('traditional: RC2 with 40 bits', traditional('rc2-40')),
	openssl('traditional: Blowfish', traditional('bf'), 'BF-CBC'),
	openssl('traditional: CAST5', traditional('cast'), 'CAST5-CBC'),
	openssl('traditional: SEED', traditional('seed'), 'SEED-CBC'),
	...['aes-256', '3des', '3des-pkcs12', 'rc2-40'].map(
		(cipher): Form => ({title: `certtool's ${cipher}`, tool: 'certtool', parameters: gnutlsKey(cipher)}),
	),
	{
		title: "certtool's arcfour",
		tool: 'certtool',
		parameters: gnutlsKey('arcfour'),
		unsupported: 'RC4 with 128 bits (PKCS#12)',
	},
];

function gnutlsKey(cipher: string): string[] {
	return [
		...['--to-p8', '--load-privkey', 'IN', '--password', formPassphrase, '--pkcs-cipher', cipher],
		...['--outfile', 'OUT'],
	];
}

const pkcs12 = (...parameters: string[]): string[] => [
	...['pkcs12', '-export', '-in', 'CERTIFICATE', '-inkey', 'IN', ...parameters, ...secret, '-out', 'OUT'],
];
const nss = (title: string, cipher: string | undefined, unsupported?: string): Form => ({
	title: `pk12util: ${title}`,
	tool: 'pk12util',
	parameters: [
		...['-o', 'OUT', '-n', 'alice', '-d', 'sql:nss', '-W', formPassphrase],
		...(cipher === undefined ? [] : ['-c', cipher, '-C', cipher]),
	],
	...(unsupported !== undefined && {unsupported}),
});
const gnutls = (title: string, cipher: string | undefined, unsupported?: string): Form => ({
	title: `certtool: ${title}`,
	tool: 'certtool',
	parameters: [
		...['--to-p12', '--load-certificate', 'CERTIFICATE', '--load-privkey', 'IN', '--p12-name', 'alice'],
		...['--password', formPassphrase, ...(cipher === undefined ? [] : ['--pkcs-cipher', cipher])],
		...['--outder', '--outfile', 'OUT'],
	],
	...(unsupported !== undefined && {unsupported}),
});
/** From the file that openssl makes, as keytool itself makes no certificate of a CA's. */
const java = (title: string, properties: readonly string[], unsupported?: string): Form => ({
	title: `keytool: ${title}`,
	tool: 'keytool',
	parameters: [
		...properties.map(property => `-J-Dkeystore.pkcs12.${property}`),
		...['-importkeystore', '-noprompt', '-srckeystore', 'STORE', '-srcstoretype', 'PKCS12'],
		...['-srcstorepass', formPassphrase, '-destkeystore', 'OUT', '-deststoretype', 'PKCS12'],
		...['-deststorepass', formPassphrase],
	],
	...(unsupported !== undefined && {unsupported}),
});
const javaCiphers = (name: string): string[] => [
	`keyProtectionAlgorithm=${name}`,
	`certProtectionAlgorithm=${name}`,
];

/** PKCS#12 files of Alice's. */
export const pkcs12Forms: readonly Form[] = [
	openssl('OpenSSL 3: AES-256', pkcs12()),
	openssl(
		'OpenSSL: AES-128, SHA-512',
		pkcs12('-keypbe', 'AES-128-CBC', '-certpbe', 'AES-128-CBC', '-macalg', 'sha512'),
	),
	openssl('OpenSSL: Camellia', pkcs12('-keypbe', 'CAMELLIA-256-CBC', '-certpbe', 'CAMELLIA-256-CBC')),
	openssl('OpenSSL before 3: 3DES and RC2 with 40 bits', pkcs12('-legacy')),
	openssl(
		'OpenSSL: 3DES with two keys',
		pkcs12('-legacy', '-keypbe', 'PBE-SHA1-2DES', '-certpbe', 'PBE-SHA1-RC2-128'),
	),
	openssl(
		'OpenSSL: DES, MD5 (PBES1)',
		pkcs12('-legacy', '-keypbe', 'PBE-MD5-DES', '-certpbe', 'PBE-SHA1-DES'),
	),
	openssl('OpenSSL: MAC of MD5', pkcs12('-macalg', 'md5')),
	openssl('OpenSSL: MAC of SHA-224', pkcs12('-macalg', 'sha224')),
	openssl('OpenSSL: nothing encrypted, no MAC', pkcs12('-keypbe', 'NONE', '-certpbe', 'NONE', '-nomac')),
	openssl(
		'OpenSSL: RC4',
		pkcs12('-legacy', '-keypbe', 'PBE-SHA1-RC4-128', '-certpbe', 'PBE-SHA1-RC4-128'),
		'RC4 with 128 bits (PKCS#12)',
	),
	nss('AES', undefined),
	nss('DES, SHA-1 (PBES1)', 'DES-CBC'),
	nss('3DES', 'PKCS #12 V2 PBE With SHA-1 And 3KEY Triple DES-CBC'),
	nss('RC4', 'PKCS #12 V2 PBE With SHA-1 And 128 Bit RC4', 'RC4 with 128 bits (PKCS#12)'),
	gnutls('AES', undefined),
	gnutls('3DES (PBES2)', '3des'),
	gnutls('RC2 with 40 bits', 'rc2-40'),
	gnutls('RC4', 'arcfour', 'RC4 with 128 bits (PKCS#12)'),
	java('AES', []),
	java('before Java 16: 3DES and RC2 with 40 bits', ['legacy']),
	java('RC2 with 128 bits', javaCiphers('PBEWithSHA1AndRC2_128')),
	java('AES-128, HMAC-SHA512', javaCiphers('PBEWithHmacSHA512AndAES_128')),
	java('RC4', javaCiphers('PBEWithSHA1AndRC4_128'), 'RC4 with 128 bits (PKCS#12)'),
];
