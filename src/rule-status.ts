/** How the credential of a host rule stands: what its strategy says, or what keeps it from saying so. */
import {type Diagnostic, diagnostic, render, warning} from './diagnostics/diagnostic.ts';
import {CertificateError, GatepassError} from './errors.ts';
import type {BoundRule} from './hop/router.ts';
import type {AuthStrategy, CredentialStatus} from './strategy/index.ts';

/** How one host rule stands. Holds no secret. */
export interface RuleStatus extends CredentialStatus {
	/** The rule's patterns, as written. */
	readonly match: string;
	/** The name of the rule's strategy. */
	readonly strategy: string;
	/** Where the rule is written: `file:line`. */
	readonly source: string;
	/** What is wrong, or needs a person's attention; at least one where there is no credential. */
	readonly diagnostics: readonly Diagnostic[];
}

/** Ask the strategy of a rule, which is built where it has not been used yet. */
export async function statusOfRule(
	rule: BoundRule,
	settings: {verify?: boolean} | undefined,
): Promise<RuleStatus> {
	const {match, strategy, source} = rule.info;
	return {match, strategy, source, ...(await credentialStatus(() => rule.strategy, settings))};
}

async function credentialStatus(
	strategy: () => Pick<AuthStrategy, 'status' | 'explain'>,
	settings: {verify?: boolean} | undefined,
): Promise<CredentialStatus & Pick<RuleStatus, 'diagnostics'>> {
	try {
		const {identity: _, evidence: __, ...told} = (await strategy().status?.(settings)) ?? {};
		return withDiagnostics(
			'available' in told ? told : {available: true, detail: 'the strategy does not say'},
		);
	} catch (error) {
		// What a strategy of the user's throws may say anything; ours is known to hold no secret.
		if (!(error instanceof GatepassError)) {
			return withDiagnostics({available: false, detail: 'its strategy failed to tell'});
		}
		// That there is no credential says already where it was looked for.
		const notes = error instanceof CertificateError ? strategy().explain?.() : undefined;
		const {message: detail, diagnostics} = error;
		return {available: false, detail, diagnostics, ...(notes !== undefined && {notes})};
	}
}

/** A strategy may give diagnostics, or warnings as texts; a person gets both. */
function withDiagnostics(status: CredentialStatus): CredentialStatus & Pick<RuleStatus, 'diagnostics'> {
	const {available, detail, warnings = []} = status;
	if (status.diagnostics !== undefined) {
		const texts = status.diagnostics.filter(({severity}) => severity === 'warning').map(render);
		return {...status, diagnostics: status.diagnostics, ...(texts.length > 0 && {warnings: texts})};
	}
	const told = warnings.map(what => warning({code: 'credential-doubtful', what, hint: ''}));
	const missing = diagnostic({code: 'credential-unavailable', what: detail, hint: ''});
	return {...status, diagnostics: available ? told : [missing, ...told]};
}
