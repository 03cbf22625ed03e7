/**
 * `gatepass/cern`: the interface of Python's cernrequests on top of gatepass. The same variables and defaults; tokens
 * are fetched once and kept in memory. docs/cern.md tells what is different, and why.
 */
import type {OptionsInit, Response} from 'got';
import {bundleNames, findBundle} from '../bundles/bundle.ts';
import type {ConfigurationInput} from '../config/schema.ts';
import {GatepassError, InsecureTransportError} from '../errors.ts';
import {isLoopback} from '../strategy/hosts.ts';
import {closeSessions, currentEnvironment, endOf, withSession} from './sessions.ts';
import {findUserCertificate, sourceOfUserCertificate, type UserCertificatePaths} from './user-certificate.ts';

export type {UserCertificatePaths} from './user-certificate.ts';

/** Options of got for a GET. */
type GotOptions = Omit<OptionsInit, 'url' | 'method' | 'isStream'>;

/** CA certificates besides CERN's and the system's: what `ca` of a `trust` entry may be, such as a PEM file. */
type Authorities = string | readonly string[];

/** What `get` takes: got's options, and where the certificate is. */
export interface GetOptions extends GotOptions {
	/** PEM file of the certificate. Default: the one that {@link defaultUserCertificatePaths} finds. */
	readonly certificate?: string;
	/** PEM file of its key. */
	readonly key?: string;
	/** CA certificates besides CERN's and the system's: a PEM file, a CA folder, `bundle:igtf`, or a list of such. */
	readonly ca?: Authorities;
}

/** What tells a token apart. */
export interface ApiTokenOptions {
	/** Default: the variable `SSO_CLIENT_ID`. */
	readonly clientId?: string | undefined;
	/** Default: the variable `SSO_CLIENT_SECRET`. */
	readonly clientSecret?: string | undefined;
	/** The application that the token is for, by its client ID. */
	readonly targetApplication?: string | undefined;
	/** The same, by the name that the manual of cernrequests gives it. */
	readonly targetAudience?: string | undefined;
	/** Default: that of {@link getTokenEndpoint}. */
	readonly tokenEndpoint?: string | undefined;
	/** CA certificates besides CERN's and the system's: a PEM file, a CA folder, `bundle:igtf`, or a list of such. */
	readonly ca?: Authorities;
}

/** What `getWithToken` takes: got's options, and which token to show. */
export interface GetWithTokenOptions extends GotOptions, ApiTokenOptions {
	/** A token that is there already; nothing is fetched then. */
	readonly apiToken?: string | undefined;
}

/** A token, and until when it is good. */
export interface ApiToken {
	/** A secret. */
	readonly token: string;
	/** By this machine's clock. */
	readonly expiresAt: Date;
}

/** An answer to come. `await` gives got's response; `json()` and `text()` give its body. */
export interface ResponsePromise extends Promise<Response<string>> {
	json<Body = unknown>(): Promise<Body>;
	text(): Promise<string>;
}

/** A server that says nothing for this long is given up, unless the options say otherwise. Milliseconds. */
const defaultTimeout = 60_000;

/**
 * GET a URL with the user's grid certificate, as CMSWEB wants it.
 *
 * @throws {CredentialUnavailableError} where there is no certificate.
 * @throws {CertificateError} where it cannot be used, or one side refuses the other's.
 * @example
 * const runs = await get('https://cmsweb.cern.ch/dbs/prod/global/DBSReader/runs').json();
 */
export function get(url: string | URL, options: GetOptions = {}): ResponsePromise {
	return answer(async () => {
		const {certificate, key, ca, ...gotOptions} = options;
		const target = parse(url);
		const named = {...(certificate !== undefined && {certificate}), ...(key !== undefined && {key})};
		const source = Object.keys(named).length > 0 ? named : sourceOfUserCertificate(currentEnvironment());
		// Over plain http no certificate is shown; a redirect to https on the same host may ask for it.
		const match = `https://${target.protocol === 'https:' ? target.host : target.hostname}`;
		const rule = {match, strategy: 'grid-certificate', options: escaped(source)};
		return send(target, {...trustOf([match], ca), hostRules: [rule]}, gotOptions);
	});
}

/**
 * GET a URL with a token of CERN's single sign-on for the application behind it. The token is fetched at the first
 * call, kept in memory, renewed ahead of its end, and replaced when the server refuses it.
 *
 * @throws {TokenRequestError} where no token can be had.
 * @throws {CredentialUnavailableError} where the client is not named.
 * @throws {InsecureTransportError} where the token would go over plain http.
 * @example
 * const runs = await getWithToken('https://cmsrunregistry.web.cern.ch/api/runs', {
 * 	targetApplication: 'cmsrunregistry-sso-proxy',
 * }).json();
 */
export function getWithToken(url: string | URL, options: GetWithTokenOptions = {}): ResponsePromise {
	return answer(async () => {
		const {
			apiToken,
			clientId,
			clientSecret,
			targetApplication,
			targetAudience,
			tokenEndpoint,
			ca,
			...gotOptions
		} = options;
		const target = parse(url);
		refusePlainHttp(target);
		const named = {clientId, clientSecret, targetApplication, targetAudience, tokenEndpoint};
		const rule =
			apiToken === undefined
				? {strategy: 'sso-client-credentials', options: tokenOptions('getWithToken', named)}
				: {strategy: 'static-token', options: escaped({token: apiToken})};
		const servers = [target.origin, ...(tokenEndpoint === undefined ? [] : [parse(tokenEndpoint).origin])];
		return send(target, {...trustOf(servers, ca), hostRules: [{match: target.origin, ...rule}]}, gotOptions);
	});
}

/**
 * A token of CERN's single sign-on for an application. The same one until shortly before its end.
 *
 * @throws {TokenRequestError} where none can be had.
 * @throws {CredentialUnavailableError} where the client is not named.
 */
export async function getApiToken(options: ApiTokenOptions): Promise<ApiToken> {
	const {tokenEndpoint, ca} = options;
	const rule = {
		match: nowhere,
		strategy: 'sso-client-credentials',
		options: tokenOptions('getApiToken', options),
	};
	const servers = tokenEndpoint === undefined ? [] : [parse(tokenEndpoint).origin];
	const config: ConfigurationInput = {bundles: ['cern'], ...trustOf(servers, ca), hostRules: [rule]};
	const {headers} = await withSession(config, gatepass => gatepass.authorize(nowhere));
	const token = headers.authorization?.replace(/^Bearer /, '') ?? '';
	// A server that does not say when the token ends has to be asked each time.
	return {token, expiresAt: endOf(token) ?? new Date()};
}

/** Where no request ever goes (RFC 6761 section 6.4): a token is fetched for it, and handed to the caller. */
const nowhere = 'https://api.invalid/';

/** The token endpoint for applications, of a realm on CERN's single sign-on. */
export function getTokenEndpoint({
	server = 'auth.cern.ch',
	realm = 'cern',
}: {
	server?: string;
	realm?: string;
} = {}): string {
	return `https://${server}/auth/realms/${encodeURIComponent(realm)}/api-access/token`;
}

/**
 * The user's certificate and key: in the folder that `CERN_CERTIFICATE_PATH` names, else in `~/private`, else in
 * `~/.globus`.
 *
 * @throws {CredentialUnavailableError} where they are not there.
 */
export function defaultUserCertificatePaths(): UserCertificatePaths {
	return findUserCertificate(currentEnvironment());
}

/**
 * A PEM file of all CA certificates of a bundle, for programs that want only those.
 *
 * @param name `cern` or `igtf`, or the folder of a bundle of your own. Default: `cern`.
 * @throws {GatepassError} where there is none.
 */
export function trustBundlePath(name = 'cern'): string {
	const bundle = findBundle(name);
	if (bundle !== undefined) return bundle.file;
	throw new GatepassError({
		code: 'bundle-not-found',
		what: `There is no bundle '${name}'`,
		hint: `Name one of ${bundleNames().join(', ')}, or the folder of another`,
	});
}

/** End connections and renewals, and forget all tokens. Calls after it begin again. */
export function close(): Promise<void> {
	return closeSessions();
}

async function send(url: URL, config: ConfigurationInput, options: GotOptions): Promise<Response<string>> {
	return withSession({bundles: ['cern'], ...config}, async ({got}) => {
		const response = await got.get(url, {timeout: {request: defaultTimeout}, ...options});
		return response as Response<string>;
	});
}

/** Begin at once, and give the answer in the form that is wanted. */
function answer(work: () => Promise<Response<string>>): ResponsePromise {
	const response = work();
	return Object.assign(response, {
		json: async <Body>(): Promise<Body> => {
			const {body} = await response;
			// With `responseType: 'json'`, got has read it already.
			return typeof body === 'string' ? JSON.parse(body) : body;
		},
		text: async () => (await response).body,
	});
}

function tokenOptions(
	name: string,
	{clientId, clientSecret, targetApplication, targetAudience, tokenEndpoint}: ApiTokenOptions,
): Record<string, string> {
	const audience = targetApplication ?? targetAudience;
	if (!audience || (targetAudience ?? audience) !== audience) {
		throw new TypeError(
			audience
				? `${name}: 'targetApplication' and 'targetAudience' are two names for one thing. Give one of them`
				: `${name}: the application that the token is for is missing. Give its client ID as 'targetApplication'`,
		);
	}
	if (tokenEndpoint !== undefined) refusePlainHttp(parse(tokenEndpoint));
	return escaped({clientId, clientSecret, audience, tokenEndpoint});
}

function trustOf(servers: readonly string[], ca: Authorities | undefined): Pick<ConfigurationInput, 'trust'> {
	if (ca === undefined || servers.length === 0) return {};
	// An entry takes the place of the bundle's, so it names the bundle too.
	return {trust: [{match: [...new Set(servers)], ca: ['bundle:cern', ...[ca].flat()]}]};
}

/** In a configuration `${` begins a reference; what stands here is meant as it is. */
function escaped(options: object): Record<string, string> {
	const given = Object.entries(options).filter(([, value]) => value !== undefined);
	return Object.fromEntries(
		given.map(([name, value]) => [name, String(value).replaceAll('${', () => '$${')]),
	);
}

function parse(url: string | URL): URL {
	const parsed = URL.parse(String(url));
	if (parsed !== null && /^https?:$/.test(parsed.protocol)) return parsed;
	throw new TypeError('This is no URL. Give an absolute one, such as https://cmsweb.cern.ch/');
}

function refusePlainHttp({protocol, hostname, origin}: URL): void {
	if (protocol === 'https:' || isLoopback(hostname)) return;
	throw new InsecureTransportError({
		code: 'insecure-transport',
		what: `A secret would go to ${origin} over plain http`,
		hint: 'Write https://',
	});
}
