/** The reverse form: a path of the proxy leads to a server. */
import type {IncomingMessage, ServerResponse} from 'node:http';
import type {Duplex} from 'node:stream';
import type {Sendings} from '../hop/report.ts';
import type {Admitted, Listening} from './admission.ts';
import {isAdmitted} from './admission.ts';
import {type ProxyContext, Visit} from './context.ts';
import {addressIn, type Generation, portOf} from './generation.ts';
import {type FlatHeaders, type Rewrite, requestHeaders, withoutCredentials} from './headers.ts';
import {findRoute, localForm, type Place} from './local-form.ts';
import {answerOwn} from './pages.ts';
import {type Problem, refusedProblem} from './problem.ts';
import {hasBody, type Outgoing, relay, relayUpgrade} from './relay.ts';
import {type AskedPath, faultOf, splitPath} from './request-target.ts';
import {refusalOf} from './targets.ts';

const ownPath = '/-/';
/** As browsers have it. */
const mostRedirects = 20;

export function serveReverse(
	context: ProxyContext,
	request: IncomingMessage,
	response: ServerResponse,
	listening: Listening,
): void {
	const path = splitPath(request.url ?? '');
	const isOwn = path?.pathname.startsWith(ownPath) === true;
	const visit = new Visit(context, isOwn ? 'own' : 'reverse', request, path?.pathname ?? '').watch(response);
	const admitted = context.admission.admit(request, listening);
	if (isOwn) {
		answerOwn(context, request, response, path.pathname, isAdmitted(admitted) ? undefined : admitted);
		return;
	}
	if (!isAdmitted(admitted)) {
		visit.refuse(response, admitted);
		return;
	}
	const outgoing = prepare(context, request, path, admitted, listening, visit);
	if ('status' in outgoing) {
		visit.refuse(response, outgoing);
		return;
	}
	if (request.headers.expect !== undefined) response.writeContinue();
	relay(request, response, outgoing);
}

export function upgradeReverse(
	context: ProxyContext,
	request: IncomingMessage,
	socket: Duplex,
	head: Buffer,
	listening: Listening,
): void {
	const path = splitPath(request.url ?? '');
	const visit = new Visit(context, 'reverse', request, path?.pathname ?? '');
	const admitted = context.admission.admit(request, listening);
	const outgoing = isAdmitted(admitted)
		? prepare(context, request, path, admitted, listening, visit)
		: admitted;
	if ('status' in outgoing) {
		visit.refuseConnection(socket, outgoing);
		return;
	}
	let status: number | undefined;
	socket.once('close', () => visit.end(status));
	context.detached.add(socket);
	socket.once('close', () => context.detached.delete(socket));
	relayUpgrade(request, socket, head, outgoing, told => {
		status = told;
	});
}

function prepare(
	{generation}: ProxyContext,
	request: IncomingMessage,
	path: AskedPath | undefined,
	{secrets}: Admitted,
	{scheme}: Listening,
	visit: Visit,
): Outgoing | Problem {
	const {settings, gatepass} = generation;
	const fault = faultOf(request);
	if (fault !== undefined) return fault;
	if (path === undefined) return badTarget;
	const found = findRoute(settings.routes, path.pathname);
	if (found === undefined) return unknownRoute(settings.routes.map(({prefix}) => prefix || '/'));
	const {route, rest} = found;
	const {origin, pathname} = route.target;
	const base = pathname === '/' ? '' : pathname;
	const url = new URL(`${origin}${`${base}${rest}` || '/'}${path.query}`);
	visit.target = url.origin + url.pathname;
	const place: Place = {
		route,
		routes: settings.routes,
		url,
		self: `${scheme}://${request.headers.host ?? 'localhost'}`,
	};
	const headers = requestHeaders(request.rawHeaders, secrets);
	const outgoing: Outgoing = {
		generation,
		isGuarded: false,
		dispatcher: gatepass.dispatcher,
		url,
		path: url.pathname + path.query,
		headers,
		rewrite: rewriteFor(generation, url, request, visit, localForm(place)),
		onProblem: visit.noteProblem,
	};
	if (settings.redirects !== 'follow') return outgoing;
	const counted = {sendings: {count: 0}};
	const follow = following(generation, request, visit, place, headers, mostRedirects, counted.sendings);
	return {...outgoing, ...counted, follow};
}

function rewriteFor(
	generation: Generation,
	url: URL,
	{method = 'GET'}: IncomingMessage,
	visit: Visit,
	toLocalForm: Rewrite,
): Rewrite {
	const rule = generation.ruleFor(url, method);
	visit.rule = rule?.info.match;
	if (rule?.carriesCredential !== true) return toLocalForm;
	const clean = withoutCredentials(credentialHeaderOf(rule.rule.options));
	return (name, value) => (clean(name, value) === undefined ? undefined : toLocalForm(name, value));
}

/** The header in which a rule shows its credential, where its options name one. */
export function credentialHeaderOf(options: unknown): string | undefined {
	const {header} = (options ?? {}) as {header?: unknown};
	return typeof header === 'string' ? header.toLowerCase() : undefined;
}

/** Follows redirects to other servers than the routes lead to. What the client sent for one is not for the next. */
function following(
	generation: Generation,
	request: IncomingMessage,
	visit: Visit,
	place: Place,
	headers: FlatHeaders,
	left: number,
	sendings: Sendings,
): NonNullable<Outgoing['follow']> {
	return (status, location) => {
		const isSafe = request.method === 'GET' || request.method === 'HEAD';
		if (![301, 302, 303, 307, 308].includes(status) || !isSafe || left === 0) return undefined;
		// It went to the first server, and these want it sent again.
		if ((status === 307 || status === 308) && hasBody(request)) return undefined;
		const url = URL.parse(location, place.url.href);
		if (url === null || !/^https?:$/.test(url.protocol) || url.origin === place.url.origin) return undefined;
		// From TLS to plain http is no way to go for what the client asked of the first server.
		if (url.protocol === 'http:' && place.url.protocol === 'https:') return undefined;
		const address = addressIn(url.hostname);
		const isNamed = generation.names(url.hostname, portOf(url));
		if (address !== undefined && refusalOf(address, isNamed) !== undefined) return undefined;
		url.hash = '';
		url.username = '';
		url.password = '';
		const kept = withoutForFirst(headers);
		const next = {...place, url};
		visit.target = url.origin + url.pathname;
		return {
			generation,
			isGuarded: true,
			dispatcher: generation.guardedDispatcher(url),
			url,
			path: url.pathname + url.search,
			headers: kept,
			rewrite: rewriteFor(generation, url, request, visit, localForm(next)),
			onProblem: visit.noteProblem,
			sendings,
			// Over connections of a rule's own, nobody looks at what the name stands for.
			async refusal() {
				const why = await generation.refusalOf(url);
				return why === undefined ? undefined : refusedProblem(why);
			},
			follow: following(generation, request, visit, next, kept, left - 1, sendings),
		};
	};
}

/** Nor is there the body that some of them describe. */
function withoutForFirst(headers: FlatHeaders): FlatHeaders {
	const kept: FlatHeaders = [];
	for (let index = 0; index < headers.length; index += 2) {
		const name = headers[index] as string;
		if (/^(?:authorization|cookie|origin|referer|trailer|content-.*|(?:repr-)?digest)$/i.test(name)) continue;
		kept.push(name, headers[index + 1] as string);
	}
	return kept;
}

export const badTarget: Problem = {
	status: 400,
	code: 'target-malformed',
	detail: 'The request names nothing that could be asked for',
	hint: 'Ask for a path such as /runs/x, with what is not ASCII, blanks, backslashes and # encoded',
};

function unknownRoute(prefixes: readonly string[]): Problem {
	const known = prefixes.length === 0 ? 'there are none' : `there are ${prefixes.join(', ')}`;
	return {
		status: 404,
		code: 'route-unknown',
		detail: `No route of the proxy leads from this path; ${known}`,
		hint: "Add one under serve.routes, such as '/runs: https://cmsoms.cern.ch'",
	};
}
