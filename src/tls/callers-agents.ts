/**
 * What of a caller's agent stays where gatepass verifies the server: its client certificate, its limits, the way that it
 * goes. What it says about verification does not: an agent's options overrule those of each request.
 */
import {EventEmitter} from 'node:events';
import {Agent as HttpsAgent} from 'node:https';
import type {Duplex} from 'node:stream';
import {StrategyError} from '../errors.ts';
import {HttpAgent} from './node-http.ts';
import type {Destination, Way} from './verifying-agent.ts';

/** The agent of a caller as gatepass uses it. One object for one agent, so it serves as a key. */
export interface CallersAgent {
	/** Options of agents and connections, without those that verify. */
	readonly options: Readonly<Record<string, unknown>>;
	/** Absent: it connects as any agent does. */
	readonly way?: Way;
	/** What its `proxyEnv` names: the variables of proxies. */
	readonly proxies?: Readonly<Record<string, string | undefined>>;
}

/** What decides whether a server is believed. */
const verifying = [
	'allowPartialTrustChain',
	'ca',
	'checkServerIdentity',
	'enableTrace',
	'pskCallback',
	'rejectUnauthorized',
	'requestCert',
	'secureContext',
	'servername',
	'session',
];

interface Connecting {
	createConnection?: unknown;
	createSocket?: unknown;
	addRequest?: unknown;
	/** agent-base from version 7 on, and before. */
	connect?: OpenThrough;
	callback?: OpenThrough;
	options?: Record<string, unknown>;
}

type OpenThrough = (request: EventEmitter, options: object) => unknown;

const known = new WeakMap<object, CallersAgent>();

/**
 * What of an agent stays; `undefined`: nothing that matters, as of Node's own.
 *
 * @throws {StrategyError} where there is no way to verify what it connects to.
 */
export function callersAgent(agent: unknown): CallersAgent | undefined {
	if (typeof agent !== 'object' || agent === null) return undefined;
	const found = known.get(agent);
	if (found !== undefined) return found;
	const made = describe(agent as Connecting);
	known.set(agent, made);
	return made;
}

function describe(agent: Connecting): CallersAgent {
	const {proxyEnv, ...options} = withoutVerification(agent.options);
	if (agent.options?.secureContext !== undefined) {
		throw unsuitable(
			'brings a secureContext, whose CA certificates and client certificate cannot be told apart',
		);
	}
	const open = agent.connect ?? agent.callback;
	if (typeof open === 'function' && isOwnWay(agent)) {
		return {options, way: {open: to => openBy(agent, open, to)}};
	}
	if (agent instanceof HttpsAgent && !isOwnWay(agent as Connecting)) {
		if (agent.createConnection === HttpsAgent.prototype.createConnection) {
			return {
				options,
				...(typeof proxyEnv === 'object' &&
					proxyEnv !== null && {proxies: proxyEnv as Record<string, string>}),
			};
		}
		const connect = agent.createConnection.bind(agent) as unknown as NonNullable<Way['connect']>;
		return {options, way: {connect}};
	}
	throw unsuitable('has a way of its own to connect');
}

/** Whether it takes requests in another way than Node's agents, whose `createConnection` is all that connects. */
function isOwnWay({addRequest, createSocket}: Connecting): boolean {
	const nodes = HttpAgent.prototype as unknown as Connecting;
	return addRequest !== nodes.addRequest || createSocket !== nodes.createSocket;
}

/** Options of TLS without those that decide whether a server is believed. */
export function withoutVerification(
	options: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
	return Object.fromEntries(Object.entries(options).filter(([name]) => !verifying.includes(name)));
}

/** A function of the caller's that connects, as got's `createConnection`. */
export function callersConnect(connect: object): CallersAgent {
	let made = known.get(connect);
	if (made === undefined) {
		made = {options: {}, way: {connect: connect as NonNullable<Way['connect']>}};
		known.set(connect, made);
	}
	return made;
}

/** Agents made with agent-base give the bare connection where they are told that no TLS is wanted. */
async function openBy(agent: object, open: OpenThrough, {host, port}: Destination): Promise<Duplex> {
	const request = new EventEmitter();
	const opened = await open.call(agent, request, {host, port, secureEndpoint: false, protocol: 'http:'});
	const socket = opened as Partial<Duplex> & {connecting?: boolean};
	if (typeof socket?.write !== 'function' || typeof socket.on !== 'function') {
		throw unsuitable(`opens no bare connection to ${host}:${port}`);
	}
	// Where a proxy opens no tunnel, what is given has only its answer to read.
	if (socket.writable === false || socket.destroyed === true) {
		(socket as Duplex).on('error', () => {}).destroy();
		throw Object.assign(new Error(`The agent given opens no tunnel to ${host}:${port}`), {
			code: 'ERR_PROXY_TUNNEL',
		});
	}
	queueMicrotask(() => request.emit('socket', socket));
	return socket as Duplex;
}

function unsuitable(why: string): StrategyError {
	return new StrategyError({
		code: 'agent-unsuitable',
		what: `The agent given ${why}, so that gatepass cannot verify the server as its rules and trust stores ask for`,
		hint: "Give cert and key in an https.Agent, or leave the agent out; for a proxy, set 'proxy' in the configuration",
	});
}
