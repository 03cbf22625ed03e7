/** How a client proves who it is to an authorization server (RFC 6749 section 2.3, RFC 7523, RFC 8705). */
import {createPrivateKey, type KeyObject} from 'node:crypto';
import * as oauth from 'oauth4webapi';
import {CredentialUnavailableError, type GatepassError} from '../../src/errors.ts';
import {type Environment, type RuleInfo, readVariable} from '../../src/strategy/index.ts';
import type {SsoOptions} from './options.ts';
import type {ServerClock} from './server-clock.ts';

/** The client of a rule: its name, and what adds the proof to a request. */
export interface ClientIdentity {
	readonly clientId: string;
	readonly authenticate: oauth.ClientAuth;
	/** Texts that must not show up in a message. */
	readonly secrets: readonly string[];
}

/**
 * The client that the options and the variables SSO_CLIENT_ID and SSO_CLIENT_SECRET name.
 *
 * @throws {CredentialUnavailableError} where something is missing.
 */
export async function findClient(
	options: SsoOptions,
	environment: Environment,
	rule: RuleInfo,
	clock: ServerClock,
): Promise<ClientIdentity> {
	const find = (option: 'clientId' | 'clientSecret', variable: string): string => {
		const value = options[option] ?? readVariable(environment, variable);
		if (value) return value;
		throw new CredentialUnavailableError(
			`The rule for ${rule.match} (${rule.source}) has no '${option}', and the variable ${variable} is not set. Set one of them`,
		);
	};
	const clientId = find('clientId', 'SSO_CLIENT_ID');
	const secret = (): string => find('clientSecret', 'SSO_CLIENT_SECRET');
	switch (methodOf(options)) {
		case 'client_secret_post':
			return {clientId, authenticate: oauth.ClientSecretPost(secret()), secrets: [secret()]};
		case 'client_secret_jwt':
			return {clientId, authenticate: oauth.ClientSecretJwt(secret(), dated(clock)), secrets: [secret()]};
		case 'private_key_jwt':
			return {clientId, authenticate: await signWithKey(options, rule, clock), secrets: []};
		case 'tls_client_auth':
			return {clientId, authenticate: oauth.TlsClientAuth(), secrets: []};
		case 'none':
			return {clientId, authenticate: oauth.None(), secrets: []};
		default:
			return {clientId, authenticate: basic(secret()), secrets: [secret()]};
	}
}

/**
 * The secret in the header, form-urlencoded first (RFC 6749 section 2.3.1). The library's own encodes more characters
 * than forms do, such as the hyphen, and some servers, glewlwyd among them, take the header as it is. Encoded as in a
 * form, what usual secrets are made of stays as it is, so that both kinds of servers understand it.
 */
function basic(clientSecret: string): oauth.ClientAuth {
	return (_, {client_id}, __, headers) => {
		const credentials = `${formEncoded(client_id)}:${formEncoded(clientSecret)}`;
		headers.set('authorization', `Basic ${Buffer.from(credentials).toString('base64')}`);
	};
}

/** As a value stands in a form (https://url.spec.whatwg.org/#urlencoded-serializing). */
export function formEncoded(text: string): string {
	return new URLSearchParams({'': text}).toString().slice(1);
}

/** The method that is named, or the one that the other options suggest. */
function methodOf(options: SsoOptions): NonNullable<SsoOptions['clientAuthentication']> {
	if (options.clientAuthentication !== undefined) return options.clientAuthentication;
	if (options.privateKey !== undefined) return 'private_key_jwt';
	if (options.identity !== undefined && options.clientSecret === undefined) return 'tls_client_auth';
	// CERN's endpoint documents the form; any other must support the header (RFC 6749 section 2.3.1).
	const isCernsKind = options.tokenEndpoint === undefined && options.issuer === undefined;
	return isCernsKind ? 'client_secret_post' : 'client_secret_basic';
}

/** Seconds from `iat` on, which is dated back. */
const assertionLifetime = 65;

/** Fewer bits no library signs with, nor does any server accept them (RFC 7518 section 3.3). */
const fewestRsaBits = 2048;

async function signWithKey(
	options: SsoOptions,
	rule: RuleInfo,
	clock: ServerClock,
): Promise<oauth.ClientAuth> {
	const {privateKey = '', keyId, algorithm: named} = options;
	const fail = (what: string, hint: string): GatepassError =>
		new CredentialUnavailableError(
			`The 'privateKey' of the rule for ${rule.match} (${rule.source}) ${what}. ${hint}`,
		);
	const key = parseKey(privateKey);
	if (key === undefined) {
		throw fail(
			'is no private key in PEM form, or is encrypted',
			'Give the text of the file, for example as ${file:/run/secrets/key.pem}',
		);
	}
	const suitable = algorithmsFor(key);
	const algorithm = named ?? suitable[0];
	const parameters = algorithm === undefined ? undefined : importParameters[algorithm];
	if (algorithm === undefined || parameters === undefined || !suitable.includes(algorithm)) {
		throw fail(
			`cannot sign with ${algorithm ?? 'any algorithm that servers know'}`,
			suitable.length === 0
				? 'Use an EC key on P-256, P-384 or P-521, an Ed25519 key or an RSA key'
				: `Set 'algorithm' to one of ${suitable.join(', ')}`,
		);
	}
	const bits = key.asymmetricKeyDetails?.modulusLength ?? fewestRsaBits;
	if (bits < fewestRsaBits) throw fail(`has only ${bits} bits`, `Use one of ${fewestRsaBits} or more`);
	const cryptoKey = key.toCryptoKey(parameters, false, ['sign']) as oauth.CryptoKey;
	return oauth.PrivateKeyJwt(keyId === undefined ? cryptoKey : {key: cryptoKey, kid: keyId}, {
		// The library names each algorithm by its one newest name.
		[oauth.modifyAssertion]: (header, claims) => {
			header.alg = algorithm;
			date(claims, clock);
		},
	});
}

function dated(clock: ServerClock): oauth.ModifyAssertionOptions {
	return {[oauth.modifyAssertion]: (_, claims) => date(claims, clock)};
}

/** `nbf` is left out (RFC 7523 section 3 asks for none): it would only make a server refuse what is a second early. */
function date(claims: Record<string, oauth.JsonValue | undefined>, clock: ServerClock): void {
	const issuedAt = clock.issuedAt();
	claims.iat = issuedAt;
	claims.exp = issuedAt + assertionLifetime;
	delete claims.nbf;
}

/** A key in a variable often has its line ends written as `\n`. The library's error is left out: it could quote the text. */
function parseKey(text: string): KeyObject | undefined {
	try {
		return createPrivateKey(text.replaceAll('\\n', '\n'));
	} catch {
		return undefined;
	}
}

/**
 * JWS algorithms (RFC 7518, RFC 8037, RFC 9864) by kind of key; the first is the default. For Ed25519 that is the
 * older name, the only one that many servers know.
 */
function algorithmsFor({asymmetricKeyType: type, asymmetricKeyDetails: details}: KeyObject): string[] {
	if (type === 'rsa') return ['RS256', 'PS256', 'RS384', 'PS384', 'RS512', 'PS512'];
	if (type === 'ed25519') return ['EdDSA', 'Ed25519'];
	if (type !== 'ec') return [];
	const byCurve: Record<string, string> = {prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512'};
	const algorithm = byCurve[details?.namedCurve ?? ''];
	return algorithm === undefined ? [] : [algorithm];
}

type ImportParameters = Parameters<KeyObject['toCryptoKey']>[0];

const rsa = (name: string, hash: string): ImportParameters => ({name, hash});
const importParameters: Readonly<Record<string, ImportParameters>> = {
	RS256: rsa('RSASSA-PKCS1-v1_5', 'SHA-256'),
	RS384: rsa('RSASSA-PKCS1-v1_5', 'SHA-384'),
	RS512: rsa('RSASSA-PKCS1-v1_5', 'SHA-512'),
	PS256: rsa('RSA-PSS', 'SHA-256'),
	PS384: rsa('RSA-PSS', 'SHA-384'),
	PS512: rsa('RSA-PSS', 'SHA-512'),
	ES256: {name: 'ECDSA', namedCurve: 'P-256'},
	ES384: {name: 'ECDSA', namedCurve: 'P-384'},
	ES512: {name: 'ECDSA', namedCurve: 'P-521'},
	EdDSA: {name: 'Ed25519'},
	Ed25519: {name: 'Ed25519'},
};
