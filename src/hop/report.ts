/**
 * Tells how a hop that has a rule went: `gatepass:leg` for each time that it was sent, and `gatepass:request` once, at
 * the end.
 */
import {redactQuery} from '../observability/redact-query.ts';
import type {AuthRequest} from '../strategy/index.ts';
import type {Route} from './request.ts';

export interface HopReport {
	/** The request is sent, for the first time or again; `failure`: why the leg before has no answer. */
	beginLeg(failure?: unknown): void;
	/** The leg was answered. */
	endLeg(status: number): void;
	/**
	 * Once: with the status that is delivered, or without, where the hop failed, and then with the error. A leg that has
	 * no answer ends with it.
	 */
	end(status: number | undefined, request?: Pick<AuthRequest, 'refusal'>, error?: unknown): void;
}

/** How often a request was sent until now, at all hops to which redirects and retries have led it. */
export interface Sendings {
	count: number;
}

const bySource = new WeakMap<object, Sendings>();

/** Those of a request, by an object that it has for itself, and that goes along with it. */
export function sendingsOf(request: object): Sendings {
	let sendings = bySource.get(request);
	if (sendings === undefined) {
		sendings = {count: 0};
		bySource.set(request, sendings);
	}
	return sendings;
}

/** What is told of where a hop goes: a URL, or what takes less than one to make. */
type ReportedPlace = Pick<URL, 'origin' | 'pathname' | 'search'>;

/** The report of a hop that begins now; `undefined` where nobody listens. */
export function reportHop(
	{events, rule}: Pick<Route, 'events' | 'rule'>,
	url: ReportedPlace,
	method: string,
	sendings: Sendings = {count: 0},
): HopReport | undefined {
	const tellsOfLegs = events.audience['gatepass:leg'].hasSubscribers;
	if (rule === undefined || !(tellsOfLegs || events.audience['gatepass:request'].hasSubscribers))
		return undefined;
	const begun = performance.now();
	const {match, strategy, source} = rule.info;
	const about = {method, url: url.origin + url.pathname, rule: {match, strategy, source}};
	let legs = 0;
	let resends = 0;
	let legBegun: number | undefined;
	let isOver = false;
	const tellLeg = (outcome: {readonly status: number} | {readonly failure?: string}): void => {
		if (legBegun === undefined) return;
		const duration = performance.now() - legBegun;
		legBegun = undefined;
		const query = redactQuery(url.search);
		events.publish('gatepass:leg', {...about, query, ...outcome, resends, duration});
	};
	return {
		beginLeg(failure) {
			if (failure !== undefined) tellLeg(codeOf(failure));
			legs += 1;
			resends = sendings.count;
			sendings.count += 1;
			if (tellsOfLegs) legBegun = performance.now();
		},
		endLeg(status) {
			tellLeg({status});
		},
		end(status, {refusal} = {refusal: undefined}, error = undefined) {
			// An answer that was delivered may break off later: that is the caller's to see.
			if (isOver) return;
			isOver = true;
			tellLeg(status === undefined ? codeOf(error) : {status});
			events.publish('gatepass:request', {
				...about,
				...(status !== undefined && {status}),
				legs,
				duration: performance.now() - begun,
				...(refusal !== undefined && {refusal}),
			});
		},
	};
}

/** Codes are few, and hold no secret; messages are neither. */
function codeOf(error: unknown): {readonly failure?: string} {
	const {code} = (error ?? {}) as {readonly code?: unknown};
	return typeof code === 'string' && /^[A-Z][A-Z\d_]{1,60}$/.test(code) ? {failure: code} : {};
}
