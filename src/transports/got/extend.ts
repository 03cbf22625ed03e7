/**
 * Carries conversations over got.
 *
 * got calls `options.request` once for each hop and each retry, with the URL and a copy of the options. What a
 * strategy adds goes into that copy only: it never enters got's own options, so it cannot follow a redirect to
 * the next hop, nor show up in got's errors and events. See docs/decisions/0002-below-got.md.
 */
import type {ClientRequest, IncomingMessage, RequestOptions} from 'node:http';
import type {Got, NormalizedOptions, RequestError, RequestFunction} from 'got';
import {GatepassError} from '../../errors.ts';
import type {HopContext, Route, Router, SwitchableRouter} from '../../hop/request.ts';
import {explainTlsFailure} from '../../tls/explain.ts';
import {noteLostConnection} from '../lost-connection.ts';
import {canBeSentAgain, makeReopenable} from '../reopenable-body.ts';
import {checkContext, keepFieldsOfInstance} from './context.ts';
import {exchange} from './exchange.ts';
import {makeFormReopenable} from './form-body.ts';
import {sendByNode} from './leg.ts';
import {given, holders, journey, keepToOrigin, type Marks, markGiven, settleOrigins} from './per-origin.ts';
import {type RequestParameters, type Sender, senderOf} from './sender.ts';

/** The request function that gatepass put into got's options, and what stood there before. */
interface Installed {
	readonly callers: RequestFunction | undefined;
	/** Those of the one hop that it is for; got makes new ones for each redirect and retry. */
	readonly options: NormalizedOptions;
	readonly router: Router;
	/** Whether the rules are looked at: the caller may say that this request has none. */
	readonly isOurs: boolean;
	/** The route of the hop and what was known of it, once it is made: for the explanation of a failure. */
	route?: Route | undefined;
	context?: HopContext;
}

/** By the functions that gatepass put in, of all instances. */
const installed = new WeakMap<RequestFunction, Installed>();

/** Extend a got instance so that its requests are authenticated. */
export function extendGot(got: Got, router: SwitchableRouter): Got {
	const takeOver = (options: NormalizedOptions): void => {
		const isBare = beginsBare(options);
		if (!isBare) settleOrigins(options);
		const callers = currentCallers(options, router);
		if (options.request !== callers) options.request = callers;
		const isSentByNode = callers === undefined && options.http2 !== true && options.h2session === undefined;
		const {gatepass: said} = options.context;
		const setting = said === undefined ? {} : checkContext(said);
		const chosen: Router = setting === false ? router.withoutRules : router;
		const {fresh, tenant} = setting === false ? {} : setting;
		const record: Installed = {callers, options, router, isOurs: setting !== false};
		const request = ((...parameters: RequestParameters) => {
			const {url, native, send, onResponse} =
				isSentByNode && parameters[0] instanceof URL
					? plainSender(parameters as [URL, RequestOptions])
					: senderOf(options, callers, chosen, parameters);
			const route = chosen.route(url, native.method ?? 'GET');
			record.route = route;
			const isVerified = route?.rule !== undefined || route?.trust !== undefined;
			const isAtHome = isBare && url.protocol === 'http:' && url.origin === originOf(options);
			const isChanged = !isAtHome && keepToOrigin(native, url, options, isVerified);
			// Where got makes no error of it, nobody else sees a refusal.
			const isTold = route?.rule === undefined && setting !== false && options.throwHttpErrors !== true;
			const tell = isTold
				? ({statusCode = 0}: IncomingMessage) => router.tellUnmatched(url, statusCode)
				: undefined;
			if (route === undefined) {
				// Nothing to add: the caller's function or, where there is none, got itself goes on with what it has.
				if (!isChanged && !isTold) return callers?.(...(parameters as Parameters<RequestFunction>));
				return shownTo(send(url, native), tell, onResponse);
			}
			record.context = {
				fresh: fresh === true,
				tenant,
				replayable: isReplayable(options),
				sender: callers === undefined ? 'transport' : 'caller',
				signal: options.signal,
			};
			return shownTo(exchange(route, record.context, url, native, options, send), tell, onResponse);
		}) as unknown as RequestFunction;
		installed.set(request, record);
		options.request = request;
		// A shared cache must not keep answers to authenticated requests (RFC 9111 section 3.5), and got's would not
		// see that they are.
		if (
			options.cache !== undefined &&
			options.url instanceof URL &&
			chosen.carriesCredential(options.url, options.method)
		) {
			options.cache = undefined;
		}
	};

	const explainFailure = (error: Error): Error => {
		const {options} = error as RequestError;
		if (error.cause instanceof GatepassError) return error.cause;
		const record = options?.request === undefined ? undefined : installed.get(options.request);
		const {response} = error as RequestError;
		if (response && record?.isOurs && record.route?.rule === undefined) {
			router.tellUnmatched(new URL(response.url), response.statusCode);
		}
		const explained = explainTlsFailure(error as RequestError, record?.route?.trust, record?.context?.shown);
		if (explained !== undefined) return explained;
		const {url, method} = options ?? {};
		const isLost = response === undefined && record !== undefined && url instanceof URL;
		return isLost ? noteLostConnection(error, method as string, url) : error;
	};
	return got.extend({
		hooks: {
			init: [makeFormReopenable, makeReopenable, keepFieldsOfInstance, markGiven],
			beforeRequest: [takeOver],
			beforeError: [explainFailure],
		},
	});
}

/**
 * Whether this is the first hop of a request for which nothing was given that is for one origin only. Where it began is
 * noted all the same, for the hops to come.
 */
function beginsBare({url, headers, context}: NormalizedOptions): boolean {
	const marks = context as Marks;
	const begun = marks[journey];
	if (begun?.origin !== undefined || (begun && holders.get(begun)?.url instanceof URL)) return false;
	if (marks[given] !== undefined || !(url instanceof URL)) return false;
	if (headers.authorization !== undefined || headers.cookie !== undefined) return false;
	if (headers['proxy-authorization'] !== undefined) return false;
	marks[journey] = {origin: url.origin};
	return true;
}

const originOf = ({context}: NormalizedOptions): string | undefined => (context as Marks)[journey]?.origin;

/** Most requests are for Node to send, by its options as they are. */
function plainSender([url, native]: [url: URL, native: RequestOptions]): Sender {
	return {url, native, send: sendByNode};
}

/** Who else is to see the response: got's cache, which waits for it by itself, and who tells of refusals. */
function shownTo(
	request: ClientRequest | Promise<ClientRequest>,
	...listeners: (((response: IncomingMessage) => void) | undefined)[]
): ClientRequest | Promise<ClientRequest> {
	if (listeners.every(listener => listener === undefined)) return request;
	if (request instanceof Promise) return request.then(opened => shownTo(opened, ...listeners));
	for (const listener of listeners) {
		// What a function of the caller's gives may be no request.
		if (listener !== undefined) request?.once?.('response', listener);
	}
	return request;
}

/**
 * The request function of the caller. What gatepass put in on the hop before is not it, nor what this very gatepass
 * put in just now, where an instance was extended twice.
 */
function currentCallers(options: NormalizedOptions, router: Router): RequestFunction | undefined {
	let current = options.request;
	for (;;) {
		const ours = current === undefined ? undefined : installed.get(current);
		if (ours === undefined || (ours.options === options && ours.router !== router)) return current;
		current = ours.callers;
	}
}

/** Without a body, or with one that sending does not use up. A got stream's body is written by its user. */
function isReplayable({body, isStream, method, allowGetBody}: NormalizedOptions): boolean {
	if (body === undefined) {
		return isStream !== true || method === 'HEAD' || (method === 'GET' && allowGetBody !== true);
	}
	return canBeSentAgain(body);
}
