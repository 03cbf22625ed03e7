/** `gatepass explain URL`: which rule is chosen, and of every other rule why it is not. */
import process from 'node:process';
import type {Command} from 'commander';
import {type Candidate, type Difference, type Explanation, nearestOf} from '../host-rules/explain.ts';
import {paint, print, printJson, shortPath} from './output.ts';
import {examples, optionsOf, parseMethod, parseUrl} from './settings.ts';
import {renderTable} from './table.ts';
import {type Branch, renderTree} from './tree.ts';

interface ExplainOptions {
	readonly request?: string;
	readonly all?: boolean;
}

/** Of more rules than this that do not match, the nearest are listed, and the others counted. */
const mostOthers = 10;

/** Columns that patterns are brought to; a longer one pushes what stands behind it. */
const widestMatch = 34;
/** What a rule has on its line besides: branches, mark, gaps. */
const besideColumns = 12;

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
		const isDrawn = process.stdout.isTTY;
		parts.push(isDrawn ? renderTree(branchesOf(shown, new URL(url), method)) : await tableOf(shown));
	}
	if (hide) parts.push(`${others} other rules do not match. --all lists them.`);
	return parts.join('\n\n');
}

/** A line for each candidate, for grep. */
function tableOf(candidates: readonly Candidate[]): Promise<string> {
	const rows = candidates.map(candidate => [
		`${mark(candidate)} ${candidate.match}`,
		candidate.strategy,
		shortPath(candidate.source),
		shortReason(candidate),
	]);
	return renderTable(['  rule', 'strategy', 'where', 'why'], rows);
}

/** Those that match, then the others by what differs: the nearest first. */
function branchesOf(candidates: readonly Candidate[], url: URL, method: string): Branch[] {
	const titles: Readonly<Record<Difference, string>> = {
		method: `a method other than ${method}`,
		path: `a path other than ${url.pathname}`,
		port: `a port other than ${url.port || 'the default'}`,
		host: `a host other than ${url.hostname}`,
		scheme: `a scheme other than ${url.protocol.slice(0, -1)}`,
	};
	const groups: readonly (readonly [string, readonly Candidate[]])[] = [
		['match', candidates.filter(({outcome}) => outcome !== 'no-match')],
		...Object.entries(titles).map(
			([part, title]) => [title, candidates.filter(({differs}) => differs === part)] as const,
		),
	];
	return groups
		.filter(([, members]) => members.length > 0)
		.map(([title, members]) => {
			const widths = widthsOf(members);
			return {lines: [paint('bold', title)], branches: members.map(member => leafOf(member, widths))};
		});
}

/** How wide the columns of match and strategy are; strategies stand in one only where that leaves each rule on its line. */
function widthsOf(members: readonly Candidate[]): readonly [match: number, strategy: number] {
	const widest = (texts: readonly string[]): number => Math.max(...texts.map(text => text.length));
	const match = Math.min(widest(members.map(member => member.match)), widestMatch);
	const strategy = widest(members.map(member => member.strategy));
	const whole = match + strategy + widest(members.map(({source}) => shortPath(source))) + besideColumns;
	return [match, whole <= (process.stdout.columns ?? 80) ? strategy : 0];
}

/** A pattern of another host, port, path or scheme tells by itself why it does not match. */
function leafOf(candidate: Candidate, [matchWidth, strategyWidth]: readonly [number, number]): Branch {
	const {match, strategy, source, differs} = candidate;
	const head = `${mark(candidate)} ${match.padEnd(matchWidth)}  ${strategy.padEnd(strategyWidth)}  ${shortPath(source)}`;
	const speaksForItself = differs !== undefined && differs !== 'method';
	return {lines: speaksForItself ? [head] : [head, `  ${paint('gray', shortReason(candidate))}`]};
}

function mark({outcome}: Candidate): string {
	if (outcome === 'selected') return paint('green', '✔');
	return outcome === 'less-specific' ? paint('yellow', '·') : paint('gray', '✖');
}

/** A reason may name the rule that won by its whole path. */
function shortReason({reason}: Candidate): string {
	return reason.replace(/\((\/[^()]+)\)/, (_, source: string) => `(${shortPath(source)})`);
}
