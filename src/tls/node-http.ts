/**
 * `node:http`, as CommonJS has it. To import it takes 40 ms, longer than all of gatepass's own code that reads a
 * configuration: an ES module reads every export, `WebSocket` is one of them, and that loads Node's copy of undici.
 */
import type {Agent, request} from 'node:http';

/** The very object that an import gives: whoever has put a function of his own into it, as instrumentation does, is asked. */
export const http = process.getBuiltinModule('node:http');

export const HttpAgent = http.Agent;
export type HttpAgent = Agent;

/** `http.request`, as it is when it is called. */
export const requestHttp = ((...given: Parameters<typeof request>) =>
	http.request(...given)) as typeof request;
