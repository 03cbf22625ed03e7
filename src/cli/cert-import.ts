/** `gatepass cert import`: makes usercert.pem and userkey.pem of a PKCS#12 file. */
import process from 'node:process';
import type {Command} from 'commander';
import type {Imported} from '../lineages/import.ts';
import {resolvePath} from '../strategy/paths.ts';
import {describeTime, paint, print, printJson, shortPath} from './output.ts';
import type {PassphraseOptions} from './passphrase-input.ts';
import {examples, optionsOf} from './settings.ts';
import {wrap} from './wrap.ts';

interface ImportOptions extends PassphraseOptions {
	readonly to: string;
	readonly force?: boolean;
	readonly alias?: string;
	readonly thumbprint?: string;
}

export function addCertImportCommand(group: Command): void {
	group
		.command('import')
		.summary('take a certificate over from a PKCS#12 file')
		.description(
			'Take a certificate and its key over from a PKCS#12 file, as a browser or https://ca.cern.ch gives it, into ' +
				'usercert.pem and userkey.pem. The key is written without a passphrase, for its owner only. What is there already ' +
				'is replaced only with --force, and then kept under another name.',
		)
		.argument('<file>', 'the PKCS#12 file (.p12, .pfx)')
		.option('--to <folder>', 'where to write the two files', '~/.globus')
		.option('--passphrase-file <file>', 'a file whose first line is the passphrase; default: ask for it')
		.option(
			'--alias <name>',
			'of several identities in the file, the one of that alias; default: the latest valid one',
		)
		.option('--thumbprint <digits>', 'likewise, by the SHA-256 or SHA-1 of its certificate')
		.option('--force', 'replace what is there, and keep a copy of that')
		.addHelpText(
			'after',
			examples(
				'gatepass cert import my.p12',
				'gatepass cert import my.p12 --to ~/private --force',
				'gatepass cert import my.p12 --passphrase-file /run/secrets/p12-passphrase',
			),
		)
		.action(async (written: string, _own: unknown, command: Command) => {
			const options = optionsOf<ImportOptions>(command);
			const file = resolvePath(written, process.cwd(), process.env);
			const to = resolvePath(options.to, process.cwd(), process.env);
			const [{importPkcs12}, {withPassphrase}] = await Promise.all([
				import('../lineages/import.ts'),
				import('./passphrase-input.ts'),
			]);
			const imported = await withPassphrase(file, options, passphrase =>
				importPkcs12({file, passphrase, to, force: options.force === true, selection: options}),
			);
			if (options.json) printJson(await forMachines(imported));
			else print(await describe(imported));
		});
}

async function forMachines(imported: Imported): Promise<unknown> {
	const {certificate, key, chain, backups, alias, others, warnings} = imported;
	const [{rfc2253Issuer, rfc2253Subject}, {kindOf}, {summaryOf}] = await Promise.all([
		import('../x509/names.ts'),
		import('../x509/kind.ts'),
		import('../x509/choose-identity.ts'),
	]);
	const [leaf] = chain as [Imported['chain'][number]];
	return {
		certificate,
		key,
		kind: kindOf(leaf),
		subject: rfc2253Subject(leaf),
		issuer: rfc2253Issuer(leaf),
		notBefore: leaf.validFromDate.getTime(),
		notAfter: leaf.validToDate.getTime(),
		...(alias !== undefined && {alias}),
		others: others.map(summaryOf),
		backups,
		warnings,
	};
}

async function describe(imported: Imported): Promise<string> {
	const {certificate, key, chain, backups, alias, others, warnings} = imported;
	const [{rfc2253Subject}, {describeHeld}] = await Promise.all([
		import('../x509/names.ts'),
		import('../x509/choose-identity.ts'),
	]);
	const [leaf] = chain as [Imported['chain'][number]];
	return [
		`${paint('green', '✔')} imported ${rfc2253Subject(leaf)}, until ${describeTime(leaf.validToDate.getTime())}`,
		...(alias === undefined || others.length === 0 ? [] : [`  alias        ${alias}`]),
		...others.map((other, index) =>
			wrap(describeHeld(other), `  ${(index === 0 ? 'also there' : '').padEnd(11)}  `),
		),
		`  certificate  ${shortPath(certificate)}`,
		`  key          ${shortPath(key)}`,
		...backups.map(backup => `  kept         ${shortPath(backup)}`),
		...warnings.map(warning => wrap(warning, `${paint('yellow', '!')} `)),
	].join('\n');
}
