/** `gatepass cert obtain`: a certificate from an ACME server, which renews itself from then on. */
import {readFile} from 'node:fs/promises';
import process from 'node:process';
import type {Command} from 'commander';
import {GatepassError} from '../errors.ts';
import {isThere, writeToDisk} from '../files/durable.ts';
import {resolvePath} from '../strategy/paths.ts';
import {type AcmeOptions, addOrderOptions, obtainOptions, withCertificates} from './acme-options.ts';
import {readInput} from './cert-check.ts';
import {canAsk} from './cert-questions.ts';
import {confirmTerms} from './cert-register.ts';
import {UsageError} from './failure.ts';
import {interruptible} from './interruption.ts';
import {ObtainProgress} from './obtain-progress.ts';
import {describeTime, note, paint, print, printAsItIs, printJson, shortPath} from './output.ts';
import {examples, optionsOf} from './settings.ts';
import {wrap} from './wrap.ts';

interface ObtainCommandOptions extends AcmeOptions {
	readonly domain?: readonly string[];
	readonly certName?: string;
	readonly csr?: string;
	readonly certPath?: string;
	readonly keyPath?: string;
	readonly allowSubsetOfNames?: boolean;
}

export function addCertObtainCommand(group: Command): void {
	const command = group
		.command('obtain')
		.summary('obtain a certificate from an ACME server')
		.description(
			"Obtain a certificate from an ACME server and keep it in certbot's layout, so that it renews itself, or certbot " +
				'renews it.',
		)
		.option('-d, --domain <name>', 'a name or address; several, or a list with commas', collect)
		.option('--cert-name <name>', 'what to call it here (default: the first name)')
		.option('--csr <file>', 'a certificate request that was made elsewhere; nothing is kept then')
		.option('--cert-path <file>', 'where to write the certificate with its chain, too')
		.option('--key-path <file>', 'where to write its key, too, for its owner only')
		.option('--allow-subset-of-names', 'leave out names that cannot be proven')
		.option('--pre-hook <command>', 'run before it is ordered, now and at renewals')
		.option('--deploy-hook <command>', 'run once it is there, now and after each renewal')
		.option('--post-hook <command>', 'run afterwards, whatever came of it');
	addOrderOptions(command)
		.addHelpText(
			'after',
			examples(
				'gatepass cert obtain -d www.example.org --standalone --agree-tos \\',
				'  --server https://ca.example.org/acme/directory',
				'gatepass cert obtain -d www.example.org,example.org -w /var/www/html --dry-run',
				'gatepass cert obtain --csr request.pem --cert-path new.pem --standalone',
			),
		)
		.action(async (_own: unknown, own: Command) => {
			const options = optionsOf<ObtainCommandOptions>(own);
			if ((options.domain === undefined) === (options.csr === undefined)) {
				throw new UsageError('Name what the certificate is for: -d NAME, or a request with --csr FILE');
			}
			if (options.csr !== undefined && options.keyPath !== undefined)
				throw new UsageError('--key-path has no key to write: that of a request is elsewhere');
			await checkNew(options.certPath, options.keyPath);
			const chosen = obtainOptions(options);
			await withCertificates(options, async certificates => {
				// Otherwise the account is made with the order, as the options say.
				if (canAsk(options.json)) await confirmTerms(certificates, options);
				const settings = {
					...chosen,
					onProgress: new ObtainProgress(options.json).show,
					...(options.allowSubsetOfNames === true && {allowSubset: true}),
				};
				if (options.csr === undefined) {
					const {domain = [], certName} = options;
					const status = await interruptible(signal =>
						certificates.enroll(domain, certName, {...settings, signal}),
					);
					if (status !== undefined) {
						const {certPath, keyPath} = options;
						if (certPath !== undefined)
							await writeNew(certPath, await readFile(status.paths.fullchain), 0o644);
						if (keyPath !== undefined) await writeNew(keyPath, await readFile(status.paths.privkey), 0o600);
					}
					if (options.json) printJson(status ?? {dryRun: true});
					else if (status === undefined)
						print(`${paint('green', '✔')} the dry run succeeded; nothing was kept`);
					else {
						print(
							[
								`${paint('green', '✔')} obtained ${status.name}, until ${describeTime(status.notAfter)}`,
								`  certificate  ${shortPath(status.paths.fullchain)}`,
								`  key          ${shortPath(status.paths.privkey)}`,
								`  renewed      ${describeTime(status.due)}`,
							].join('\n'),
						);
						for (const warning of status.warnings) note(wrap(warning, `${paint('yellow', '!')} `));
					}
					return;
				}
				const csr = await readInput(options.csr, 'a certificate request');
				const issued = await interruptible(signal => certificates.obtainFromCsr(csr, {...settings, signal}));
				if (options.certPath !== undefined) await writeNew(options.certPath, issued.fullchain, 0o644);
				if (options.json) printJson(issued);
				else if (options.certPath === undefined) printAsItIs(issued.fullchain.trimEnd());
				else print(`${paint('green', '✔')} wrote ${shortPath(options.certPath)}`);
			});
		});
}

function collect(text: string, before: readonly string[] = []): string[] {
	return [
		...before,
		...text
			.split(',')
			.map(name => name.trim())
			.filter(name => name !== ''),
	];
}

/** Told before anything is ordered: an order counts. */
async function checkNew(...files: readonly (string | undefined)[]): Promise<void> {
	for (const file of files) {
		if (file === undefined || !(await isThere(resolvePath(file, process.cwd(), process.env)))) continue;
		throw new GatepassError({
			code: 'output-exists',
			what: `${file} is there already`,
			hint: 'Name a file that is not there: nothing is written over, and nothing was ordered',
		});
	}
}

/** Never over a file that is there. */
async function writeNew(file: string, content: string | Buffer, mode: number): Promise<void> {
	try {
		await writeToDisk(resolvePath(file, process.cwd(), process.env), content, mode);
	} catch (error) {
		throw new GatepassError(
			{
				code: 'output-not-writable',
				what: `${file} cannot be written (${(error as NodeJS.ErrnoException).code})`,
				hint: 'Name a file that is not there',
			},
			{cause: error},
		);
	}
}
