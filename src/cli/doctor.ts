/** `gatepass doctor`: is all well, or one request, and if not, what is to be done. */
import process from 'node:process';
import type {Command} from 'commander';
import {exitCodes} from './exit-codes.ts';
import {UsageError} from './failure.ts';
import type {Finding} from './finding.ts';
import {count, paint, print, printJson, shortPath} from './output.ts';
import {withProgress} from './progress.ts';
import {examples, optionsOf, parseMethod} from './settings.ts';
import {wrap} from './wrap.ts';

interface DoctorOptions {
	readonly network?: boolean;
	/** A code. */
	readonly explain?: string;
	readonly request?: string;
}

export function addDoctorCommand(program: Command): void {
	program
		.command('doctor')
		.summary('check that all is well')
		.description(
			"Check Node's version, the configuration, each rule's credential, the rights of key and cache files, " +
				'and the clock. Asks no server, unless --network is given. Exit code 1 when a check failed.\n\n' +
				'With a URL, walk one request to it stage by stage, and stop at the first that is broken: its rule and ' +
				'credential, the name, the way, the connection, TLS, the authorization server or KDC, and the answer.',
		)
		.argument('[url]', 'a URL to make one request to; https when the scheme is left out')
		.option('-X, --request <method>', 'the method of that request (default: GET)', parseMethod)
		.option(
			'--network',
			"also ask the rules' hosts, KDCs and authorization servers, fetch a token for each rule, compare clocks",
		)
		.option('--explain <code>', 'check nothing; say what a diagnostic means, and what to do about it')
		.addHelpText(
			'after',
			examples(
				'gatepass doctor',
				'gatepass doctor --network',
				'gatepass doctor https://api.example.org/runs',
				'gatepass doctor --explain server-untrusted',
				`gatepass doctor --json | jq '.[] | select(.outcome != "ok")'`,
			),
		)
		.action(async (url: string | undefined, _own: unknown, command: Command) => {
			const {config, json, network = false, explain, request} = optionsOf<DoctorOptions>(command);
			if (url !== undefined) {
				if (network || explain !== undefined)
					throw new UsageError('With a URL, --network and --explain have no meaning');
				const {doctorUrl} = await import('./doctor-url.ts');
				await doctorUrl(url, optionsOf(command));
				return;
			}
			if (request !== undefined) throw new UsageError('-X needs a URL');
			if (explain !== undefined) {
				await explainCode(explain, json);
				return;
			}
			const findings = await withProgress(network ? 'Asking hosts' : 'Checking', !json, async () => {
				const [{examine}, {TerminalPassphrases}] = await Promise.all([
					import('./examine.ts'),
					import('./terminal-passphrases.ts'),
				]);
				return examine({config, network, passphrases: new TerminalPassphrases(json)});
			});
			if (json) printJson(findings);
			else print(describe(findings));
			if (findings.some(({outcome}) => outcome === 'failed')) process.exitCode = exitCodes.failed;
		});
}

async function explainCode(code: string, json: boolean | undefined): Promise<void> {
	const [{diagnosticPage}, {textOf}] = await Promise.all([
		import('./diagnostic-page.ts'),
		import('./markdown-text.ts'),
	]);
	const found = diagnosticPage(code);
	if (json) printJson(found);
	else print(textOf(found.page, 'docs/diagnostics'));
}

function describe(findings: readonly Finding[]): string {
	const width = Math.max(...findings.map(({check}) => check.length));
	const indent = ' '.repeat(width + 4);
	const lines = findings.flatMap(({check, outcome, what, where, hint}) => {
		const place = where === undefined ? '' : `${shortPath(where)}: `;
		const first = `${marks[outcome]()} ${paint('bold', check.padEnd(width))}  `;
		const finding = wrap(`${place}${what}`, first);
		return hint === undefined ? [finding] : [finding, wrap(hint, `${indent}${paint('cyan', '→')} `)];
	});
	return `${lines.join('\n')}\n\n${summary(findings)}`;
}

const marks: Readonly<Record<Finding['outcome'], () => string>> = {
	ok: () => paint('green', '✔'),
	warning: () => paint('yellow', '!'),
	failed: () => paint('red', '✖'),
};

function summary(findings: readonly Finding[]): string {
	const failures = findings.filter(({outcome}) => outcome === 'failed').length;
	const warnings = findings.filter(({outcome}) => outcome === 'warning').length;
	if (failures === 0 && warnings === 0) return paint('green', 'All is well.');
	const parts = [
		...(failures > 0 ? [paint('red', count(failures, 'failure'))] : []),
		...(warnings > 0 ? [paint('yellow', count(warnings, 'warning'))] : []),
	];
	return `${parts.join(', ')}.`;
}
