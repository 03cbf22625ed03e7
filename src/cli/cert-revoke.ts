/** `gatepass cert revoke`: has the certificate of a robot revoked. */
import {readFile} from 'node:fs/promises';
import process from 'node:process';
import {type Command, Option} from 'commander';
import type {RevocationReason} from '../issuers/issuer.ts';
import {resolvePath} from '../strategy/paths.ts';
import {type AcmeOptions, withCertificates} from './acme-options.ts';
import {addAuthorityOptions, authorityNamed, defaultFolder} from './cert-request.ts';
import {UsageError} from './failure.ts';
import {paint, print, printJson, shortPath} from './output.ts';
import {withProgress} from './progress.ts';
import {examples, optionsOf} from './settings.ts';

interface RevokeOptions extends AcmeOptions {
	readonly certName?: string;
	readonly certPath?: string;
	readonly keyPath?: string;
	readonly to: string;
	readonly reason: string;
	readonly authority?: string;
	readonly authorityCommand?: string;
}

/** certbot's names for the reasons of RFC 5280 section 5.3.1. */
const reasons: Readonly<Record<string, RevocationReason>> = {
	unspecified: 'unspecified',
	keycompromise: 'keyCompromise',
	affiliationchanged: 'affiliationChanged',
	superseded: 'superseded',
	cessationofoperation: 'cessationOfOperation',
};

export function addCertRevokeCommand(group: Command): void {
	const command = group
		.command('revoke')
		.summary('have a certificate revoked')
		.description(
			'Have the certificate in use revoked by the authority that issued it, or say how that is done by hand. Its files stay.',
		)
		.option('--to <folder>', 'where the identity of a robot is kept', defaultFolder)
		.option('--cert-name <name>', 'the certificate that was obtained from an ACME server, instead')
		.option('--cert-path <file>', 'a certificate of an ACME server that is kept elsewhere, instead')
		.option('--key-path <file>', 'its key, which then has it revoked; default: the account does')
		.option('--server <url>', 'the directory of the ACME server')
		.option('--config-dir <folder>', "where certificates are kept, in certbot's layout")
		.addOption(new Option('--reason <reason>', 'why').choices(Object.keys(reasons)).default('unspecified'));
	addAuthorityOptions(command)
		.addHelpText(
			'after',
			examples(
				'gatepass cert revoke --reason keycompromise',
				'gatepass cert revoke --cert-path old.pem --key-path old-key.pem',
				'gatepass cert revoke --to /etc/cmsprod/identity --reason cessationofoperation',
			),
		)
		.action(async (_own: unknown, own: Command) => {
			const options = optionsOf<RevokeOptions>(own);
			const {certName, certPath, keyPath} = options;
			if (certPath !== undefined && certName !== undefined)
				throw new UsageError('--cert-name and --cert-path name two certificates. Give one of them');
			if (keyPath !== undefined && certPath === undefined)
				throw new UsageError('--key-path belongs to --cert-path');
			if (certPath !== undefined) {
				const [certificate, privateKey] = await Promise.all([readNamed(certPath), readNamed(keyPath)]);
				await withCertificates(options, async certificates => {
					await certificates.revokeCertificate(certificate as Buffer, {
						reason: reasons[options.reason] as RevocationReason,
						...(privateKey !== undefined && {privateKey}),
					});
					if (options.json) printJson({revoked: true, certificate: certPath});
					else print(`${paint('green', '✔')} revoked ${shortPath(certPath)}`);
				});
				return;
			}
			if (certName !== undefined) {
				await withCertificates(options, async certificates => {
					await certificates.revoke(certName, {reason: reasons[options.reason] as RevocationReason});
					if (options.json) printJson({revoked: true, name: certName});
					else print(`${paint('green', '✔')} revoked ${certName}`);
				});
				return;
			}
			const path = resolvePath(options.to, process.cwd(), process.env);
			const [{revoke}, {rfc2253Subject}] = await Promise.all([
				import('../lineages/revoke.ts'),
				import('../x509/names.ts'),
			]);
			const {certificate, instructions} = await withProgress(
				'Asking the authority',
				!options.json,
				async () => revoke(path, reasons[options.reason] as RevocationReason, await authorityNamed(options)),
			);
			const [subject, serialNumber] = [rfc2253Subject(certificate), certificate.serialNumber];
			const revoked = instructions.length === 0;
			if (options.json) printJson({revoked, subject, serialNumber, instructions});
			else if (revoked) print(`${paint('green', '✔')} revoked ${subject}, serial number ${serialNumber}`);
			else {
				const steps = instructions.map((line, index) => `  ${index + 1}. ${line}`);
				print(
					[
						'It is not revoked yet. Next:',
						...steps,
						'',
						`subject        ${subject}`,
						`serial number  ${serialNumber}`,
					].join('\n'),
				);
			}
		});
}

async function readNamed(file: string | undefined): Promise<Buffer | undefined> {
	if (file === undefined) return undefined;
	try {
		return await readFile(resolvePath(file, process.cwd(), process.env));
	} catch (error) {
		throw new UsageError(
			`${file} cannot be read (${(error as NodeJS.ErrnoException).code}). Name another file`,
		);
	}
}
