/** `gatepass cert deploy`, `enhance`, `rollback` and `history`: what a certificate is put into. */
import {type Command, InvalidArgumentError} from 'commander';
import type {Checkpoint} from '../installers/checkpoints.ts';
import {type AcmeOptions, addServerOptions, withCertificates} from './acme-options.ts';
import {UsageError} from './failure.ts';
import {describeTime, paint, print, printJson, shortPath} from './output.ts';
import {examples, optionsOf} from './settings.ts';

interface EnhanceOptions extends AcmeOptions {
	readonly domain: string;
	readonly redirect?: boolean;
	readonly hsts?: boolean;
	readonly stapleOcsp?: boolean;
	readonly header?: Readonly<Record<string, string>>;
}

export function addCertDeployCommands(group: Command): void {
	addServerOptions(
		group
			.command('deploy')
			.summary('put a certificate into what uses it')
			.description("Put a certificate into what 'certificates.installer' of the configuration names.")
			.requiredOption('--cert-name <name>', 'which one'),
	)
		.addHelpText('after', examples('gatepass cert deploy --cert-name www.example.org'))
		.action(async (_own: unknown, own: Command) => {
			const options = optionsOf<AcmeOptions & {certName: string}>(own);
			await withCertificates(options, async certificates => {
				await certificates.deploy(options.certName);
				if (options.json) printJson({deployed: options.certName});
				else print(`${paint('green', '✔')} deployed ${options.certName}`);
			});
		});
	addServerOptions(
		group
			.command('enhance')
			.summary('have a web server redirect, and announce https')
			.description('Have the web server that shows a certificate do more for its names.')
			.requiredOption('-d, --domain <names>', 'the names, with commas')
			.option('--redirect', 'lead from http to https')
			.option('--hsts', 'tell browsers to come by https only')
			.option('--staple-ocsp', "show the authority's word that the certificate is not revoked")
			.option('--header <line>', "a header of each answer, such as 'X-Frame-Options: DENY'", collectHeader),
	)
		.addHelpText('after', examples('gatepass cert enhance -d www.example.org --redirect --hsts'))
		.action(async (_own: unknown, own: Command) => {
			const {
				domain,
				redirect,
				hsts,
				stapleOcsp,
				header: headers,
				...options
			} = optionsOf<EnhanceOptions>(own);
			if (redirect !== true && hsts !== true && stapleOcsp !== true && headers === undefined) {
				throw new UsageError('Say what to add: --redirect, --hsts, --staple-ocsp or --header');
			}
			const domains = domain.split(',').map(name => name.trim());
			await withCertificates(options, async certificates => {
				await certificates.enhance(domains, {redirect, hsts, stapling: stapleOcsp, headers});
				if (options.json) printJson({enhanced: domains});
				else print(`${paint('green', '✔')} enhanced ${domains.join(', ')}`);
			});
		});
	addServerOptions(
		group
			.command('rollback')
			.summary('take changes to a web server back')
			.description(
				'Take the last changes that installers made back. A file that was edited since is left alone.',
			)
			.argument('[count]', 'how many', parseCount, 1),
	)
		.addHelpText('after', examples('gatepass cert rollback', 'gatepass cert rollback 2'))
		.action(async (number: number, _own: unknown, own: Command) => {
			const options = optionsOf<AcmeOptions>(own);
			await withCertificates(options, async certificates => {
				const undone = await certificates.rollback(number);
				if (options.json) printJson(undone);
				else for (const change of undone) print(`${paint('green', '✔')} took back: ${describe(change)}`);
			});
		});
	addServerOptions(
		group
			.command('history')
			.summary('show the changes to web servers')
			.description('Show the changes that installers made and that can be taken back, the newest first.'),
	)
		.addHelpText('after', examples('gatepass cert history --json'))
		.action(async (_own: unknown, own: Command) => {
			const options = optionsOf<AcmeOptions>(own);
			await withCertificates(options, async certificates => {
				const changes = await certificates.history();
				if (options.json) printJson(changes);
				else
					print(
						changes.length === 0 ? 'No installer has changed anything.' : changes.map(describe).join('\n'),
					);
			});
		});
}

function describe({at, title, files}: Checkpoint): string {
	return [`${describeTime(at)}  ${title}`, ...files.map(file => `  ${shortPath(file)}`)].join('\n');
}

function collectHeader(
	text: string,
	before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
	// RFC 9110 section 5.
	const [, name, value] = /^([\w!#$%&'*+.^`|~-]+):\s*([\x20-\x7e]+)$/.exec(text) ?? [];
	if (name === undefined || value === undefined)
		throw new InvalidArgumentError("It is no header. Write it as 'Name: value'.");
	return {...before, [name]: value.trim()};
}

function parseCount(text: string): number {
	const number = Number(text);
	if (Number.isInteger(number) && number > 0) return number;
	throw new InvalidArgumentError('It is no number of changes.');
}
