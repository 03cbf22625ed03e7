/**
 * Opens connections for undici, by the agents that verify servers for all transports: so an identity is shown, and a
 * trust store heeded, in the same way whoever sends.
 */
import type {Agent} from 'node:http';
import {isIP, type Socket} from 'node:net';
import type {Duplex} from 'node:stream';
import {TLSSocket} from 'node:tls';
import type {buildConnector} from 'undici';
import {loadUndici} from './load.ts';
import {watchReads} from './stale-reads.ts';

/** Milliseconds for a connection, as undici has it. */
const longestConnect = 10_000;
/** Milliseconds without traffic after which the system looks whether the other side is there, as undici has it. */
const keepAliveDelay = 60_000;

/** Where to connect; undici says `allowH2: false` for callers that know HTTP/1.1 only. */
export type Target = buildConnector.Options & {readonly allowH2?: boolean};
export type Connector = (target: Target, callback: buildConnector.Callback) => void;

interface OpeningAgent {
	getName?(options: Record<string, unknown>): string;
	createConnection(
		options: Record<string, unknown>,
		created: (error?: Error | null, socket?: Duplex) => void,
	): Duplex | null | undefined;
}

/** A function for undici's option `connect`. The agent is asked for at each connection. */
export function connectorOf(agentFor: (url: URL) => Agent): Connector {
	return (target, callback) => {
		let isDone = false;
		const settle = (error: Error | null, socket?: Duplex): void => {
			if (isDone) {
				socket?.destroy();
				return;
			}
			isDone = true;
			clearTimeout(timer);
			if (error === null) callback(null, made(socket as Socket));
			else callback(error, null);
		};
		let opening: Duplex | null | undefined;
		const giveUp = (): void => {
			if (isDone) return;
			const {ConnectTimeoutError} = loadUndici().errors;
			settle(new ConnectTimeoutError(`No connection to ${target.host} within ${longestConnect} ms`));
			opening?.on('error', () => {}).destroy();
		};
		// After what has come meanwhile: where the process was busy, the connection may have been made long ago.
		const timer = setTimeout(() => setImmediate(giveUp), longestConnect);
		try {
			const agent = agentFor(urlOf(target)) as unknown as OpeningAgent;
			opening = agent.createConnection(optionsFor(agent, target), (error, socket) => {
				// For plain http, Node calls it with nothing once it is connected.
				if (error || socket) settle(error ?? null, socket);
			});
		} catch (error) {
			settle(error as Error);
			return;
		}
		// One that is still to be verified by revocation lists, or goes through a proxy, is handed over when it is ready.
		if (opening === null || opening === undefined) return;
		const socket = opening;
		socket.once('error', settle);
		socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', () => {
			settle(null, socket);
			socket.off('error', settle);
		});
	};
}

function optionsFor(agent: OpeningAgent, target: Target): Record<string, unknown> {
	const {protocol, hostname, port, localAddress, allowH2} = target;
	const isSecure = protocol === 'https:';
	const options: Record<string, unknown> = {
		host: hostname,
		port: Number(port || (isSecure ? 443 : 80)),
		...(localAddress != null && {localAddress}),
	};
	if (!isSecure) return options;
	// RFC 6066 section 3: an address is no server name.
	options.servername = target.servername || (isIP(hostname) === 0 ? hostname : '');
	options.ALPNProtocols = allowH2 === false ? ['http/1.1'] : ['http/1.1', 'h2'];
	// By this name, TLS sessions are kept and resumed.
	options._agentKey = `${agent.getName?.(options)}:${allowH2 === false ? 'h1' : 'h2'}`;
	return options;
}

function urlOf({protocol, hostname, port}: Target): URL {
	const host = hostname.includes(':') && hostname[0] !== '[' ? `[${hostname}]` : hostname;
	return new URL(`${protocol}//${host}${port ? `:${port}` : ''}`);
}

function made(socket: Socket): Socket {
	watchReads(socket);
	return socket.setNoDelay(true).setKeepAlive(true, keepAliveDelay);
}
