/** How everything stands, for the pages. No secret is in it. */

import {version} from '../own-files.ts';
import type {RuleStatus} from '../rule-status.ts';
import type {SeenHop, Warning} from './activity.ts';
import type {ProxyContext} from './context.ts';

/** Points in time are milliseconds since 1970. */
export interface ProxyStatus {
	readonly version: string;
	readonly now: number;
	readonly started: number;
	/** Whether every rule has a usable credential, and the configuration on disk is in force. */
	readonly health: 'ok' | 'failing';
	readonly rules: readonly RuleStatus[];
	readonly routes: readonly {readonly prefix: string; readonly target: string}[];
	readonly forward: boolean;
	readonly hops: readonly SeenHop[];
	readonly warnings: readonly Warning[];
	readonly requests: number;
	readonly tunnels: number;
	readonly reloadFailure?: string;
}

/** Milliseconds for which an answer is good: credentials are files and tickets, which reading costs. */
const fresh = 1000;
const kept = new WeakMap<object, {at: number; rules: Promise<readonly RuleStatus[]>}>();

/** The credentials of the configuration in force. */
export function credentialsOf({generation}: ProxyContext): Promise<readonly RuleStatus[]> {
	const known = kept.get(generation);
	const now = performance.now();
	if (known !== undefined && now - known.at < fresh) return known.rules;
	const rules = generation.gatepass.status();
	kept.set(generation, {at: now, rules});
	return rules;
}

export async function readStatus(context: ProxyContext): Promise<ProxyStatus> {
	const {activity, generation} = context;
	const rules = await credentialsOf(context);
	const {reloadFailure} = activity;
	const isWell = reloadFailure === undefined && rules.every(({available}) => available);
	return {
		version: version(),
		now: Date.now(),
		started: activity.started,
		health: isWell ? 'ok' : 'failing',
		rules,
		routes: generation.settings.routes.map(({prefix, target}) => ({
			prefix: prefix || '/',
			target: target.href,
		})),
		forward: generation.settings.forward,
		hops: activity.hops,
		warnings: activity.warnings,
		requests: [...activity.answers.values()].reduce((sum, count) => sum + count, 0),
		tunnels: activity.tunnels,
		...(reloadFailure !== undefined && {reloadFailure}),
	};
}
