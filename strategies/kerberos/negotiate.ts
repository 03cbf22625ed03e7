/**
 * The Negotiate conversation (RFC 4559) over any GSS-API provider.
 *
 * All state belongs to the one request: a context is never shared, and no success of one request spares another
 * one its verification. What is known of a server from before only decides whether a token is sent along at once.
 */
import {KerberosExchangeError} from '../../src/errors.ts';
import type {AuthRequest, AuthResponse, Conversation, RuleInfo} from '../../src/strategy/index.ts';
import {bindingsFor, isTied} from './channel-bindings.ts';
import {checkDelegation} from './delegation.ts';
import type {GssContext, GssProvider} from './gss-provider.ts';
import type {Known, KnownServers} from './known-servers.ts';
import type {KerberosOptions} from './options.ts';
import {isChallenge, ofProxy, ofServer, proofIn} from './proof.ts';
import {hostOf} from './service-names.ts';
import {accept, refuse} from './verdict.ts';

/** A token is made for a challenge this often at most; after that the refusal is what the server means. */
const mostAttempts = 2;

/** RFC 9110 section 9.2.1: sent once more, they change nothing. */
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

/** What a conversation has to do with, besides its request. */
export interface Negotiation {
	readonly options: KerberosOptions;
	readonly provider: GssProvider;
	readonly rule: RuleInfo;
	/** The servers that have proven themselves to the rule. */
	readonly known: KnownServers;
	/** Whose connection it goes over, where that is settled before. */
	readonly owner?: string | undefined;
}

/** Hold the conversation for one request: with the server, or with the proxy in between. */
export async function* negotiate(request: AuthRequest, negotiation: Negotiation): Conversation {
	const {options, rule} = negotiation;
	checkDelegation(request, options, rule);
	const {proxy} = options;
	const isSecure = request.url.protocol === 'https:';
	if (proxy === true && isSecure) {
		throw new KerberosExchangeError({
			code: 'proxy-needs-url',
			what: `The rule for ${rule.match} (${rule.source}) has 'proxy: true', which cannot answer a proxy for ${request.url.origin}: it is asked for a tunnel below`,
			hint: "Give the proxy's URL, as in 'proxy: http://proxy.example.org:3128'",
		});
	}
	if (typeof proxy !== 'string') {
		// A rule that names a proxy, asked for a tunnel.
		yield* converse(request, request.method === 'CONNECT' ? withoutProof(negotiation) : negotiation);
		return;
	}
	const url = new URL(proxy);
	const ofThisProxy = {...negotiation, options: {...options, hostname: options.hostname ?? hostOf(url)}};
	const authenticate = (tunnel: AuthRequest): Conversation =>
		converse(tunnel, {...withoutProof(ofThisProxy), owner: request.connectionOwner});
	request.proxy = {url, timeout: options.timeout, authenticate};
	if (!isSecure) {
		yield* converse(request, ofThisProxy);
		return;
	}
	// What goes through the tunnel is between the caller and the server, which proves itself by TLS.
	await claimConnection(request, ofThisProxy);
	yield;
}

/** A connection may count for the server as the principal's from the first token on. */
async function claimConnection(request: AuthRequest, {options, provider}: Negotiation): Promise<void> {
	// What goes to the proxy by other means goes over connections that are not gatepass's to choose.
	if (options.proxy === true) return;
	request.connectionOwner = (await provider.whose(serviceOf(request, options))) ?? '';
}

export function serviceOf(
	{url}: Pick<AuthRequest, 'url'>,
	{service, hostname, canonicalizeHostname}: KerberosOptions,
): {target: string; canonicalizeHostname: boolean} {
	return {target: `${service}@${hostname ?? hostOf(url)}`, canonicalizeHostname};
}

/** Proxies that open a tunnel do not prove themselves (Apache and squid do not); a wrong proof is still refused. */
function withoutProof(negotiation: Negotiation): Negotiation {
	return negotiation.options.mutualAuthentication === 'required'
		? {...negotiation, options: {...negotiation.options, mutualAuthentication: 'optional'}}
		: negotiation;
}

async function* converse(request: AuthRequest, negotiation: Negotiation): Conversation {
	const {options, rule, known} = negotiation;
	const kind = options.proxy ? ofProxy : ofServer;
	const server = typeof options.proxy === 'string' ? options.proxy : request.url.origin;
	const hasToProve = options.mutualAuthentication === 'required';
	let context: GssContext | undefined;
	let attempts = 0;
	let wasSilent = false;
	const authorize = async (challenge?: AuthResponse): Promise<void> => {
		context?.dispose();
		context = undefined;
		attempts += 1;
		context = await beginContext(request, negotiation, {renew: attempts > 1, challenge});
		request.headers.set(kind.answer, `Negotiate ${Buffer.from(context.token).toString('base64')}`);
	};
	try {
		// A body that can be sent only once cannot wait for a challenge, nor can a request that may not get one.
		const isExpected = hasToProve && mayBeSilent(known.get(server), request);
		if (options.preemptive || !request.replayable || isExpected) await authorize();
		else if (negotiation.owner === undefined) await claimConnection(request, negotiation);
		for (;;) {
			const response = yield;
			const proof = await proofIn(response, kind, context);
			if (hasToProve && proof === 'valid') known.note(server, wasSilent);
			// A refusal that is proven is what the server means: the user is known, and not allowed.
			const isAsking = proof !== 'valid' && isChallenge(response, kind);
			// It knows the connection or the session from before, and proves itself to whoever sends a token.
			const isSilent = hasToProve && attempts === 0 && response.status < 400 && isSafe(request);
			wasSilent ||= isSilent;
			if (request.replayable && ((isAsking && attempts < mostAttempts) || isSilent)) {
				await authorize(response);
				continue;
			}
			if (response.status === kind.status) refuse({request, response, kind, proof, context, options});
			else accept({request, response, kind, proof, context, options, rule});
			return;
		}
	} finally {
		context?.dispose();
	}
}

/** Whether a server may execute the request without a challenge, and so without a proof, so that it is too late then. */
function mayBeSilent(known: Known | undefined, request: AuthRequest): boolean {
	return known === 'remembers' || (known === 'proves' && !isSafe(request));
}

function isSafe({method}: AuthRequest): boolean {
	return safeMethods.has(method);
}

/** The tickets may be another principal's by now than when the connection was chosen: then once more, on its own. */
async function beginContext(
	request: AuthRequest,
	negotiation: Negotiation,
	{renew, challenge}: {renew: boolean; challenge: AuthResponse | undefined},
): Promise<GssContext> {
	const {options, provider, rule} = negotiation;
	try {
		const {owner} = negotiation;
		const isTiedToConnection = isTied(request, options);
		for (let tries = 0; tries < mostAttempts; tries++) {
			if (owner === undefined && isTiedToConnection) await claimConnection(request, negotiation);
			const context = await provider.createContext({
				...serviceOf(request, options),
				mechanism: options.mechanism,
				mutualAuthentication: options.mutualAuthentication !== 'disabled',
				delegate: options.delegate,
				channelBindings: await bindingsFor(request, options, rule),
				renew,
			});
			const {principal} = context;
			if (options.proxy === true) return context;
			// It goes over a connection of whoever it is for, which is still to be chosen.
			if (owner === undefined && !isTiedToConnection) {
				if (principal === undefined) await claimConnection(request, negotiation);
				else request.connectionOwner = principal;
				return context;
			}
			if (principal === undefined || principal === (owner ?? request.connectionOwner)) return context;
			context.dispose();
		}
	} catch (error) {
		throw challenge === undefined ? error : withResponse(error, challenge);
	}
	throw new KerberosExchangeError({
		code: 'kerberos-tickets-changed',
		what: `The tickets for ${rule.match} (${rule.source}) changed while a request was on its way, twice`,
		hint: 'Send it again',
	});
}

/** An exchange that failed at a challenge says at which one. */
function withResponse(error: unknown, {status, headers}: AuthResponse): unknown {
	if (!(error instanceof KerberosExchangeError)) return error;
	const {diagnostics, message, major, minor, cause} = error;
	return new KerberosExchangeError(
		diagnostics[0] ?? message,
		{
			...(major !== undefined && {major}),
			...(minor !== undefined && {minor}),
			response: {status, headers},
		},
		cause === undefined ? undefined : {cause},
	);
}
