/** Tells how a hop went: `gatepass:request`, once for each hop that has a rule. */

import type {AuthRequest} from '../strategy/index.ts';
import type {Route} from './request.ts';

export interface HopReport {
	countLeg(): void;
	/** Once: with the status that is delivered, or without, where the hop failed. */
	end(status: number | undefined, request?: Pick<AuthRequest, 'refusal'>): void;
}

/** The report of a hop that begins now; `undefined` where nobody listens. */
export function reportHop({events, rule}: Route, url: URL, method: string): HopReport | undefined {
	if (!events.audience['gatepass:request'].hasSubscribers || rule === undefined) return undefined;
	const begun = performance.now();
	const {match, strategy, source} = rule.info;
	let legs = 0;
	let isOver = false;
	return {
		countLeg() {
			legs += 1;
		},
		end(status, {refusal} = {refusal: undefined}) {
			// An answer that was delivered may break off later: that is the caller's to see.
			if (isOver) return;
			isOver = true;
			events.publish('gatepass:request', {
				method,
				url: url.origin + url.pathname,
				rule: {match, strategy, source},
				...(status !== undefined && {status}),
				legs,
				duration: performance.now() - begun,
				...(refusal !== undefined && {refusal}),
			});
		},
	};
}
