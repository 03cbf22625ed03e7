/** The platform's fetch, whose requests are authenticated: each hop is dispatched by gatepass. */
import type {Dispatcher} from 'undici';
import {GatepassError} from '../../errors.ts';
import {checkSetting, type GatepassContext} from '../request-setting.ts';
import {bodySource} from './bodies.ts';
import type {AnyDispatcher} from './dispatcher.ts';
import {firstOrigin, sendings} from './target.ts';

/** What `gatepass.fetch` takes besides the URL: what `fetch` takes, and what the caller says to gatepass. */
export interface GatepassRequestInit extends Omit<RequestInit, 'dispatcher'> {
	readonly gatepass?: GatepassContext;
	/** Sends what needs no connection of gatepass's own, as with `intercept`. */
	readonly dispatcher?: AnyDispatcher;
}

/** `fetch`, authenticated. */
export type GatepassFetch = (input: string | URL | Request, init?: GatepassRequestInit) => Promise<Response>;

/** Bytes of the files in a form that are kept while it is sent, so that it can be sent again. */
const mostOfForm = 16 * 1024 * 1024;

/**
 * @param dispatcherOver the dispatcher of gatepass, or one over the caller's.
 * @param isHeard whether anybody is told how often a request is sent.
 */
export function createFetch(
	dispatcherOver: (callers: AnyDispatcher | undefined) => Dispatcher,
	isHeard: () => boolean,
): GatepassFetch {
	return async (input, init = {}) => {
		const {
			gatepass,
			dispatcher: callers,
			...others
		} = init as GatepassRequestInit & {dispatcher?: Dispatcher};
		checkSetting(gatepass, 'gatepass');
		const said = {
			...(gatepass !== undefined && {gatepass}),
			...(isInMemory(init.body) && {[bodySource]: init.body}),
			...(callers !== undefined && {[firstOrigin]: originOf(input)}),
			...(isHeard() && {[sendings]: {count: 0}}),
		};
		const dispatcher = saying(said, dispatcherOver(callers));
		try {
			return await fetch(input, {...others, dispatcher} as unknown as RequestInit);
		} catch (error) {
			const {cause} = error as Error;
			if (cause instanceof GatepassError) throw cause;
			// fetch's own error says nothing by itself.
			const {diagnostics} = (cause ?? {}) as {diagnostics?: unknown};
			throw diagnostics === undefined ? error : Object.assign(error as Error, {diagnostics});
		}
	};
}

/** A dispatcher that adds to the options of each hop what they do not say. */
function saying(said: object, dispatcher: Dispatcher): Dispatcher {
	if (Reflect.ownKeys(said).length === 0) return dispatcher;
	return {
		dispatch: (options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler) =>
			dispatcher.dispatch({...options, ...said}, handler),
		isMockActive: (dispatcher as {isMockActive?: boolean}).isMockActive,
	} as unknown as Dispatcher;
}

/** Whether a body can be sent again from what is in memory: what is not a stream, and no large file in a form. */
function isInMemory(body: unknown): boolean {
	if (body === undefined || body === null) return false;
	if (body instanceof FormData) {
		const sizes = [...body.values()].map(value => (typeof value === 'string' ? value.length : value.size));
		return sizes.reduce((sum, size) => sum + size, 0) <= mostOfForm;
	}
	return (
		typeof body === 'string' ||
		body instanceof Blob ||
		body instanceof ArrayBuffer ||
		ArrayBuffer.isView(body) ||
		body instanceof URLSearchParams
	);
}

function originOf(input: string | URL | Request): string | undefined {
	return URL.parse(input instanceof Request ? input.url : String(input))?.origin;
}
