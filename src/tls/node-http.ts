/**
 * Node's client for plain http, loaded when a request is made. To import `node:http` takes longer than all of gatepass's
 * own TLS code: its list of exports holds `WebSocket`, and reading that loads Node's copy of undici.
 */
import type {Agent, request} from 'node:http';
import {Agent as HttpsAgent} from 'node:https';

type Http = typeof import('node:http');

/** `http.Agent`, which is what `https.Agent` extends. */
export type HttpAgent = Agent;
export const HttpAgent = Object.getPrototypeOf(HttpsAgent) as typeof Agent;

let loaded: Http | undefined;

/** The module itself: whoever has put a function of his own into it, as instrumentation does, is asked. */
export function nodeHttp(): Http {
	loaded ??= process.getBuiltinModule('node:http');
	return loaded;
}

/** `http.request`. */
export const requestHttp = ((...given: Parameters<typeof request>) =>
	nodeHttp().request(...given)) as typeof request;
