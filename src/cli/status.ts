/** `gatepass status`: how the credential of each host rule stands. */
import process from 'node:process';
import type {Command} from 'commander';
import type {RuleStatus} from '../rule-status.ts';
import {exitCodes} from './exit-codes.ts';
import {describeTime, paint, print, printJson, shortPath} from './output.ts';
import {withProgress} from './progress.ts';
import {describeRenewed, type RenewedCertificate, renewedCertificates} from './renewed-certificates.ts';
import {examples, optionsOf, withGatepass} from './settings.ts';
import {renderTable} from './table.ts';
import {renderTimeline, type TimelineEntry} from './timeline.ts';

export function addStatusCommand(program: Command): void {
	program
		.command('status')
		.summary('show how the credential of each rule stands')
		.description(
			'Show for each host rule whether its credential is there, and until when, and the certificates that renew ' +
				'themselves. Asks no server, unless told to --verify. Exit code 1 when a credential is not available.',
		)
		.option(
			'--verify',
			'ask authorization servers whether the tokens at hand are valid (RFC 7662), and KDCs for tickets',
		)
		.addHelpText(
			'after',
			examples(
				'gatepass status',
				'gatepass status --verify',
				"gatepass status --json | jq '.[] | select(.available | not)'",
			),
		)
		.action(async (_own: unknown, command: Command) => {
			const options = optionsOf<{verify?: boolean}>(command);
			const {verify = false} = options;
			await withGatepass(options, async gatepass => {
				const rules = await withProgress('Looking at credentials', !options.json, () =>
					gatepass.status({verify}),
				);
				// A folder that cannot be read is for `cert list`.
				const lineages = await renewedCertificates(gatepass.certificates).catch(() => []);
				if (options.json) printJson([...rules, ...lineages]);
				else {
					print(await describe(rules));
					if (lineages.length > 0) print(`\n${await describeRenewed(lineages)}`);
					const timeline = timelineOf(rules, lineages);
					if (process.stdout.isTTY && timeline !== '') print(`\n${timeline}`);
				}
				if (rules.some(({available}) => !available)) process.exitCode = exitCodes.failed;
			});
		});
}

/** What expires when, of rules and of certificates that renew themselves; none for one thing alone. */
function timelineOf(rules: readonly RuleStatus[], lineages: readonly RenewedCertificate[]): string {
	const entries: TimelineEntry[] = [
		...rules.flatMap(rule =>
			// A token of ten minutes is no cause for alarm: gatepass gets the next.
			rule.expiresAt === undefined
				? []
				: [{label: rule.match, notAfter: rule.expiresAt, colour: colourOf(rule)}],
		),
		...lineages.map(({name, notAfter, renewAt}) => ({label: name, notAfter, renewAt})),
	];
	return entries.length < 2 ? '' : renderTimeline(entries);
}

function colourOf({available, warnings = []}: RuleStatus): 'red' | 'yellow' | 'green' {
	if (!available) return 'red';
	return warnings.length > 0 ? 'yellow' : 'green';
}

async function describe(rules: readonly RuleStatus[]): Promise<string> {
	if (rules.length === 0) return "The configuration has no host rules. Add some under 'hostRules'.";
	return renderTable(
		['  rule', 'strategy', 'where'],
		rules.map(rule => [`${mark(rule)} ${rule.match}`, rule.strategy, shortPath(rule.source)]),
		rules.map(({detail, expiresAt, warnings = [], notes = []}) => {
			const until = expiresAt === undefined ? '' : `, until ${describeTime(expiresAt)}`;
			const sentences = [`${detail}${until}`, ...warnings].join('. ');
			return [sentences, ...notes.map(note => `  ${note}`)].join('\n');
		}),
	);
}

function mark(rule: RuleStatus): string {
	const colour = colourOf(rule);
	return paint(colour, {red: '✖', yellow: '!', green: '✔'}[colour]);
}
