/** `gatepass forget [URL]`: drops cached tokens. */
import type {Command} from 'commander';
import {GatepassError} from '../errors.ts';
import type {Gatepass} from '../gatepass.ts';
import type {RuleStatus} from '../rule-status.ts';
import {count, print, printJson, shortPath} from './output.ts';
import {withProgress} from './progress.ts';
import {examples, optionsOf, parseUrl, withGatepass, withoutSecrets} from './settings.ts';
import {watchTokenStore} from './token-store-failures.ts';

type ForgottenRule = Pick<RuleStatus, 'match' | 'strategy' | 'source'>;

export function addForgetCommand(program: Command): void {
	program
		.command('forget')
		.summary('drop cached tokens')
		.description(
			'Drop, and where possible revoke, the cached tokens of the rule for a URL; of all rules without a URL. ' +
				'The next request fetches new ones. Certificates and tickets are not touched.',
		)
		.argument('[url]', 'a URL of the rule; https when the scheme is left out')
		.addHelpText('after', examples('gatepass forget https://api.example.org/runs', 'gatepass forget'))
		.action(async (text: string | undefined, _own: unknown, command: Command) => {
			const options = optionsOf(command);
			const url = text === undefined ? undefined : parseUrl(text);
			await withGatepass(options, async gatepass => {
				const forgotten = await withProgress('Forgetting tokens', !options.json, () => forget(gatepass, url));
				if (options.json) printJson({forgotten});
				else print(describe(forgotten));
			});
		});
}

async function forget(gatepass: Gatepass, url: URL | undefined): Promise<ForgottenRule[]> {
	const rule = url === undefined ? undefined : ruleFor(gatepass, url);
	const store = watchTokenStore();
	await gatepass.forget(url);
	// A request goes on without its store; here the store is the whole matter.
	const [failure] = store.stop().failures;
	if (failure !== undefined) throw failure;
	return rule === undefined ? (await gatepass.status()).map(toRule) : [rule];
}

function ruleFor(gatepass: Gatepass, url: URL): ForgottenRule {
	const {rule} = gatepass.explain(url);
	if (rule === undefined) {
		throw new GatepassError({
			code: 'no-rule-matches',
			what: `There is no rule for ${withoutSecrets(url)}, so nothing is kept for it`,
			hint: "'gatepass explain' says why no rule matches",
		});
	}
	return rule;
}

function toRule({match, strategy, source}: RuleStatus): ForgottenRule {
	return {match, strategy, source};
}

function describe(forgotten: readonly ForgottenRule[]): string {
	if (forgotten.length === 0) return 'The configuration has no host rules, so there is nothing to forget.';
	const lines = forgotten.map(
		({match, strategy, source}) => `  ${match} (${strategy}, ${shortPath(source)})`,
	);
	return [`Nothing is cached any more for ${count(forgotten.length, 'rule')}:`, ...lines].join('\n');
}
