/** `gatepass token URL`: the bearer token of the rule for a URL, for programs that gatepass does not reach. */
import process from 'node:process';
import type {Command} from 'commander';
import {GatepassError} from '../errors.ts';
import type {Gatepass} from '../gatepass.ts';
import {UsageError} from './failure.ts';
import {printAsItIs, printJson, shortPath} from './output.ts';
import {withProgress} from './progress.ts';
import {examples, optionsOf, parseUrl, withGatepass, withoutSecrets} from './settings.ts';

interface TokenOptions {
	readonly show?: boolean;
	readonly fresh?: boolean;
}

interface BearerToken {
	readonly token: string;
	readonly type: 'Bearer';
	/** Milliseconds since 1970, where the issuer says. */
	readonly expiresAt?: number;
}

export function addTokenCommand(program: Command): void {
	program
		.command('token')
		.summary('print the bearer token of the rule for a URL')
		.description(
			'Print the bearer token of the rule for a URL, from the cache or newly fetched. ' +
				'It is a secret: it is printed to a terminal, and elsewhere only with --show.',
		)
		.argument('<url>', 'the URL that the token is for; https when the scheme is left out')
		.option('--show', 'print it even where the output is no terminal, such as a pipe or a file')
		.option('--fresh', 'pass the token cache over and fetch a new one')
		.addHelpText(
			'after',
			examples(
				'gatepass token https://api.example.org/runs',
				'gatepass token --show https://api.example.org/runs |',
				"  sed 's/^/Authorization: Bearer /' | curl -H @- https://api.example.org/runs",
				'gatepass token --show --json https://api.example.org/runs | jq .expiresAt',
			),
		)
		.action(async (text: string, _own: unknown, command: Command) => {
			const options = optionsOf<TokenOptions>(command);
			const url = parseUrl(text);
			if (!process.stdout.isTTY && options.show !== true) {
				throw new UsageError(
					'A token is a secret, and the output is no terminal. Add --show if it is to be printed there all the same',
				);
			}
			await withGatepass(options, async gatepass => {
				const token = await withProgress('Fetching a token', !options.json, () =>
					bearerToken(gatepass, url, options.fresh === true),
				);
				if (options.json) printJson(token);
				else printAsItIs(token.token);
			});
		});
}

async function bearerToken(gatepass: Gatepass, url: URL, fresh: boolean): Promise<BearerToken> {
	const {rule} = gatepass.explain(url);
	if (rule === undefined) {
		throw new GatepassError({
			code: 'no-rule-matches',
			what: `There is no rule for ${withoutSecrets(url)}, so there is no token for it`,
			hint: "'gatepass explain' says why no rule matches",
		});
	}
	const {headers} = await gatepass.authorize(url, {fresh});
	const token = /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1];
	if (token === undefined) {
		throw new GatepassError({
			code: 'rule-has-no-token',
			what: `The rule for ${rule.match} (${shortPath(rule.source)}) uses ${rule.strategy}, which shows no bearer token`,
			hint: "Use 'gatepass request' to reach the URL",
		});
	}
	const status = (await gatepass.status()).find(({source, strategy}) => {
		return source === rule.source && strategy === rule.strategy;
	});
	return {
		token,
		type: 'Bearer',
		...(status?.expiresAt !== undefined && {expiresAt: status.expiresAt}),
	};
}
