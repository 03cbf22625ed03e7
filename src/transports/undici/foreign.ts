/**
 * What can be seen of a dispatcher that gatepass did not make. undici says nothing of it aloud; it stands under symbols,
 * of which each copy of undici has its own, by names that versions 7 and 8 share.
 */
import type {Dispatcher} from 'undici';

interface TlsSettings {
	readonly rejectUnauthorized?: boolean;
	readonly checkServerIdentity?: unknown;
}

/** The one server that a dispatcher knows, whatever it is asked for; `undefined`: it knows all. */
export function originOf(dispatcher: Dispatcher): string | undefined {
	return (inside(dispatcher, 'url') as URL | null | undefined)?.origin;
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
		({rejectUnauthorized = true, checkServerIdentity}) =>
			rejectUnauthorized === true && checkServerIdentity === undefined,
	);
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
