/** `gatepass bundle verify`: does a bundle hold what its manifest says, and how long will it do. */
import process from 'node:process';
import type {Command} from 'commander';
import type {Bundle} from '../bundles/bundle.ts';
import type {BundleFault} from '../bundles/fault.ts';
import type {Verification} from '../bundles/verify.ts';
import {exitCodes} from './exit-codes.ts';
import {UsageError} from './failure.ts';
import {count, describeTime, paint, print, printJson, shortPath} from './output.ts';
import {examples, optionsOf} from './settings.ts';
import {wrap} from './wrap.ts';

interface VerifyOptions {
	readonly days?: number;
}

export function addBundleVerifyCommand(group: Command): void {
	group
		.command('verify')
		.summary('check that a bundle is whole and can be used')
		.description(
			'Check bundles: nothing expired, no duplicate, no leaf certificate, and all as the manifest says. ' +
				'Warns 30 days before a certificate expires. Exit code 1 when a check failed.',
		)
		.argument('<bundle...>', 'names, or folders that hold a bundle')
		.option('--days <number>', 'fail so many days before a certificate expires', parseDays)
		.addHelpText(
			'after',
			examples('gatepass bundle verify cern igtf --days 90', 'gatepass bundle verify ./my-lab'),
		)
		.action(async (names: readonly string[], _own: unknown, command: Command) => {
			const {days, json} = optionsOf<VerifyOptions>(command);
			const {verifyBundle} = await import('../bundles/verify.ts');
			const bundles = await Promise.all(names.map(findAny));
			const verified = bundles.map(bundle => ({bundle, ...verifyBundle(bundle, {days})}));
			if (json) printJson(verified.map(describeForMachines));
			else print(verified.map(describe).join('\n'));
			if (verified.some(hasFailed)) process.exitCode = exitCodes.failed;
		});
}

/** A number of days as typed. */
export function parseDays(text: string): number {
	if (!/^\d{1,5}$/.test(text)) throw new UsageError('The value of --days is no number of days, such as 90');
	return Number(text);
}

/** A bundle by its name, or a folder, with or without a slash in it. */
async function findAny(written: string): Promise<Bundle> {
	const {bundleNames, findBundle} = await import('../bundles/bundle.ts');
	const bundle = findBundle(written) ?? findBundle(`./${written}`);
	if (bundle !== undefined) return bundle;
	throw new UsageError(
		`There is no bundle '${written}'. Name one of ${bundleNames().join(', ')}, or a folder with a manifest.json`,
	);
}

type Verified = Verification & {readonly bundle: Bundle};

function hasFailed({faults}: Verification): boolean {
	return faults.some(({severity}) => severity === 'error');
}

function describeForMachines({bundle: {name, root}, ...verification}: Verified) {
	return {name, folder: root, ok: !hasFailed(verification), ...verification};
}

function describe({bundle: {name}, certificates, firstEnd, faults}: Verified): string {
	const mark = hasFailed({certificates, faults}) ? paint('red', '✖') : paint('green', '✔');
	const end = firstEnd === undefined ? '' : `, the first expires ${describeTime(firstEnd)}`;
	const verdict = `${mark} ${paint('bold', name)}: ${count(certificates, 'certificate')}${end}`;
	return [verdict, ...faults.flatMap(describeFault)].join('\n');
}

function describeFault({severity, subject, what, hint}: BundleFault): string[] {
	const mark = severity === 'error' ? paint('red', '✖') : paint('yellow', '!');
	return [wrap(`${shortPath(subject)}: ${what}`, `  ${mark} `), wrap(hint, `    ${paint('cyan', '→')} `)];
}
