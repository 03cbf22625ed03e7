/** The forward form of plain HTTP: a request by its whole URL, and what comes out of a tunnel that was opened. */
import type {IncomingMessage, ServerResponse} from 'node:http';
import type {Duplex} from 'node:stream';
import {withoutTrailingDot} from '../strategy/hosts.ts';
import type {AccessEntry} from './access-log.ts';
import {isAdmitted} from './admission.ts';
import {type ProxyContext, Visit} from './context.ts';
import {addressIn, portOf} from './generation.ts';
import {requestHeaders, withoutCredentials} from './headers.ts';
import {type Problem, refusedProblem} from './problem.ts';
import {type Outgoing, relay, relayUpgrade} from './relay.ts';
import {faultOf, hostMissing, splitPath} from './request-target.ts';
import {badTarget, credentialHeaderOf} from './reverse.ts';
import {refusalOf} from './targets.ts';

/** A request with a whole URL. */
export function serveForward(
	context: ProxyContext,
	request: IncomingMessage,
	response: ServerResponse,
): void {
	const visit = new Visit(context, 'forward', request, '').watch(response);
	const admitted = context.admission.admitProxied(request);
	const outgoing = isAdmitted(admitted) ? prepareForward(context, request, visit) : admitted;
	send(request, response, outgoing, visit);
}

export function upgradeForward(
	context: ProxyContext,
	request: IncomingMessage,
	socket: Duplex,
	head: Buffer,
): void {
	const visit = new Visit(context, 'forward', request, '');
	const admitted = context.admission.admitProxied(request);
	const outgoing = isAdmitted(admitted) ? prepareForward(context, request, visit) : admitted;
	upgrade(context, request, socket, head, outgoing, visit);
}

/** A request within a tunnel to `origin`, which was opened. */
export function serveInside(
	context: ProxyContext,
	origin: URL,
	request: IncomingMessage,
	response: ServerResponse,
): void {
	const visit = new Visit(context, formOf(origin), request, origin.origin).watch(response);
	send(request, response, prepareInside(context, origin, request, visit), visit);
}

export function upgradeInside(
	context: ProxyContext,
	origin: URL,
	request: IncomingMessage,
	socket: Duplex,
	head: Buffer,
): void {
	const visit = new Visit(context, formOf(origin), request, origin.origin);
	upgrade(context, request, socket, head, prepareInside(context, origin, request, visit), visit);
}

function formOf({protocol}: URL): AccessEntry['form'] {
	return protocol === 'https:' ? 'intercepted' : 'forward';
}

function send(
	request: IncomingMessage,
	response: ServerResponse,
	outgoing: Outgoing | Problem,
	visit: Visit,
): void {
	if ('status' in outgoing) {
		visit.refuse(response, outgoing);
		return;
	}
	if (request.headers.expect !== undefined) response.writeContinue();
	relay(request, response, outgoing);
}

function upgrade(
	context: ProxyContext,
	request: IncomingMessage,
	socket: Duplex,
	head: Buffer,
	outgoing: Outgoing | Problem,
	visit: Visit,
): void {
	if ('status' in outgoing) {
		visit.refuseConnection(socket, outgoing);
		return;
	}
	let status: number | undefined;
	context.detached.add(socket);
	socket.once('close', () => {
		context.detached.delete(socket);
		visit.end(status);
	});
	relayUpgrade(request, socket, head, outgoing, told => {
		status = told;
	});
}

function prepareForward(context: ProxyContext, request: IncomingMessage, visit: Visit): Outgoing | Problem {
	const {generation} = context;
	if (!generation.settings.forward) return notForward;
	const written = request.url ?? '';
	const [, authority = '', rest = ''] = /^http:\/\/([^/?#]+)(.*)$/is.exec(written) ?? [];
	const origin = URL.parse(`http://${authority}/`);
	if (origin === null || authority.includes('@') || origin.pathname !== '/') {
		return /^https:/i.test(written) ? wantsTunnel : badTarget;
	}
	return prepare(context, origin, rest.startsWith('/') ? rest : `/${rest}`, request, visit);
}

function prepareInside(
	context: ProxyContext,
	origin: URL,
	request: IncomingMessage,
	visit: Visit,
): Outgoing | Problem {
	if (request.headers.host === undefined) return hostMissing;
	const host = URL.parse(`${origin.protocol}//${request.headers.host}/`);
	// Another host in the same tunnel would get the request, but not by its own rule.
	if (host?.origin !== origin.origin) {
		return {
			status: 421,
			code: 'host-misdirected',
			detail: `The header Host names another server than ${origin.origin}, to which the tunnel leads`,
			hint: 'Open a tunnel to that server',
		};
	}
	return prepare(context, origin, request.url ?? '', request, visit);
}

function prepare(
	context: ProxyContext,
	origin: URL,
	written: string,
	request: IncomingMessage,
	visit: Visit,
): Outgoing | Problem {
	const {generation} = context;
	const fault = faultOf(request);
	if (fault !== undefined) return fault;
	const isWhole = written === '*' && request.method === 'OPTIONS';
	const path = splitPath(isWhole ? '/' : written);
	if (path === undefined) return badTarget;
	const url = new URL(origin);
	url.pathname = path.pathname;
	url.search = path.query;
	visit.target = url.origin + url.pathname;
	const refused = refuseTarget(context, url.hostname, portOf(url));
	if (refused !== undefined) return refused;
	const rule = generation.ruleFor(url, request.method ?? 'GET');
	visit.rule = rule?.info.match;
	const isPlain = url.protocol === 'http:';
	return {
		generation,
		isGuarded: isPlain,
		dispatcher: isPlain ? generation.guardedDispatcher(url) : generation.gatepass.dispatcher,
		url,
		path: path.pathname + path.query,
		headers: requestHeaders(request.rawHeaders, []),
		rewrite:
			rule?.carriesCredential === true
				? withoutCredentials(credentialHeaderOf(rule.rule.options))
				: undefined,
		onProblem: visit.noteProblem,
	};
}

/** Whether a client may be led to a host at all. What its name stands for is looked at when it is connected to. */
export function refuseTarget(context: ProxyContext, hostname: string, port: number): Problem | undefined {
	const {generation} = context;
	if (context.isItself(hostname, port)) {
		return {
			status: 508,
			code: 'target-itself',
			detail: 'The request leads back to this proxy',
			hint: 'Use one form: a path of the proxy without a proxy, or a URL of a server through it',
		};
	}
	const isNamed = generation.names(hostname, port);
	const address = addressIn(hostname);
	const name = withoutTrailingDot(hostname);
	const isLocalName = name === 'localhost' || name.endsWith('.localhost');
	const why =
		address !== undefined
			? refusalOf(address, isNamed)
			: isLocalName && !isNamed
				? `${hostname} is this machine, and no host rule names it`
				: undefined;
	return why === undefined ? undefined : refusedProblem(why);
}

export const notForward: Problem = {
	status: 405,
	code: 'forward-off',
	detail: 'This proxy serves its routes only; it is no forward proxy',
	hint: "Set 'serve.forward: true', or ask for the path of a route",
	headers: {allow: 'GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS'},
};

const wantsTunnel: Problem = {
	status: 400,
	code: 'tunnel-needed',
	detail: 'A request for an https:// URL goes through a tunnel',
	hint: 'Use CONNECT, as clients do that are given the proxy for https (HTTPS_PROXY)',
};
