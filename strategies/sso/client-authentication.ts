/** How a client proves who it is to an authorization server (RFC 6749 section 2.3, RFC 7523, RFC 8705). */
import * as oauth from 'oauth4webapi';
import {CredentialUnavailableError} from '../../src/errors.ts';
import {type Environment, type RuleInfo, readVariable} from '../../src/strategy/index.ts';
import {type AssertionReader, type Doubt, doubtsAbout} from '../bearer/claims.ts';
import type {TextSource} from '../bearer/source.ts';
import type {SsoOptions} from './options.ts';
import type {ServerClock} from './server-clock.ts';
import {importParametersOf, readSigningKey} from './signing-key.ts';

/** Adds the proof to a request; or is the header that always holds it. */
type Proof = oauth.ClientAuth | {readonly authorization: string};

/** The client of a rule: its name, and what adds the proof to a request. */
export interface ClientIdentity {
	readonly clientId: string;
	readonly authenticate: Proof;
	/** The same as a server takes it that does not decode, where that is another text. */
	readonly unencoded?: Proof;
	/** Texts that must not show up in a message. */
	readonly secrets: readonly string[];
	/** What a server may not like about what was shown last. */
	readonly doubts?: (reader: AssertionReader) => readonly Doubt[];
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
	assertion?: TextSource,
): Promise<ClientIdentity> {
	const find = (option: 'clientId' | 'clientSecret', variable: string): string => {
		const value = options[option] ?? readVariable(environment, variable);
		if (value) return value;
		throw new CredentialUnavailableError({
			code: 'secret-missing',
			what: `The rule for ${rule.match} (${rule.source}) has no '${option}', and the variable ${variable} is not set`,
			hint: 'Set one of them',
		});
	};
	if (options.isClientOptional && !(options.clientId ?? environment.SSO_CLIENT_ID)) {
		// The library wants a name; it is not sent.
		return {clientId: 'unnamed', authenticate: () => {}, secrets: []};
	}
	const clientId = find('clientId', 'SSO_CLIENT_ID');
	const secret = (): string => find('clientSecret', 'SSO_CLIENT_SECRET');
	if (assertion !== undefined) return {clientId, ...handOver(assertion)};
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
			return {
				clientId,
				authenticate: basic(formEncoded(clientId), formEncoded(secret())),
				secrets: [secret()],
				...(formEncoded(clientId + secret()) !== clientId + secret() && {
					unencoded: basic(clientId, secret()),
				}),
			};
	}
}

/** RFC 7523 section 2.2, with an assertion that somebody else made. It is read for each request: it may last for minutes only. */
function handOver(source: TextSource): Omit<ClientIdentity, 'clientId'> {
	let last: string | undefined;
	return {
		async authenticate(_, {client_id}, body) {
			last = await source.read();
			body.set('client_id', client_id);
			body.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
			body.set('client_assertion', last);
		},
		secrets: [],
		doubts: reader => (last === undefined ? [] : doubtsAbout(last, source.place, reader)),
	};
}

/**
 * The secret in the header, form-urlencoded first (RFC 6749 section 2.3.1). The library's own encodes more characters
 * than forms do, such as the hyphen, and some servers, glewlwyd among them, take the header as it is. Encoded as in a
 * form, what usual secrets are made of stays as it is, so that both kinds of servers understand it.
 */
function basic(clientId: string, clientSecret: string): Proof {
	return {authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`};
}

/** As a value stands in a form (https://url.spec.whatwg.org/#urlencoded-serializing). */
function formEncoded(text: string): string {
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

async function signWithKey(
	options: SsoOptions,
	rule: RuleInfo,
	clock: ServerClock,
): Promise<oauth.ClientAuth> {
	const {privateKey = '', keyId, algorithm: named} = options;
	const {key, algorithm} = readSigningKey({privateKey, algorithm: named}, 'privateKey', rule);
	const cryptoKey = key.toCryptoKey(importParametersOf(algorithm), false, ['sign']) as oauth.CryptoKey;
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
