/** Which endpoints an authorization server has: as the options say, or as its metadata says. */
import * as oauth from 'oauth4webapi';
import {InsecureTransportError, TokenRequestError} from '../../src/errors.ts';
import {type HttpClient, isLoopback, type RuleInfo} from '../../src/strategy/index.ts';
import {printable} from '../bearer/printable.ts';
import {type EndpointName, retryAfterOf} from './describe-failure.ts';
import {type SsoOptions, tokenEndpointOf} from './options.ts';

const endpointNames: readonly EndpointName[] = [
	'token_endpoint',
	'revocation_endpoint',
	'introspection_endpoint',
];

/**
 * The metadata of the server that the options name.
 *
 * With `issuer`, its OpenID discovery document is read, or where there is none its RFC 8414 metadata. Otherwise
 * only the token endpoint is known. A client with a certificate gets the endpoints that ask for one (RFC 8705
 * section 5).
 *
 * @throws {TokenRequestError} where the metadata cannot be had.
 * @throws {InsecureTransportError} where it names an endpoint that secrets must not be sent to.
 */
export async function findAuthorizationServer(
	options: SsoOptions,
	http: HttpClient,
	rule: RuleInfo,
	signal: AbortSignal,
): Promise<oauth.AuthorizationServer> {
	const {issuer, identity} = options;
	if (issuer === undefined) {
		const endpoint = tokenEndpointOf(options);
		// The issuer's name is not known; the endpoint's URL is what RFC 7523 section 3 admits as audience instead.
		return {issuer: endpoint, token_endpoint: endpoint};
	}
	const metadata = await discover(new URL(issuer), http, rule, signal);
	const server = identity === undefined ? metadata : {...metadata, ...metadata.mtls_endpoint_aliases};
	for (const name of endpointNames) checkEndpoint(server[name], name, issuer, rule);
	return server;
}

async function discover(
	issuer: URL,
	http: HttpClient,
	rule: RuleInfo,
	signal: AbortSignal,
): Promise<oauth.AuthorizationServer> {
	const fail = (what: string, response?: Response): TokenRequestError =>
		new TokenRequestError(
			{
				code: 'issuer-metadata-unusable',
				what: `The metadata of the issuer ${issuer.href} (rule for ${rule.match}, ${rule.source}) cannot be used: ${what}`,
				hint: "Check 'issuer', or name the endpoint in 'tokenEndpoint'",
			},
			response === undefined ? {} : {status: response.status, ...retryAfterOf(response)},
		);
	const failures: TokenRequestError[] = [];
	for (const algorithm of ['oidc', 'oauth2'] as const) {
		let response: Response | undefined;
		try {
			response = await oauth.discoveryRequest(issuer, {
				algorithm,
				signal,
				// Whether plain http is allowed was decided with the configuration, rule by rule.
				[oauth.allowInsecureRequests]: true,
				[oauth.customFetch]: (url, init) =>
					http.fetch(url, {method: init.method, headers: init.headers, signal: init.signal ?? signal}),
			});
			const server = await oauth.processDiscoveryResponse(issuer, response);
			if (server.token_endpoint !== undefined) return server;
			failures.push(fail('it names no token endpoint', response));
		} catch (error) {
			// A server that does not answer will not do so at its other address either.
			if (response === undefined) throw fail((error as Error).message);
			failures.push(fail(whatIsWrong(error, response), response));
		}
	}
	// What is there and wrong tells more than what is not there.
	throw failures.find(({status}) => status === 200) ?? failures[0];
}

function whatIsWrong(error: unknown, response: Response): string {
	const {code, message, cause} = error as {code?: string; message: string; cause?: unknown};
	if (response.status !== 200) return `the server answered ${response.status}`;
	if (code === oauth.RESPONSE_IS_NOT_JSON) {
		return `the server answered with ${response.headers.get('content-type')?.split(';')[0] ?? 'no content type'}, not JSON`;
	}
	if (code === oauth.PARSE_ERROR) return 'the server answered with JSON that is empty or broken';
	if (code === oauth.JSON_ATTRIBUTE_COMPARISON) {
		const {issuer} = (cause as {body: {issuer: string}}).body;
		return `it is that of the issuer ${printable(issuer)}`;
	}
	return message;
}

function checkEndpoint(endpoint: unknown, name: string, issuer: string, rule: RuleInfo): void {
	if (endpoint === undefined) return;
	const url = URL.parse(String(endpoint));
	if (url === null) {
		throw new TokenRequestError({
			code: 'issuer-metadata-unusable',
			what: `The metadata of the issuer ${issuer} (rule for ${rule.match}, ${rule.source}) has a ${name} that is no URL`,
			hint: "Have the server put right, or name the endpoint in 'tokenEndpoint'",
		});
	}
	if (url.protocol === 'https:' || rule.allowInsecure || isLoopback(url.hostname)) return;
	throw new InsecureTransportError({
		code: 'insecure-transport',
		what: `The metadata of the issuer ${issuer} names the ${name} ${url.origin}${url.pathname}, which is plain http`,
		hint: "Have the server put right, or write 'allowInsecure: true' in the rule if every machine on the way may read the secret",
	});
}
