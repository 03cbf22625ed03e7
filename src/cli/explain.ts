/** `gatepass explain URL`: which rule is chosen, and of every other rule why it is not. */
import type {Command} from 'commander';
import {type Candidate, type Explanation, nearestOf} from '../host-rules/explain.ts';
import {paint, print, printJson, shortPath} from './output.ts';
import {examples, optionsOf, parseMethod, parseUrl} from './settings.ts';
import {renderTable} from './table.ts';

interface ExplainOptions {
	readonly request?: string;
	readonly all?: boolean;
}

/** Of more rules than this that do not match, the nearest are listed, and the others counted. */
const mostOthers = 10;

export function addExplainCommand(program: Command): void {
	program
		.command('explain')
		.summary('say which rule a URL gets, and why')
		.description(
			'Say which host rule is chosen for a URL, and of every other rule why it is not. Asks no server.',
		)
		.argument('<url>', 'the URL; https when the scheme is left out')
		.option('-X, --request <method>', 'the HTTP method (default: GET)', parseMethod)
		.option('-a, --all', `list all rules, also when more than ${mostOthers} do not match`)
		.addHelpText(
			'after',
			examples(
				'gatepass explain https://api.example.org/runs',
				'gatepass explain -X DELETE api.example.org/runs/1',
				'gatepass explain https://files.example.org/ --json | jq .rule.strategy',
			),
		)
		.action(async (text: string, _own: unknown, command: Command) => {
			const {request: method = 'GET', json, all = false, config} = optionsOf<ExplainOptions>(command);
			const url = parseUrl(text);
			// Which rule is chosen does not depend on secrets, so none has to be there.
			const {createForExplaining} = await import('./explaining.ts');
			const gatepass = await createForExplaining(config === undefined ? {} : {config});
			const explanation = gatepass.explain(url, {method});
			await gatepass.close();
			if (json) printJson(explanation);
			else print(await describe(explanation, all));
		});
}

async function describe(
	{url, method, rule, refused, candidates, notes = []}: Explanation,
	all: boolean,
): Promise<string> {
	const subject = paint('bold', `${method} ${url}`);
	const verdict =
		rule === undefined
			? `${subject}\nhas no rule: ${refused ? "as the configuration says 'strict: true', that is an error." : 'it is sent as it is, without a credential.'}`
			: `${subject}\nuses ${paint('cyan', rule.strategy)} by the rule for ${rule.match} (${shortPath(rule.source)}).`;
	if (candidates.length === 0) return verdict;
	const matching = candidates.filter(({outcome}) => outcome !== 'no-match');
	const hide = !all && candidates.length - matching.length > mostOthers;
	const shown = hide ? [...matching, ...nearestOf(candidates, mostOthers)] : candidates;
	const others = candidates.length - shown.length;
	const parts = [[verdict, ...notes.map(note => `  ${note}`)].join('\n')];
	if (shown.length > 0) {
		const rows = shown.map(candidate => [
			`${mark(candidate)} ${candidate.match}`,
			candidate.strategy,
			shortPath(candidate.source),
			shortReason(candidate),
		]);
		parts.push(await renderTable(['  rule', 'strategy', 'where', 'why'], rows));
	}
	if (hide) parts.push(`${others} other rules do not match. --all lists them.`);
	return parts.join('\n\n');
}

function mark({outcome}: Candidate): string {
	if (outcome === 'selected') return paint('green', '✔');
	return outcome === 'less-specific' ? paint('yellow', '·') : paint('gray', '✖');
}

/** A reason may name the rule that won by its whole path. */
function shortReason({reason}: Candidate): string {
	return reason.replace(/\((\/[^()]+)\)/, (_, source: string) => `(${shortPath(source)})`);
}
