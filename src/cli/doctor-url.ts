/** `gatepass doctor URL`: one request stage by stage, as it is walked. */
import process from 'node:process';
import type {Diagnosis, Stage} from '../diagnose/stage.ts';
import type {Diagnostic} from '../diagnostics/diagnostic.ts';
import type {Evidence} from '../strategy/index.ts';
import {exitCodes} from './exit-codes.ts';
import {paint, print, printJson, shortPath} from './output.ts';
import {startProgress} from './progress.ts';
import {type GlobalOptions, parseUrl, withGatepass, withoutSecrets} from './settings.ts';
import {wrap} from './wrap.ts';

export interface DoctorUrlOptions extends GlobalOptions {
	/** The method. */
	readonly request?: string;
}

/** Of a list, such as that of the CAs that a server accepts, a person reads no more. */
const mostOfList = 5;

export async function doctorUrl(text: string, options: DoctorUrlOptions): Promise<void> {
	const {json = false, request: method = 'GET'} = options;
	const url = parseUrl(text);
	// A stage is told as soon as it is through; until then there is a sign of life.
	if (!json) print(`${paint('bold', `${method} ${withoutSecrets(url)}`)}\n`);
	let progress = startProgress('Looking at the rule', !json);
	const onStage = (stage: Stage): void => {
		progress.stop();
		if (json) return;
		if (stage.state !== 'skipped') print(describe(stage));
		progress = startProgress(`After ${stage.name}`, true);
	};
	try {
		const diagnosis = await withGatepass(options, gatepass => gatepass.diagnose(url, {method, onStage}));
		progress.stop();
		if (json) printJson(diagnosis);
		else print(`\n${summary(diagnosis)}`);
		if (diagnosis.stages.some(({state}) => state === 'failed')) process.exitCode = exitCodes.failed;
	} finally {
		progress.stop();
	}
}

function describe({name, state, diagnostics, evidence}: Stage): string {
	const isDoubtful = diagnostics.some(({severity}) => severity === 'warning');
	const mark =
		state === 'failed' ? paint('red', '✖') : isDoubtful ? paint('yellow', '!') : paint('green', '✔');
	return [
		`${mark} ${paint('bold', name)}`,
		...describeEvidence(evidence),
		...diagnostics.flatMap(describeDiagnostic),
	].join('\n');
}

function describeEvidence(evidence: Evidence): string[] {
	return Object.entries(evidence).map(([name, value]) => {
		const text = Array.isArray(value) ? listed(value) : `${value}`;
		return wrap(shortPath(text), `    ${paint('gray', `${name}:`)} `);
	});
}

function listed(values: readonly string[]): string {
	if (values.length === 0) return 'none';
	const shown = values.slice(0, mostOfList).join('; ');
	return values.length > mostOfList ? `${shown}; and ${values.length - mostOfList} more` : shown;
}

function describeDiagnostic({what, hint, severity, code}: Diagnostic): string[] {
	const colour = {error: 'red', warning: 'yellow', note: 'gray'} as const;
	const mark = {error: '✖', warning: '!', note: '·'}[severity];
	return [
		wrap(`${what} [${code}]`, `    ${paint(colour[severity], mark)} `),
		...(hint === '' ? [] : [wrap(hint, `      ${paint('cyan', '→')} `)]),
	];
}

function summary({stages, diagnostics}: Diagnosis): string {
	const failed = stages.find(({state}) => state === 'failed');
	if (failed === undefined) {
		const doubts = diagnostics.filter(({severity}) => severity === 'warning').length;
		return paint('green', doubts === 0 ? 'All is well.' : 'It works, with what is warned of above.');
	}
	const code = failed.diagnostics.find(({severity}) => severity === 'error')?.code ?? 'failed';
	return wrap(`It breaks at the stage '${failed.name}'. 'gatepass doctor --explain ${code}' says more.`, '');
}
