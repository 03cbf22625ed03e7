/**
 * Where the time of a request goes: name, connection, TLS, waiting, body. Node tells when each part began and ended, by
 * its diagnostics channels and performance entries, for whatever is sent below gatepass too.
 */
import {subscribe, unsubscribe} from 'node:diagnostics_channel';
import type {ClientRequest, IncomingMessage} from 'node:http';
import {type PerformanceEntry, PerformanceObserver, performance} from 'node:perf_hooks';
import {setImmediate as turn} from 'node:timers/promises';
import {TLSSocket} from 'node:tls';

/** One part of what a request took. Milliseconds, from the beginning of the first request. */
export interface Phase {
	/**
	 * `credential`: what the strategy did before it sent. `dns`, `connect` and `tls` are absent on a connection that was
	 * kept open. `wait`: until the head of the answer. `body`: until its end.
	 */
	readonly name: 'credential' | 'dns' | 'connect' | 'tls' | 'wait' | 'body';
	readonly start: number;
	readonly duration: number;
}

/** Moments of one request, as `performance.now()` gives them. */
interface Moments {
	readonly created: number;
	/** When it had its connection, secure where it should be. */
	connected?: number;
	isSecure?: boolean;
	head?: number;
	end?: number;
}

/** Shorter than this, a strategy's work is not worth a line. Milliseconds. */
const negligible = 1;

export class RequestTiming {
	readonly #moments = new WeakMap<ClientRequest, Moments>();
	readonly #network: PerformanceEntry[] = [];
	readonly #observer = new PerformanceObserver(list => this.#network.push(...list.getEntries()));
	/** When the work on the request to come began: with its hop, or with the answer before. */
	#idleSince: number | undefined;
	#zero: number | undefined;

	start(): void {
		this.#observer.observe({entryTypes: ['dns', 'net']});
		subscribe('http.client.request.created', this.#onCreated);
		subscribe('http.client.response.finish', this.#onHead);
	}

	stop(): void {
		this.#observer.disconnect();
		unsubscribe('http.client.request.created', this.#onCreated);
		unsubscribe('http.client.response.finish', this.#onHead);
	}

	/** A hop begins. `hasRule`: so a strategy is about to work. */
	beginHop(hasRule: boolean): void {
		const now = performance.now();
		this.#zero ??= now;
		this.#idleSince = hasRule ? now : undefined;
	}

	/** A request of the hop's own is about to be sent. Gives what the strategy did before. */
	beginLeg(): Phase | undefined {
		const [since, now] = [this.#idleSince, performance.now()];
		this.#idleSince = undefined;
		if (since === undefined || now - since < negligible) return undefined;
		return this.#phase('credential', since, now);
	}

	/** It was answered, or not; if the strategy sends again, it works from now on. */
	endLeg(): void {
		this.#idleSince = performance.now();
	}

	/** What Node notes down becomes known a turn later. */
	async settle(): Promise<void> {
		await turn();
	}

	/** In order. To be asked once the body has ended, after {@link settle}. */
	phasesOf(request: ClientRequest): Phase[] {
		const moments = this.#moments.get(request);
		if (moments === undefined) return [];
		const {created, isSecure, head} = moments;
		const end = moments.end ?? head ?? performance.now();
		const connected = moments.connected ?? end;
		const within = this.#network.filter(({startTime}) => startTime >= created && startTime <= connected);
		const lookup = within.findLast(({entryType}) => entryType === 'dns');
		const connection = within.findLast(({entryType}) => entryType === 'net');
		// Node ends its entry a little after it has told the socket.
		const reached = connection && Math.min(connection.startTime + connection.duration, connected);
		return [
			lookup && this.#phase('dns', lookup.startTime, lookup.startTime + lookup.duration),
			connection && this.#phase('connect', connection.startTime, reached as number),
			isSecure && reached !== undefined && this.#phase('tls', reached, connected),
			moments.connected !== undefined &&
				this.#phase('wait', connection === undefined ? created : connected, head ?? end),
			head !== undefined && moments.end !== undefined && this.#phase('body', head, moments.end),
		].filter(phase => typeof phase === 'object');
	}

	#phase(name: Phase['name'], start: number, end: number): Phase {
		const round = (milliseconds: number): number => Math.round(milliseconds * 10) / 10;
		return {
			name,
			start: round(start - (this.#zero ?? 0)),
			duration: round(Math.max(end - start, 0)),
		};
	}

	readonly #onCreated = (message: unknown): void => {
		const {request} = message as {request: ClientRequest};
		const moments: Moments = {created: performance.now()};
		this.#moments.set(request, moments);
		const connect = (): void => {
			moments.connected = performance.now();
		};
		request.once('socket', socket => {
			moments.isSecure = socket instanceof TLSSocket;
			const pending = (socket as {secureConnecting?: boolean}).secureConnecting || socket.connecting;
			if (pending) socket.once(moments.isSecure ? 'secureConnect' : 'connect', connect);
			else connect();
		});
		request.once('close', () => {
			moments.end ??= performance.now();
		});
	};

	readonly #onHead = (message: unknown): void => {
		const {request, response} = message as {request: ClientRequest; response: IncomingMessage};
		const moments = this.#moments.get(request);
		if (moments === undefined) return;
		moments.head = performance.now();
		response.once('end', () => {
			moments.end = performance.now();
		});
	};
}
