/** `gatepass cert renew` and `gatepass cert delete`. */
import process from 'node:process';
import type {Command} from 'commander';
import {resolvePath} from '../strategy/paths.ts';
import {type AcmeOptions, addServerOptions, isMissing, withCertificates} from './acme-options.ts';
import {exitCodes} from './exit-codes.ts';
import {interruptible} from './interruption.ts';
import {ObtainProgress} from './obtain-progress.ts';
import {count, note, paint, print, printAsItIs, printJson} from './output.ts';
import {examples, optionsOf} from './settings.ts';
import {wrap} from './wrap.ts';

interface RenewCommandOptions extends AcmeOptions {
	readonly certName?: string;
	readonly forceRenewal?: boolean;
	readonly printTimer?: boolean;
	readonly printCron?: boolean;
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
			.option('--dry-run', 'try it all, and keep nothing')
			.option('--print-timer', 'print a systemd timer that does this, and do nothing')
			.option('--print-cron', 'print a line for a crontab that does this, and do nothing'),
	)
		.addHelpText(
			'after',
			examples(
				'gatepass cert renew',
				'gatepass cert renew --cert-name www.example.org --force-renewal',
				'gatepass cert renew --dry-run',
				'gatepass cert renew --print-timer',
			),
		)
		.action(async (_own: unknown, own: Command) => {
			const {
				certName,
				forceRenewal = false,
				dryRun = false,
				...options
			} = optionsOf<RenewCommandOptions>(own);
			const {printTimer, printCron} = options;
			if (printTimer === true || printCron === true) {
				await printSchedules(options, certName);
				return;
			}
			await withCertificates(options, async certificates => {
				const {show} = new ObtainProgress(options.json);
				const {renewed, failed, skipped, warnings} = await interruptible(signal =>
					certificates.renew({
						...(certName !== undefined && {name: certName}),
						force: forceRenewal,
						dryRun,
						// A person does not want to wait.
						jitter: process.stdin.isTTY !== true,
						onProgress: show,
						signal,
					}),
				);
				if (failed.length > 0) process.exitCode = exitCodes.failed;
				if (options.json) {
					const failures = failed.map(({name, error}) => ({name, message: error.message}));
					printJson({renewed, failed: failures, skipped, warnings, dryRun});
					return;
				}
				for (const name of renewed)
					print(`${paint('green', '✔')} ${dryRun ? 'could renew' : 'renewed'} ${name}`);
				if (skipped.length > 0) print(`${count(skipped.length, 'certificate')} not due${namesOf(skipped)}`);
				for (const {name, error} of failed) note(wrap(`${name}: ${error.message}`, `${paint('red', '✖')} `));
				for (const warning of warnings) note(wrap(warning, `${paint('yellow', '!')} `));
				if (renewed.length + skipped.length + failed.length === 0) print('There is no certificate to renew.');
			});
		});
}

/** Of thousands, nobody reads the names: 'cert list' shows them. */
function namesOf(skipped: readonly string[]): string {
	return skipped.length > 20 ? '' : `: ${skipped.join(', ')}`;
}

/** With the options that say where certificates are, by whole paths: neither runs in this folder. */
async function printSchedules(options: RenewCommandOptions, certName: string | undefined): Promise<void> {
	const {printTimer, printCron, config, configDir, server, json} = options;
	const absolute = (path: string): string => resolvePath(path, process.cwd(), process.env);
	const {findConfiguration} = await import('../config/find.ts');
	const found = await findConfiguration(process.cwd(), config).catch(error => {
		if (isMissing(error)) return undefined;
		throw error;
	});
	const parameters = [
		...(found?.file === undefined ? [] : ['--config', found.file]),
		...(configDir === undefined ? [] : ['--config-dir', absolute(configDir)]),
		...(server === undefined ? [] : ['--server', server]),
		...(certName === undefined ? [] : ['--cert-name', certName]),
	];
	const {cronLine, systemdTimer} = await import('./schedules.ts');
	const timer = printTimer === true ? systemdTimer(parameters) : undefined;
	const cron = printCron === true ? cronLine(parameters) : undefined;
	if (json) printJson({...(timer !== undefined && {timer}), ...(cron !== undefined && {cron})});
	else for (const text of [timer, cron]) if (text !== undefined) printAsItIs(text);
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
