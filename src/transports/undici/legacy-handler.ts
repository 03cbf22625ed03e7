/**
 * Takes the handlers of Node's own fetch and of undici before version 8: they are called by other names, are given raw
 * headers, and stop the flow by returning `false`.
 */
import type {IncomingHttpHeaders} from 'node:http';
import type {Duplex} from 'node:stream';
import type {Dispatcher} from 'undici';
import {toRawPairs} from './headers.ts';

type Controller = Dispatcher.DispatchController;

interface LegacyHandler {
	onConnect?(abort: (reason?: Error) => void, context: unknown): void;
	onUpgrade?(status: number, headers: Buffer[], socket: Duplex): void;
	onResponseStarted?(): void;
	onHeaders?(status: number, headers: Buffer[], resume: () => void, statusText: string): unknown;
	onData?(chunk: Buffer): unknown;
	onComplete?(trailers: Buffer[]): void;
	onError?(error: Error): void;
	onBodySent?(chunk: Buffer): void;
	onRequestSent?(): void;
}

/** A handler by the names of undici 7 and 8. */
export function modernHandler(handler: Dispatcher.DispatchHandler): Dispatcher.DispatchHandler {
	return typeof handler.onRequestStart === 'function' ? handler : new ModernHandler(handler as LegacyHandler);
}

/** Whether a handler knows HTTP/1.1 only. */
export function isLegacy(handler: Dispatcher.DispatchHandler): boolean {
	return handler instanceof ModernHandler;
}

class ModernHandler implements Dispatcher.DispatchHandler {
	readonly #handler: LegacyHandler;

	constructor(handler: LegacyHandler) {
		this.#handler = handler;
	}

	onRequestStart(controller: Controller, context: unknown): void {
		this.#handler.onConnect?.(reason => controller.abort(reason ?? aborted()), context);
	}

	onRequestUpgrade(
		controller: Controller,
		status: number,
		headers: IncomingHttpHeaders,
		socket: Duplex,
	): void {
		this.#handler.onUpgrade?.(status, toRawPairs(controller.rawHeaders, headers), socket);
	}

	onResponseStarted(): void {
		this.#handler.onResponseStarted?.();
	}

	onResponseStart(
		controller: Controller,
		status: number,
		headers: IncomingHttpHeaders,
		statusText = '',
	): void {
		const resume = (): void => controller.resume();
		const raw = toRawPairs(controller.rawHeaders, headers);
		if (this.#handler.onHeaders?.(status, raw, resume, statusText) === false) controller.pause();
	}

	onResponseData(controller: Controller, chunk: Buffer): void {
		if (this.#handler.onData?.(chunk) === false) controller.pause();
	}

	onResponseEnd(controller: Controller, trailers: IncomingHttpHeaders): void {
		this.#handler.onComplete?.(toRawPairs(controller.rawTrailers, trailers));
	}

	onResponseError(_controller: Controller, error: Error): void {
		if (this.#handler.onError === undefined) throw error;
		this.#handler.onError(error);
	}

	onBodySent(chunk: Buffer): void {
		this.#handler.onBodySent?.(chunk);
	}

	onRequestSent(): void {
		this.#handler.onRequestSent?.();
	}
}

/** As undici's own, which names no reason either. */
function aborted(): Error {
	const error = new Error('Request aborted');
	error.name = 'AbortError';
	return Object.assign(error, {code: 'UND_ERR_ABORTED'});
}
