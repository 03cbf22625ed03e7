/**
 * The Negotiate conversation (RFC 4559) over any GSS-API provider.
 *
 * All state belongs to the one request: a context is never shared, and no success of one request spares another
 * one its verification.
 */
import {GatepassError, KerberosExchangeError, MutualAuthenticationError} from '../../src/errors.ts';
import type {AuthRequest, AuthResponse, Conversation, RuleInfo} from '../../src/strategy/index.ts';
import {findChallenge} from './challenge.ts';
import {bindingsFor} from './channel-bindings.ts';
import {checkDelegation} from './delegation.ts';
import type {GssContext, GssProvider} from './gss-provider.ts';
import type {KerberosOptions} from './options.ts';
import {hostOf} from './service-names.ts';

/** The headers that tell nothing a stranger could misuse; requests-kerberos leaves the same. */
const harmlessHeaders = ['date', 'server', 'content-length'];

/** A token is made for a challenge this often at most; after that the refusal is what the server means. */
const mostAttempts = 2;

/** RFC 9110 sections 11.6 and 11.7: who asks, and in which headers. */
interface ChallengeKind {
	readonly status: number;
	readonly challenge: string;
	readonly answer: string;
}
const ofServer: ChallengeKind = {status: 401, challenge: 'www-authenticate', answer: 'authorization'};
const ofProxy: ChallengeKind = {
	status: 407,
	challenge: 'proxy-authenticate',
	answer: 'proxy-authorization',
};

/** Hold the conversation for one request: with the server, or with the proxy in between. */
export async function* negotiate(
	request: AuthRequest,
	options: KerberosOptions,
	provider: GssProvider,
	rule: RuleInfo,
): Conversation {
	checkDelegation(request, options, rule);
	const {proxy, principal = ''} = options;
	const isSecure = request.url.protocol === 'https:';
	if (proxy === true && isSecure) {
		throw new KerberosExchangeError({
			code: 'proxy-needs-url',
			what: `The rule for ${rule.match} (${rule.source}) has 'proxy: true', which cannot answer a proxy for ${request.url.origin}: it is asked for a tunnel below`,
			hint: "Give the proxy's URL, as in 'proxy: http://proxy.example.org:3128'",
		});
	}
	// A connection may count for the server as the principal's from the first token on.
	if (proxy !== true) request.connectionOwner = principal;
	if (typeof proxy === 'string') {
		const url = new URL(proxy);
		const ofThisProxy = {...options, hostname: options.hostname ?? hostOf(url)};
		const authenticate = (tunnel: AuthRequest): Conversation =>
			converse(tunnel, withoutProof(ofThisProxy), provider, rule);
		request.proxy = {url, timeout: options.timeout, authenticate};
		// What goes through the tunnel is between the caller and the server, which proves itself by TLS.
		if (isSecure) yield;
		else yield* converse(request, ofThisProxy, provider, rule);
		return;
	}
	yield* converse(request, options, provider, rule);
}

/** Proxies that open a tunnel do not prove themselves (Apache and squid do not); a wrong proof is still refused. */
function withoutProof(options: KerberosOptions): KerberosOptions {
	return options.mutualAuthentication === 'required'
		? {...options, mutualAuthentication: 'optional'}
		: options;
}

async function* converse(
	request: AuthRequest,
	options: KerberosOptions,
	provider: GssProvider,
	rule: RuleInfo,
): Conversation {
	let context: GssContext | undefined;
	let attempts = 0;
	const kind = options.proxy ? ofProxy : ofServer;
	const authorize = async (challenge?: AuthResponse): Promise<void> => {
		context?.dispose();
		context = undefined;
		attempts += 1;
		const channelBindings = await bindingsFor(request, options, rule);
		try {
			context = await provider.createContext({
				target: `${options.service}@${options.hostname ?? hostOf(request.url)}`,
				canonicalizeHostname: options.canonicalizeHostname,
				mechanism: options.mechanism,
				mutualAuthentication: options.mutualAuthentication !== 'disabled',
				delegate: options.delegate,
				channelBindings,
				renew: attempts > 1,
			});
		} catch (error) {
			throw challenge === undefined ? error : withResponse(error, challenge);
		}
		request.headers.set(kind.answer, `Negotiate ${Buffer.from(context.token).toString('base64')}`);
	};
	try {
		// A body that can be sent only once cannot wait for a challenge.
		if (options.preemptive || !request.replayable) await authorize();
		let response = yield;
		while (isChallenge(response, kind) && attempts < mostAttempts && request.replayable) {
			await authorize(response);
			response = yield;
		}
		// A refusal is delivered as it came: there is nothing in it to trust.
		if (response.status === kind.status) {
			const token = tokenIn(response, kind);
			if (token !== undefined) request.refusal = context?.refusal?.(token);
			return;
		}
		await verify(response, context, options, kind, rule);
	} finally {
		context?.dispose();
	}
}

function isChallenge({status, headers}: AuthResponse, kind: ChallengeKind): boolean {
	return status === kind.status && findChallenge(headers[kind.challenge], 'negotiate') !== undefined;
}

/** An exchange that failed at a challenge says at which one. */
function withResponse(error: unknown, {status, headers}: AuthResponse): unknown {
	if (!(error instanceof KerberosExchangeError)) return error;
	const {message, major, minor, cause} = error;
	return new KerberosExchangeError(
		message,
		{
			...(major !== undefined && {major}),
			...(minor !== undefined && {minor}),
			response: {status, headers},
		},
		cause === undefined ? undefined : {cause},
	);
}

/** The table of requests-kerberos: what becomes of a response, by the server's token and the rule's demand. */
async function verify(
	response: AuthResponse,
	context: GssContext | undefined,
	{mutualAuthentication, sanitizeErrorResponse}: KerberosOptions,
	kind: ChallengeKind,
	rule: RuleInfo,
): Promise<void> {
	if (mutualAuthentication === 'disabled') return;
	const token = findChallenge(response.headers[kind.challenge], 'negotiate');
	if (token && context !== undefined) {
		if (await proves(context, token)) return;
		throw new MutualAuthenticationError({
			code: 'server-proof-wrong',
			what: `The server of ${rule.match} (${rule.source}) answered with a token that does not prove its identity`,
			hint: 'It may be another machine; do not trust the answer',
		});
	}
	if (mutualAuthentication === 'optional') return;
	if (response.status < 400) {
		throw new MutualAuthenticationError({
			code: 'server-not-proven',
			what: `The server of ${rule.match} (${rule.source}) did not prove its identity`,
			hint: "If it cannot, set 'mutualAuthentication: optional'",
		});
	}
	if (sanitizeErrorResponse) response.withhold(harmlessHeaders);
}

async function proves(context: GssContext, token: string): Promise<boolean> {
	// Without mutual authentication the context is complete before, and proves nothing.
	if (context.isComplete || !isBase64(token)) return false;
	try {
		await context.step(Buffer.from(token, 'base64'));
		return context.isComplete;
	} catch (error) {
		if (error instanceof GatepassError) return false;
		throw error;
	}
}

/** What the challenge holds, where it holds something. */
function tokenIn({headers}: AuthResponse, {challenge}: ChallengeKind): Uint8Array | undefined {
	const token = findChallenge(headers[challenge], 'negotiate');
	return token && isBase64(token) ? Buffer.from(token, 'base64') : undefined;
}

/** RFC 4648 section 4. `Buffer.from` takes anything. */
function isBase64(token: string): boolean {
	return token.length % 4 === 0 && /^[\d+/A-Za-z]+={0,2}$/.test(token);
}
