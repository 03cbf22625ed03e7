/** What a configuration says about certificates that renew themselves, and what stands where it says nothing. */
/** By certbot's names: `--key-type`, `--rsa-key-size` in bits, `--elliptic-curve`. */
export type CertificateKeyType =
	| {readonly type: 'ecdsa'; readonly curve?: 'secp256r1' | 'secp384r1' | undefined}
	| {readonly type: 'rsa'; readonly size?: 2048 | 3072 | 4096 | undefined};

/** What ties an account to one that the authority knows otherwise (RFC 8555 section 7.3.4). */
export interface ExternalAccountBinding {
	readonly kid: string;
	/** In base64url, as authorities hand it out: a secret. */
	readonly hmacKey: string;
	/** Default: `HS256`. */
	readonly algorithm?: 'HS256' | 'HS384' | 'HS512' | undefined;
}

/** Answers challenges by updates of a DNS zone (RFC 2136) under a shared key (TSIG). */
export interface DnsUpdateSettings {
	readonly name: 'dns-update';
	/** A file in the form of certbot's dns-rfc2136, with `server`, `port` and the key. */
	readonly credentials?: string | undefined;
	/** The name server that takes updates; its address, where certbot is to renew, too. */
	readonly server?: string | undefined;
	/** Default: 53. */
	readonly port?: number | undefined;
	readonly keyName?: string | undefined;
	/** Base64: a secret. */
	readonly secret?: string | undefined;
	/** Default: `hmac-sha256`. */
	readonly algorithm?:
		| 'hmac-md5'
		| 'hmac-sha1'
		| 'hmac-sha224'
		| 'hmac-sha256'
		| 'hmac-sha384'
		| 'hmac-sha512'
		| undefined;
	/** Seconds that others may keep the record. Default: 60. */
	readonly ttl?: number | undefined;
	/** Milliseconds until the zone's other name servers have the record. Default: 0. */
	readonly propagation?: number | undefined;
}

/** How challenges are answered. Other names are those of authenticators that were registered. */
export type AuthenticatorSettings =
	| {readonly name: 'http-01'; readonly address?: string | undefined; readonly port?: number | undefined}
	| {
			readonly name: 'webroot';
			readonly path: string;
			/** The folders of names that have one of their own. */
			readonly paths?: Readonly<Record<string, string>> | undefined;
	  }
	| {readonly name: 'tls-alpn-01'; readonly address?: string | undefined; readonly port?: number | undefined}
	| {readonly name: 'dns-command'; readonly auth: string; readonly cleanup?: string | undefined}
	| DnsUpdateSettings
	| {readonly name: 'dns-persist-01'}
	| {readonly name: 'manual'}
	| {readonly name: string; readonly [option: string]: unknown};

/** What a renewed certificate is put into. Other names are those of installers that were registered. */
export type InstallerSettings =
	| {readonly name: 'identity'}
	| {
			readonly name: 'files';
			readonly certificate: string;
			readonly key: string;
			/** Only the CA certificates; absent: no such file. */
			readonly chain?: string | undefined;
			/** A user's name or number. */
			readonly owner?: string | undefined;
			readonly group?: string | undefined;
			/** Of the key, in octal digits. Default: `600`. */
			readonly mode?: string | undefined;
			readonly reloadCommand?: string | undefined;
	  }
	| {readonly name: string; readonly [option: string]: unknown};

/** Commands, each run by `/bin/sh`; their failure spoils nothing. */
export interface Hooks {
	/** Once, before anything is renewed. */
	readonly before?: string | undefined;
	/** For each renewed certificate: `RENEWED_LINEAGE` and `RENEWED_DOMAINS` name it. */
	readonly deploy?: string | undefined;
	/** Once, afterwards: `RENEWED_DOMAINS` and `FAILED_DOMAINS`. */
	readonly after?: string | undefined;
}

export interface CertificateSettings {
	/** The directory of the ACME server. */
	readonly server?: string | undefined;
	/** In certbot's layout; absolute. */
	readonly folder: string;
	readonly email?: string | undefined;
	readonly termsOfServiceAgreed: boolean;
	/** Milliseconds; each renewal waits for a random part of it. */
	readonly jitter: number;
	/** Milliseconds for one request to the server, with its tries. */
	readonly timeout: number;
	readonly authenticator?: AuthenticatorSettings | undefined;
	readonly installer?: InstallerSettings | undefined;
	readonly hooks: Hooks;
	readonly profile?: string | undefined;
	readonly preferredChain?: string | undefined;
	readonly keyType: CertificateKeyType;
	readonly reuseKey: boolean;
	readonly externalAccountBinding?: ExternalAccountBinding | undefined;
	/** Whether the server is asked when to renew (RFC 9773). */
	readonly renewalInformation: boolean;
	/** Whether a certificate that servers would not take from a client is refused. */
	readonly identityOnly: boolean;
}

export const defaultSettings: Omit<CertificateSettings, 'folder'> = {
	termsOfServiceAgreed: false,
	jitter: 0,
	timeout: 60_000,
	hooks: {},
	keyType: {type: 'ecdsa', curve: 'secp256r1'},
	reuseKey: false,
	renewalInformation: true,
	identityOnly: false,
};
