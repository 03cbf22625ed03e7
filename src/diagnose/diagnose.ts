/**
 * Walks one request stage by stage, and stops at the first that is broken: what is wrong there is the true cause, and
 * what comes after would only tell of it again.
 */
import type {Diagnostic} from '../diagnostics/diagnostic.ts';
import {lookAtConnection} from './connection.ts';
import {lookAtCredential} from './credential.ts';
import {diagnosticsOf} from './failures.ts';
import {lookAtName} from './name.ts';
import {lookAtAuthorizationServer, lookAtKerberos} from './own-servers.ts';
import {lookAtRequest} from './request.ts';
import {lookAtRule} from './rule.ts';
import {
	type Diagnosis,
	type Found,
	type Look,
	type Stage,
	type StageName,
	type Subject,
	stageNames,
} from './stage.ts';
import {lookAtTls} from './tls.ts';
import {lookAtWay} from './way.ts';

/** What `diagnose` takes besides the URL. */
export interface DiagnoseOptions {
	/** Default: `GET`. Only GET and HEAD change nothing at the server: others are sent where they are asked for. */
	readonly method?: string;
	/** Rejects with its reason as soon as it is aborted. */
	readonly signal?: AbortSignal;
	/** Told of each stage as soon as it is through. */
	readonly onStage?: (stage: Stage) => void;
}

/** Milliseconds for one stage. Each has shorter limits of its own, which say more. */
const longestStage = 30_000;

const looks: Readonly<Record<StageName, Look>> = {
	rule: lookAtRule,
	credential: lookAtCredential,
	name: lookAtName,
	way: lookAtWay,
	connection: lookAtConnection,
	tls: lookAtTls,
	'authorization server': lookAtAuthorizationServer,
	kerberos: lookAtKerberos,
	request: lookAtRequest,
};

export async function diagnose(
	subject: Subject,
	{signal, onStage}: Pick<DiagnoseOptions, 'signal' | 'onStage'>,
): Promise<Diagnosis> {
	const stages: Stage[] = [];
	let broken: StageName | undefined;
	for (const name of stageNames) {
		signal?.throwIfAborted();
		const stage: Stage =
			broken === undefined
				? toStage(name, await lookInTime(looks[name], subject, signal))
				: toStage(name, {skipped: `the stage '${broken}' failed`});
		if (stage.state === 'failed') broken = name;
		stages.push(stage);
		onStage?.(stage);
	}
	return {
		url: `${subject.url.origin}${subject.url.pathname}`,
		method: subject.method,
		stages,
		diagnostics: withoutRepetition(stages.flatMap(({diagnostics}) => diagnostics)),
	};
}

/** Whatever a stage fails with is what it found; only the caller's own end is thrown. */
async function lookInTime(look: Look, subject: Subject, signal: AbortSignal | undefined): Promise<Found> {
	const limit = AbortSignal.timeout(longestStage);
	const either = signal === undefined ? limit : AbortSignal.any([signal, limit]);
	const aborted = Promise.withResolvers<never>();
	const abort = (): void => aborted.reject(either.reason);
	either.addEventListener('abort', abort, {once: true});
	try {
		return await Promise.race([look(subject, either), aborted.promise]);
	} catch (error) {
		signal?.throwIfAborted();
		return {diagnostics: diagnosticsOf(error as Error, subject)};
	} finally {
		either.removeEventListener('abort', abort);
	}
}

function toStage(name: StageName, {evidence = {}, diagnostics = [], skipped}: Found): Stage {
	if (skipped !== undefined)
		return {name, state: 'skipped', diagnostics, evidence: {...evidence, reason: skipped}};
	const isBroken = diagnostics.some(({severity}) => severity === 'error');
	return {name, state: isBroken ? 'failed' : 'passed', diagnostics, evidence};
}

/** What a credential is doubted for stands again in the explanation of a refusal. */
function withoutRepetition(diagnostics: readonly Diagnostic[]): Diagnostic[] {
	const seen = new Set<string>();
	return diagnostics.filter(({code, what}) => {
		const key = `${code} ${what}`;
		return !seen.has(key) && seen.add(key);
	});
}
