/** Passes all on that a request under a trust store tells, and says in words why its server is not trusted. */
import type {IncomingHttpHeaders} from 'node:http';
import type {Duplex} from 'node:stream';
import type {Dispatcher} from 'undici';
import type {Route} from '../../hop/request.ts';
import {explainTlsFailure} from '../../tls/explain.ts';

type Controller = Dispatcher.DispatchController;
type Handler = Dispatcher.DispatchHandler;

export class ExplainingHandler implements Handler {
	readonly #handler: Handler;
	readonly #route: Route | undefined;
	readonly #url: URL;
	readonly #onAnswer: (status: number) => void;

	constructor(handler: Handler, route: Route | undefined, url: URL, onAnswer: (status: number) => void) {
		this.#onAnswer = onAnswer;
		this.#handler = handler;
		this.#route = route;
		this.#url = url;
	}

	onRequestStart(controller: Controller, context: unknown): void {
		this.#handler.onRequestStart?.(controller, context);
	}

	onRequestUpgrade(
		controller: Controller,
		status: number,
		headers: IncomingHttpHeaders,
		socket: Duplex,
	): void {
		this.#handler.onRequestUpgrade?.(controller, status, headers, socket);
	}

	onResponseStarted(): void {
		this.#handler.onResponseStarted?.();
	}

	onResponseStart(
		controller: Controller,
		status: number,
		headers: IncomingHttpHeaders,
		statusText?: string,
	): void {
		this.#onAnswer(status);
		this.#handler.onResponseStart?.(controller, status, headers, statusText);
	}

	onResponseData(controller: Controller, chunk: Buffer): void {
		this.#handler.onResponseData?.(controller, chunk);
	}

	onResponseEnd(controller: Controller, trailers: IncomingHttpHeaders): void {
		this.#handler.onResponseEnd?.(controller, trailers);
	}

	onResponseError(controller: Controller, error: Error): void {
		const explained = explainTlsFailure(error, this.#route?.trust, undefined, this.#url) ?? error;
		this.#handler.onResponseError?.(controller, explained);
	}

	onBodySent(chunk: Buffer): void {
		this.#handler.onBodySent?.(chunk);
	}

	onRequestSent(): void {
		this.#handler.onRequestSent?.();
	}
}
