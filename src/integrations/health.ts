/** What a health check tells of the host rules: enough to act on, and neither files nor servers beyond the patterns. */
import type {Gatepass} from '../gatepass.ts';
import type {RuleStatus} from '../rule-status.ts';

/** How the credentials of all host rules stand. */
export interface Health {
	/** Whether each rule has its credential. */
	readonly available: boolean;
	readonly rules: readonly RuleHealth[];
}

/** How the credential of one host rule stands. */
export interface RuleHealth {
	/** The rule's patterns, as written. */
	readonly match: string;
	/** The name of the rule's strategy. */
	readonly strategy: string;
	/** Whether its credential is there. */
	readonly available: boolean;
	/** When the credential ends, in milliseconds since 1970. */
	readonly expiresAt?: number;
	/** The codes of what is wrong, or needs a person's attention. */
	readonly codes: readonly string[];
}

/** What `status` takes. */
export interface HealthSettings {
	/** Ask authorization servers and KDCs, too. Default: `false`. */
	readonly verify?: boolean;
	/** Rejects with its reason as soon as it is aborted. */
	readonly signal?: AbortSignal;
}

/** @throws {GatepassError} where the gatepass is closed. */
export async function healthOf(gatepass: Gatepass, settings: HealthSettings = {}): Promise<Health> {
	const rules = (await gatepass.status(settings)).map(healthOfRule);
	return {available: rules.every(({available}) => available), rules};
}

function healthOfRule({match, strategy, available, expiresAt, diagnostics}: RuleStatus): RuleHealth {
	return {
		match,
		strategy,
		available,
		...(expiresAt !== undefined && {expiresAt}),
		codes: [...new Set(diagnostics.map(({code}) => code))],
	};
}
