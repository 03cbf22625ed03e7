/** The options that all strategies share which get their tokens from an OAuth 2 authorization server. */
import {z} from 'zod';
import {CredentialUnavailableError} from '../../src/errors.ts';
import {sourceOptions} from '../bearer/source.ts';
import {gridCertificateOptions} from '../grid-certificate/options.ts';

const server = z.string().refine(value => URL.parse(`https://${value}`)?.host === value.toLowerCase(), {
	error: 'it is no host; write one such as login.example.org',
});

const realm = z.string().regex(/^[\w.~-]+$/, 'it is no realm name; write one such as cern');

/** Whatever has user information would go into messages; a fragment is not allowed (RFC 6749 section 3.2). */
const endpoint = z.url({error: 'it is no URL; write one that starts with https://'}).refine(
	value => {
		const url = URL.parse(value);
		return url === null || `${url.username}${url.password}${url.hash}` === '';
	},
	{error: "it has user information or a fragment; take that out, and use 'clientId' and 'clientSecret'"},
);

/** RFC 7591 section 2, and RFC 8705 section 2. */
const clientAuthentications = [
	'client_secret_basic',
	'client_secret_post',
	'client_secret_jwt',
	'private_key_jwt',
	'tls_client_auth',
	'none',
] as const;

export const ssoShape = {
	clientId: z.string().min(1).optional().describe('Default: the variable SSO_CLIENT_ID'),
	clientSecret: z.string().min(1).optional().describe('Default: the variable SSO_CLIENT_SECRET'),
	audience: z.string().min(1).optional().describe('The application that the token is for'),
	scope: z.string().min(1).optional().describe('Scopes, separated by spaces'),
	resource: z
		.union([z.url(), z.array(z.url()).min(1)])
		.optional()
		.describe('The API that the token is for, as a URL, or several (RFC 8707)'),
	parameters: z.record(z.string(), z.string()).optional().describe('More parameters of the token request'),
	tokenEndpoint: endpoint.optional().describe('The token endpoint'),
	issuer: endpoint.optional().describe('The authorization server, whose metadata names its endpoints'),
	server: server.optional().describe('A Keycloak server as CERN runs it'),
	realm: realm.optional().describe('The realm on that server. Default: cern'),
	clientAuthentication: z
		.enum(clientAuthentications)
		.optional()
		.describe(
			'How the client proves who it is. Default: what the other options allow, else client_secret_basic',
		),
	clientAssertion: sourceOptions
		.optional()
		.describe(
			'An assertion that somebody else made for the client (RFC 7523), read again for each token request',
		),
	privateKey: z.string().min(1).optional().describe('The private key of private_key_jwt, as PEM text'),
	keyId: z.string().min(1).optional().describe('The name of that key at the server'),
	algorithm: z.string().min(1).optional().describe('The algorithm to sign with. Default: what suits the key'),
	identity: gridCertificateOptions
		.optional()
		.describe('The client certificate of tls_client_auth and certificateBound'),
	dpop: z.boolean().optional().describe('Bind the token to a key of this process (RFC 9449)'),
	certificateBound: z
		.boolean()
		.optional()
		.describe('The token is bound to the client certificate, which the request then shows too (RFC 8705)'),
};

const shared = z.strictObject(ssoShape);

/** Below a realm, Keycloak's own token endpoint: the one that CERN has besides knows the client credentials grant alone. */
export const keycloaksEndpoint = 'protocol/openid-connect/token';

export type SsoOptions = z.output<typeof shared> & {
	/** Where the token endpoint is below the realm's own address; the strategy's to say, not the rule's. */
	readonly endpointInRealm?: string;
	/** Whether the grant alone may be enough; likewise. */
	readonly isClientOptional?: boolean;
};

/** What is wrong with a combination of options, as `[option, sentence]`; nothing where it is right. */
export function mistakesIn(options: SsoOptions): [keyof SsoOptions, string][] {
	const {tokenEndpoint, issuer, server, realm, privateKey, identity, clientAssertion} = options;
	const {clientAuthentication: method} = options;
	const mistakes: [keyof SsoOptions, string][] = [];
	const places = [
		tokenEndpoint && 'tokenEndpoint',
		issuer && 'issuer',
		(server ?? realm) && 'server and realm',
	].filter(Boolean);
	if (places.length > 1)
		mistakes.push([
			tokenEndpoint ? 'tokenEndpoint' : 'issuer',
			`${places.join(' and ')} name different places; keep one of them`,
		]);
	// Nobody's server is the default: the client's secret would go there.
	if (tokenEndpoint === undefined && issuer === undefined && server === undefined) {
		mistakes.push([
			realm === undefined ? 'tokenEndpoint' : 'server',
			`there is no authorization server; name it in 'tokenEndpoint', 'issuer' or 'server', or write 'bundles: [cern]' for CERN's`,
		]);
	}
	if (method === 'private_key_jwt' && privateKey === undefined && clientAssertion === undefined) {
		mistakes.push(['clientAuthentication', "private_key_jwt needs the option 'privateKey'; add it"]);
	}
	if (clientAssertion !== undefined) mistakes.push(...mistakesBeside(options));
	for (const option of ['keyId', 'algorithm'] as const) {
		if (options[option] !== undefined && privateKey === undefined)
			mistakes.push([option, "it is for a 'privateKey', and there is none"]);
	}
	if (method === 'tls_client_auth' && identity === undefined) {
		mistakes.push(['clientAuthentication', "tls_client_auth needs the option 'identity'; add it"]);
	}
	if (options.certificateBound && identity === undefined) {
		mistakes.push(['certificateBound', "it needs the option 'identity'; add it"]);
	}
	if (options.certificateBound && options.dpop) {
		mistakes.push([
			'dpop',
			'a token is bound either to a key (dpop) or to a certificate (certificateBound); choose one',
		]);
	}
	return mistakes;
}

/** An assertion is the client's whole proof. */
function mistakesBeside(options: SsoOptions): [keyof SsoOptions, string][] {
	const {clientSecret, clientAuthentication: method} = options;
	const mistakes: [keyof SsoOptions, string][] = [];
	if (clientSecret !== undefined) {
		mistakes.push(['clientAssertion', "there is a 'clientSecret' besides; keep one of them"]);
	}
	if (method !== undefined && method !== 'private_key_jwt') {
		mistakes.push([
			'clientAuthentication',
			`${method} is another way than the 'clientAssertion'; take one of them out`,
		]);
	}
	return mistakes;
}

/** A schema's check that reports what {@link mistakesIn} finds. */
export function refuseMistakes(options: SsoOptions, context: z.RefinementCtx): void {
	for (const [option, message] of mistakesIn(options))
		context.addIssue({code: 'custom', path: [option], message});
}

/** The URLs that secrets go to, as far as the options say: the endpoints in an issuer's metadata are checked when it is read. */
export function endpointsOf(options: SsoOptions): string[] {
	return [options.issuer ?? tokenEndpointOf(options)];
}

/**
 * The token endpoint: the one that is named, or that of a realm on CERN's kind of Keycloak server.
 *
 * @throws {CredentialUnavailableError} where neither is named, for options that were not checked.
 */
export function tokenEndpointOf({
	tokenEndpoint,
	server,
	realm = 'cern',
	endpointInRealm = 'api-access/token',
}: SsoOptions): string {
	if (tokenEndpoint !== undefined) return tokenEndpoint;
	if (server === undefined) {
		throw new CredentialUnavailableError({
			code: 'authorization-server-missing',
			what: 'There is no authorization server',
			hint: "Name it in 'tokenEndpoint', 'issuer' or 'server'",
		});
	}
	return `https://${server}/auth/realms/${realm}/${endpointInRealm}`;
}
