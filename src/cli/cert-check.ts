/** `gatepass cert check`: whether a key, and a certificate request made with it, can be used. Nothing is ordered. */
import {readFile} from 'node:fs/promises';
import process from 'node:process';
import type {Command} from 'commander';
import {resolvePath} from '../strategy/paths.ts';
import {UsageError} from './failure.ts';
import {paint, print, printJson, shortPath} from './output.ts';
import {examples, optionsOf} from './settings.ts';
import {wrap} from './wrap.ts';

export function addCertCheckCommand(group: Command): void {
	group
		.command('check')
		.summary('check a key and a certificate request before anything is ordered')
		.description(
			'Check that a private key (PEM or DER, without a passphrase) can be used; and that a certificate request is sound and ' +
				'belongs to it.',
		)
		.argument('<key>', 'the file of the private key')
		.argument('[request]', 'the file of the certificate request, in PEM or DER')
		.addHelpText('after', examples('gatepass cert check key.pem', 'gatepass cert check key.pem request.pem'))
		.action(async (key: string, request: string | undefined, _own: unknown, command: Command) => {
			const {json} = optionsOf<{readonly json?: boolean}>(command);
			const {validateKeyCsr} = await import('../issuers/acme/certificate-request.ts');
			await validateKeyCsr(
				await readInput(key, 'a private key'),
				request === undefined ? undefined : await readInput(request, 'a certificate request'),
			);
			if (json) printJson({valid: true, key, ...(request !== undefined && {request})});
			else {
				const found =
					request === undefined
						? `${shortPath(key)} is a private key that can be used`
						: `${shortPath(key)} is the key of ${shortPath(request)}, and both can be used`;
				print(wrap(found, `${paint('green', '✔')} `));
			}
		});
}

/** A file that the command line names. @throws {UsageError} where it cannot be read. */
export async function readInput(file: string, what: string): Promise<Buffer> {
	try {
		return await readFile(resolvePath(file, process.cwd(), process.env));
	} catch (error) {
		throw new UsageError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code}). Name ${what}`);
	}
}
