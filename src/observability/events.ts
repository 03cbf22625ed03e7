/**
 * What gatepass tells about its work: through `diagnostics_channel`, to a logger, to OpenTelemetry.
 *
 * No event holds a secret. A URL in one has neither user information nor query. Times are milliseconds.
 */
import {type Channel, channel} from 'node:diagnostics_channel';
import type {GatepassError} from '../errors.ts';

/** Which token an event is about: what makes it different from others, without the token itself. */
interface AboutToken {
	/** See `tokenKey`. */
	readonly key: string;
}

/** The certificate in use. */
interface AboutCertificate {
	/** As RFC 2253 writes it. */
	readonly subject: string;
	/** The file that it was read from. */
	readonly file: string;
	/** When it ends. */
	readonly expiresAt: number;
}

/** The events by name; each is published on the channel of that name. */
export interface EventPayloads {
	/** A token was fetched from its issuer, in the foreground: somebody waited for it. */
	readonly 'gatepass:token:issue': AboutToken & {readonly duration: number; readonly expiresAt?: number};
	/** A token was served from memory or from the store. */
	readonly 'gatepass:token:hit': AboutToken & {readonly from: 'memory' | 'store'};
	/** A token was renewed ahead of its end, in the background. */
	readonly 'gatepass:token:refresh': AboutToken & {readonly duration: number; readonly expiresAt?: number};
	/** A token was dropped because a server refused it. */
	readonly 'gatepass:token:invalidate': AboutToken;
	/** Something failed that no request suffers from, such as the store or a renewal; or fetching a token failed. */
	readonly 'gatepass:token:error': Partial<AboutToken> & {
		readonly error: GatepassError;
		/** How long the issuer was asked; absent where it is not the issuer that failed. */
		readonly duration?: number;
	};
	/** Another certificate was taken up: its files were replaced, or a search found others. */
	readonly 'gatepass:certificate:replaced': AboutCertificate & {
		/** The subject of the one that was in use until now. */
		readonly previous: string;
	};
	/** A certificate is about to end. Told 30, 10 and 3 days before, once each. */
	readonly 'gatepass:certificate:expiring': AboutCertificate & {readonly days: 30 | 10 | 3};
	/** A certificate was taken up that servers may refuse. Told once for each. */
	readonly 'gatepass:certificate:warning': AboutCertificate & {
		/** A sentence each, with its hint. */
		readonly warnings: readonly string[];
	};
	/** Files were changed into something that cannot be used; the certificate read before stays in use. */
	readonly 'gatepass:certificate:error': AboutCertificate & {readonly error: GatepassError};
	/** A certificate was renewed, or could not be, or expires for want of that; a hook failed; a change that was left half done was taken back. */
	readonly 'gatepass:certificate:renewal': {
		readonly kind: 'renewed' | 'failed' | 'hook-failed' | 'recovered' | 'expiring';
		/** The lineage. */
		readonly name?: string;
		/** A sentence. */
		readonly detail: string;
		/** When the one in use ends, in milliseconds since 1970. */
		readonly notAfter?: number;
	};
	/** Something is wrong with the CA files of an entry under `trust`: what cannot be used is left out. Once for each fault. */
	readonly 'gatepass:trust:error': {
		/** `file:line` of the entry. */
		readonly source: string;
		readonly error: GatepassError;
	};
	/** A strategy has something to say that no request suffers from, such as the words of a program that it ran. */
	readonly 'gatepass:strategy:notice': {
		readonly rule: {readonly match: string; readonly strategy: string; readonly source: string};
		/** Sentences, or lines of a program's output, without secrets. */
		readonly notice: string;
	};
	/** A request that no rule matches was answered by 401 or 403. Told once for each origin. */
	readonly 'gatepass:request:unmatched': {
		/** Without user information, query and fragment. */
		readonly url: string;
		readonly status: number;
	};
	/** A request of a hop that has a rule was sent, and was answered or failed: for each time that it is sent. */
	readonly 'gatepass:leg': {
		readonly method: string;
		/** Without user information, query and fragment. */
		readonly url: string;
		/** The caller's query with its question mark, or empty. Values that sign or authenticate are `REDACTED`. */
		readonly query: string;
		readonly rule: {readonly match: string; readonly strategy: string; readonly source: string};
		/** The status of the answer; absent where there was none. */
		readonly status?: number;
		/** The code of the error, where it has one, such as `ECONNRESET`. */
		readonly failure?: string;
		/** How often the request was sent before by a rule, at this hop and at those from which redirects have led here. */
		readonly resends: number;
		/** From the sending to the head of the response. */
		readonly duration: number;
	};
	/** A hop that has a rule was answered, or failed. */
	readonly 'gatepass:request': {
		readonly method: string;
		/** Without user information, query and fragment. */
		readonly url: string;
		readonly rule: {readonly match: string; readonly strategy: string; readonly source: string};
		/** The status that was delivered; absent where the hop failed. */
		readonly status?: number;
		/** How often the request was sent. */
		readonly legs: number;
		/** From the choice of the rule to the head of the response. */
		readonly duration: number;
		/** Why the server refused the credential, where it said so. What a server says, nobody vouches for. */
		readonly refusal?: GatepassError;
	};
}

/** The name of an event, and of its channel in `node:diagnostics_channel`. */
export type EventName = keyof EventPayloads;

/** Gets every event of one gatepass. */
export interface EventListener {
	<Name extends EventName>(name: Name, payload: EventPayloads[Name]): void;
	/** Those that it does nothing with, and that need not be made for it. */
	readonly ignores?: readonly EventName[];
}

const names = [
	'gatepass:token:issue',
	'gatepass:token:hit',
	'gatepass:token:refresh',
	'gatepass:token:invalidate',
	'gatepass:token:error',
	'gatepass:certificate:replaced',
	'gatepass:certificate:expiring',
	'gatepass:certificate:warning',
	'gatepass:certificate:error',
	'gatepass:certificate:renewal',
	'gatepass:trust:error',
	'gatepass:strategy:notice',
	'gatepass:request:unmatched',
	'gatepass:leg',
	'gatepass:request',
] as const satisfies readonly EventName[];

/** Whether anybody hears of an event. */
type Audience = Pick<Channel, 'hasSubscribers'>;

const channels = Object.fromEntries(names.map(name => [name, channel(name)])) as Record<EventName, Channel>;
const always: Audience = {hasSubscribers: true};

/** The events of one gatepass. The channels are the process's, the listeners are its own. */
export class Events {
	readonly #listeners: readonly EventListener[];
	/** Who listens, by event: to be asked on the hot path, where the making of a payload is to be spared. */
	readonly audience: Readonly<Record<EventName, Audience>>;

	constructor(listeners: readonly EventListener[] = []) {
		this.#listeners = listeners;
		const isHeard = (name: EventName): boolean =>
			listeners.some(({ignores}) => ignores?.includes(name) !== true);
		this.audience = Object.fromEntries(
			names.map(name => [name, isHeard(name) ? always : channels[name]]),
		) as Record<EventName, Audience>;
	}

	publish<Name extends EventName>(name: Name, payload: EventPayloads[Name]): void {
		if (channels[name].hasSubscribers) channels[name].publish(payload);
		for (const listener of this.#listeners) {
			try {
				listener(name, payload);
			} catch {
				// A broken logger must not break a request, and there is nobody to tell.
			}
		}
	}
}
