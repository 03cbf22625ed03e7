/**
 * What can be seen of a dispatcher that gatepass did not make. undici says nothing of it aloud; it stands under symbols,
 * of which each copy of undici has its own, by names that versions 7 and 8 share.
 */
import type {Socket} from 'node:net';
import type {Dispatcher} from 'undici';
import {type CallersAgent, withoutVerification} from '../../tls/callers-agents.ts';

interface TlsSettings {
	readonly rejectUnauthorized?: boolean;
	readonly [name: string]: unknown;
}

/** What decides whether a server is believed. */
const decisive = ['ca', 'checkServerIdentity', 'pskCallback', 'secureContext', 'servername', 'session'];

/** The one server that a dispatcher knows, whatever it is asked for; `undefined`: it knows all. */
export function originOf(dispatcher: Dispatcher): string | undefined {
	return (inside(dispatcher, 'url') as URL | null | undefined)?.origin;
}

/** The connection of a client that has just opened it. */
export function socketOf(client: Dispatcher): Socket | undefined {
	const socket = inside(client, 'socket') as Socket | null | undefined;
	return typeof socket?.read === 'function' ? socket : undefined;
}

/** Whether it connects nowhere. */
export function isMock(dispatcher: Dispatcher): boolean {
	return (
		(dispatcher as {isMockActive?: boolean}).isMockActive === true ||
		dispatcher.constructor.name.startsWith('Mock')
	);
}

export function isProxy(dispatcher: Dispatcher): boolean {
	return dispatcher.constructor.name.includes('Proxy');
}

/**
 * Whether it verifies servers: what its caller switched off, and what the environment switches off, does not hold
 * where a rule sends a credential. Pools and clients do not show it. A function of the caller's that connects, and a
 * dispatcher that is not undici's, are trusted: they see the credential anyway.
 */
export function verifies(dispatcher: Dispatcher): boolean {
	if (process.env.NODE_TLS_REJECT_UNAUTHORIZED === '0' || originOf(dispatcher) !== undefined) return false;
	return tlsSettingsOf(dispatcher).every(
		({rejectUnauthorized = true, ...others}) =>
			rejectUnauthorized === true && decisive.every(name => others[name] === undefined),
	);
}

/** Whether an address is what it connects to: by undici's own way, without a socket or a function of its caller's. */
export function connectsDirectly(dispatcher: Dispatcher): boolean {
	if (!/^(?:Agent|Pool|Client)$/.test(dispatcher.constructor.name)) return false;
	const {connect, socketPath, factory} = (inside(dispatcher, 'options') ?? {}) as Record<string, unknown>;
	const {socketPath: own} = (connect ?? {}) as {socketPath?: unknown};
	return typeof connect !== 'function' && !socketPath && !own && factory === undefined;
}

const known = new WeakMap<Dispatcher, CallersAgent>();

/** What of it stays where gatepass connects in its place: the client certificate, and what else is said for TLS. */
export function callersDispatcher(dispatcher: Dispatcher): CallersAgent | undefined {
	const [settings] = tlsSettingsOf(dispatcher);
	if (settings === undefined || typeof settings === 'function') return undefined;
	let callers = known.get(dispatcher);
	if (callers === undefined) {
		callers = {options: withoutVerification(settings)};
		known.set(dispatcher, callers);
	}
	return callers;
}

/** Whether it shows a client certificate. */
export function holdsCertificate(dispatcher: Dispatcher): boolean {
	return tlsSettingsOf(dispatcher).some(settings =>
		['cert', 'key', 'pfx', 'secureContext'].some(
			name => (settings as Record<string, unknown>)[name] !== undefined,
		),
	);
}

function tlsSettingsOf(dispatcher: Dispatcher): TlsSettings[] {
	const {connect, tls} = (inside(dispatcher, 'options') ?? {}) as Record<string, TlsSettings | undefined>;
	const ofProxy = inside(dispatcher, 'request tls settings') as TlsSettings | undefined;
	return [connect, tls, ofProxy].filter(settings => settings !== undefined && settings !== null);
}

function inside(dispatcher: object, name: string): unknown {
	const symbol = Object.getOwnPropertySymbols(dispatcher).find(({description}) => description === name);
	return symbol === undefined ? undefined : (dispatcher as Record<symbol, unknown>)[symbol];
}
