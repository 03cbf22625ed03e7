/** `gatepass cert install`: puts an issued certificate into use, and goes back to the one before. */
import process from 'node:process';
import type {Command} from 'commander';
import type {Installation} from '../lineages/install.ts';
import {resolvePath} from '../strategy/paths.ts';
import {defaultFolder, toOption} from './cert-request.ts';
import {UsageError} from './failure.ts';
import {describeTime, paint, print, printJson, shortPath} from './output.ts';
import {withProgress} from './progress.ts';
import {examples, optionsOf} from './settings.ts';
import {wrap} from './wrap.ts';

interface InstallOptions {
	readonly to: string;
	readonly allowNewSubject?: boolean;
	readonly rollback?: boolean;
}

export function addCertInstallCommand(group: Command): void {
	group
		.command('install')
		.summary('put an issued certificate into use')
		.description(
			'Put the certificate into use that was issued for the pending request: only if it is for its key, and on a renewal ' +
				'has the subject of the one in use. Both files change at once; what was there before is kept. Without a file, the ' +
				'certificate is fetched from the authority that got the request. One that is kept can be put into use again.',
		)
		.argument('[file]', 'the certificate, with or without its chain: PEM, DER or PKCS#7; - for stdin')
		.option('--to <folder>', 'where the identity is kept', defaultFolder)
		.option('--allow-new-subject', 'also if its subject is another one, which servers have to be told')
		.option('--rollback', 'go back to the certificate that was in use before')
		.addHelpText(
			'after',
			examples(
				'gatepass cert install ~/Downloads/robot.pem',
				'gatepass cert install --to /etc/cmsprod/identity',
				'gatepass cert install --rollback',
			),
		)
		.action(async (file: string | undefined, _own: unknown, command: Command) => {
			const options = optionsOf<InstallOptions>(command);
			const path = resolvePath(options.to, process.cwd(), process.env);
			if (options.rollback && file !== undefined) {
				throw new UsageError('--rollback goes back to what is kept, so it takes no file');
			}
			const {goBack, install} = await import('../lineages/install.ts');
			const installation = options.rollback
				? await goBack(path)
				: await install({
						path,
						allowNewSubject: options.allowNewSubject === true,
						...(await issuedFor(path, file, !options.json)),
					});
			if (options.json) printJson(await forMachines(path, installation));
			else print(await describe(path, installation, options.rollback === true));
		});
}

/** What was issued: from a file, from stdin, or from the authority. */
async function issuedFor(
	path: string,
	file: string | undefined,
	isShown: boolean,
): Promise<{bytes: Buffer; source: string}> {
	if (file === '-') {
		return {bytes: await readStdin(), source: 'stdin'};
	}
	if (file !== undefined) {
		const {readBounded} = await import('../x509/files.ts');
		const source = resolvePath(file, process.cwd(), process.env);
		return {bytes: await readBounded(source), source};
	}
	const {collect} = await import('../lineages/collect.ts');
	return withProgress('Asking the authority', isShown, () => collect(path));
}

/** No certificate is as long as 1 MiB, so more is not read. */
async function readStdin(): Promise<Buffer> {
	const chunks: Buffer[] = [];
	let length = 0;
	for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
		chunks.push(chunk);
		length += chunk.length;
		if (length > 1024 * 1024)
			throw new UsageError('stdin holds more than a certificate. Pipe the certificate alone');
	}
	return Buffer.concat(chunks);
}

async function forMachines(path: string, {certificate, replaced, warnings}: Installation): Promise<unknown> {
	const [{rfc2253Issuer, rfc2253Subject}, {kindOf}] = await Promise.all([
		import('../x509/names.ts'),
		import('../x509/kind.ts'),
	]);
	const {certificate: certificateFile, key} = filesIn(path);
	return {
		certificate: certificateFile,
		key,
		kind: kindOf(certificate),
		subject: rfc2253Subject(certificate),
		issuer: rfc2253Issuer(certificate),
		notBefore: certificate.validFromDate.getTime(),
		notAfter: certificate.validToDate.getTime(),
		...(replaced !== undefined && {
			replaced: {
				subject: rfc2253Subject(replaced.certificate),
				notAfter: replaced.certificate.validToDate.getTime(),
				folder: replaced.version.folder,
			},
		}),
		warnings,
	};
}

async function describe(
	path: string,
	{certificate, replaced, warnings}: Installation,
	isRollback: boolean,
): Promise<string> {
	const {rfc2253Subject} = await import('../x509/names.ts');
	const {certificate: certificateFile, key} = filesIn(path);
	const before = replaced?.certificate;
	return [
		`${paint('green', '✔')} ${isRollback ? 'went back to' : 'installed'} ${rfc2253Subject(certificate)}, until ${describeTime(certificate.validToDate.getTime())}`,
		`  certificate  ${shortPath(certificateFile)}`,
		`  key          ${shortPath(key)}`,
		...warnings.map(warning => wrap(warning, `${paint('yellow', '!')} `)),
		...(before === undefined
			? []
			: [
					`The one until ${describeTime(before.validToDate.getTime())} is kept.${isRollback ? '' : ` 'gatepass cert install --rollback${toOption(path)}' goes back to it.`}`,
				]),
		...(before === undefined && toOption(path) !== ''
			? [`Rules find it with the strategy grid-certificate and the option 'directory: ${path}'.`]
			: []),
	].join('\n');
}

function filesIn(path: string): {certificate: string; key: string} {
	return {certificate: `${path}/usercert.pem`, key: `${path}/userkey.pem`};
}
