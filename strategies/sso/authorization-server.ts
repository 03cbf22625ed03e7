/** Which endpoints an authorization server has: as the options say, or as its metadata says. */
import * as oauth from 'oauth4webapi';
import {InsecureTransportError, TokenRequestError} from '../../src/errors.ts';
import {type HttpClient, isLoopback, type RuleInfo} from '../../src/strategy.ts';
import {type SsoOptions, tokenEndpointOf} from './options.ts';

/**
 * The metadata of the server that the options name.
 *
 * With `issuer`, its OpenID discovery document is read, or where there is none its RFC 8414 metadata. Otherwise
 * only the token endpoint is known.
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
	const {issuer} = options;
	if (issuer === undefined) {
		const endpoint = tokenEndpointOf(options);
		// The issuer's name is not known; the endpoint's URL is what RFC 7523 section 3 admits as audience instead.
		return {issuer: endpoint, token_endpoint: endpoint};
	}
	const server = await discover(new URL(issuer), http, rule, signal);
	for (const name of ['token_endpoint', 'revocation_endpoint', 'introspection_endpoint'] as const) {
		refuseInsecure(server[name], name, issuer, rule);
	}
	return server;
}

async function discover(
	issuer: URL,
	http: HttpClient,
	rule: RuleInfo,
	signal: AbortSignal,
): Promise<oauth.AuthorizationServer> {
	let failure: unknown;
	for (const algorithm of ['oidc', 'oauth2'] as const) {
		try {
			const response = await oauth.discoveryRequest(issuer, {
				algorithm,
				signal,
				[oauth.allowInsecureRequests]: true,
				[oauth.customFetch]: (url, init) =>
					http.fetch(url, {method: init.method, headers: init.headers, signal: init.signal ?? signal}),
			});
			const server = await oauth.processDiscoveryResponse(issuer, response);
			if (server.token_endpoint !== undefined) return server;
			failure = new Error('it names no token endpoint');
		} catch (error) {
			failure = error;
		}
	}
	const {message} = failure as Error;
	throw new TokenRequestError(
		`The metadata of the issuer ${issuer.href} (rule for ${rule.match}, ${rule.source}) cannot be used: ${message}. Check 'issuer', or name the endpoint in 'tokenEndpoint'`,
	);
}

function refuseInsecure(endpoint: string | undefined, name: string, issuer: string, rule: RuleInfo): void {
	const url = endpoint === undefined ? null : URL.parse(endpoint);
	if (url === null || url.protocol === 'https:' || rule.allowInsecure || isLoopback(url.hostname)) return;
	throw new InsecureTransportError(
		`The metadata of the issuer ${issuer} names the ${name} ${url.origin}${url.pathname}, which is plain http. ` +
			"Have the server put right, or write 'allowInsecure: true' in the rule if every machine on the way may read the secret",
	);
}
