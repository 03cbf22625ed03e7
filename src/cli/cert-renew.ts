/** `gatepass cert renew` and `gatepass cert delete`. */
import process from 'node:process';
import type {Command} from 'commander';
import {type AcmeOptions, addServerOptions, withCertificates} from './acme-options.ts';
import {exitCodes} from './exit-codes.ts';
import {ObtainProgress} from './obtain-progress.ts';
import {count, note, paint, print, printJson} from './output.ts';
import {examples, optionsOf} from './settings.ts';
import {wrap} from './wrap.ts';

interface RenewCommandOptions extends AcmeOptions {
	readonly certName?: string;
	readonly forceRenewal?: boolean;
}

export function addCertRenewCommand(group: Command): void {
	addServerOptions(
		group
			.command('renew')
			.summary('renew what is due')
			.description(
				'Renew the certificates that are due: as the authority says, else with a third of the lifetime left. Ends with 1 where ' +
					"one fails. A service renews by itself with 'gatepass.certificates.autoRenew()'.",
			)
			.option('--cert-name <name>', 'only this one')
			.option('--force-renewal', 'also what is not due')
			.option('--dry-run', 'try it all, and keep nothing'),
	)
		.addHelpText(
			'after',
			examples(
				'gatepass cert renew',
				'gatepass cert renew --cert-name www.example.org --force-renewal',
				'gatepass cert renew --dry-run',
				'0 */6 * * * gatepass cert renew --json    # a line for cron',
			),
		)
		.action(async (_own: unknown, own: Command) => {
			const {
				certName,
				forceRenewal = false,
				dryRun = false,
				...options
			} = optionsOf<RenewCommandOptions>(own);
			await withCertificates(options, async certificates => {
				const {show} = new ObtainProgress(options.json);
				const {renewed, failed, skipped, warnings} = await certificates.renew({
					...(certName !== undefined && {name: certName}),
					force: forceRenewal,
					dryRun,
					// A person does not want to wait.
					jitter: process.stdin.isTTY !== true,
					onProgress: show,
				});
				if (failed.length > 0) process.exitCode = exitCodes.failed;
				if (options.json) {
					const failures = failed.map(({name, error}) => ({name, message: error.message}));
					printJson({renewed, failed: failures, skipped, warnings, dryRun});
					return;
				}
				for (const name of renewed)
					print(`${paint('green', '✔')} ${dryRun ? 'could renew' : 'renewed'} ${name}`);
				if (skipped.length > 0)
					print(`${count(skipped.length, 'certificate')} not due: ${skipped.join(', ')}`);
				for (const {name, error} of failed) note(wrap(`${name}: ${error.message}`, `${paint('red', '✖')} `));
				for (const warning of warnings) note(wrap(warning, `${paint('yellow', '!')} `));
				if (renewed.length + skipped.length + failed.length === 0) print('There is no certificate to renew.');
			});
		});
}

export function addCertDeleteCommand(group: Command): void {
	addServerOptions(
		group
			.command('delete')
			.summary('remove a renewed certificate with its keys')
			.description(
				'Remove a certificate that was obtained, with its keys and the copies that certbot made. It is not revoked.',
			)
			.requiredOption('--cert-name <name>', 'which one'),
	)
		.addHelpText('after', examples('gatepass cert delete --cert-name www.example.org'))
		.action(async (_own: unknown, own: Command) => {
			const options = optionsOf<AcmeOptions & {certName: string}>(own);
			await withCertificates(options, async certificates => {
				await certificates.delete(options.certName);
				if (options.json) printJson({deleted: options.certName});
				else print(`${paint('green', '✔')} deleted ${options.certName}`);
			});
		});
}
