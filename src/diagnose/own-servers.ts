/**
 * The seventh and the eighth stage: what the credential's own servers say, the authorization server or the KDC. The
 * strategy asks them, as it would for a request.
 */
import type {Examination} from '../strategy/index.ts';
import type {Found, Subject} from './stage.ts';

/** Both stages are about one question. */
const asked = new WeakMap<Subject, Promise<Examination | undefined>>();

export async function lookAtAuthorizationServer(subject: Subject, signal: AbortSignal): Promise<Found> {
	if (subject.rule?.info.strategy === 'kerberos') return {skipped: 'the rule asks for none'};
	return lookAt('authorization server', subject, signal);
}

export async function lookAtKerberos(subject: Subject, signal: AbortSignal): Promise<Found> {
	return lookAt('kerberos', subject, signal);
}

async function lookAt(of: Examination['of'], subject: Subject, signal: AbortSignal): Promise<Found> {
	const examination = await examine(subject, signal);
	if (examination?.of !== of) return {skipped: 'the rule asks for none'};
	return {evidence: examination.evidence, diagnostics: examination.diagnostics};
}

async function examine(subject: Subject, signal: AbortSignal): Promise<Examination | undefined> {
	const known = asked.get(subject);
	if (known !== undefined) return known;
	const asking = (async () => subject.rule?.strategy.examine?.(subject.url, {signal}))();
	asked.set(subject, asking);
	return asking;
}
