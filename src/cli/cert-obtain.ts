/** `gatepass cert obtain`: a certificate from an ACME server, which renews itself from then on. */
import {readFile, writeFile} from 'node:fs/promises';
import process from 'node:process';
import type {Command} from 'commander';
import {GatepassError} from '../errors.ts';
import {resolvePath} from '../strategy/paths.ts';
import {type AcmeOptions, addOrderOptions, obtainOptions, withCertificates} from './acme-options.ts';
import {confirmTerms} from './cert-register.ts';
import {UsageError} from './failure.ts';
import {ObtainProgress} from './obtain-progress.ts';
import {describeTime, paint, print, printAsItIs, printJson, shortPath} from './output.ts';
import {examples, optionsOf} from './settings.ts';

interface ObtainCommandOptions extends AcmeOptions {
	readonly domain?: readonly string[];
	readonly certName?: string;
	readonly csr?: string;
	readonly certPath?: string;
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
		.option('--cert-path <file>', 'where to write the certificate of a request, with its chain')
		.option('--allow-subset-of-names', 'leave out names that cannot be proven')
		.option('--deploy-hook <command>', 'run after each renewal');
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
			const chosen = obtainOptions(options);
			await withCertificates(options, async certificates => {
				await confirmTerms(certificates, options);
				const settings = {
					...chosen,
					onProgress: new ObtainProgress(options.json).show,
					...(options.allowSubsetOfNames === true && {allowSubset: true}),
				};
				if (options.csr === undefined) {
					const status = await certificates.enroll(options.domain ?? [], options.certName, settings);
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
					}
					return;
				}
				const issued = await certificates.obtainFromCsr(await readCsr(options.csr), settings);
				if (options.certPath !== undefined) await writeNew(options.certPath, issued.fullchain);
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

async function readCsr(file: string): Promise<string | Uint8Array> {
	try {
		const content = await readFile(resolvePath(file, process.cwd(), process.env));
		return content.includes('-----BEGIN') ? content.toString('latin1') : content;
	} catch (error) {
		throw new UsageError(
			`${file} cannot be read (${(error as NodeJS.ErrnoException).code}). Name a certificate request`,
		);
	}
}

/** Never over a file that is there. */
async function writeNew(file: string, content: string): Promise<void> {
	try {
		await writeFile(resolvePath(file, process.cwd(), process.env), content, {flag: 'wx', mode: 0o644});
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
