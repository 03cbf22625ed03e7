/** `gatepass cert request`: a key and a certificate request for a robot, handed in or to be handed in. */
import process from 'node:process';
import {type Command, Option} from 'commander';
import {GatepassError} from '../errors.ts';
import type {IssuerName} from '../issuers/issuers.ts';
import type {RequestOutcome, RequestSettings} from '../lineages/request.ts';
import {resolvePath} from '../strategy/paths.ts';
import type {KeyType} from '../x509/certificate-request.ts';
import {askChecklist, askServiceAccount, canAsk} from './cert-questions.ts';
import {UsageError} from './failure.ts';
import {describeTime, paint, print, printJson, shortPath} from './output.ts';
import {withProgress} from './progress.ts';
import {examples, optionsOf} from './settings.ts';

/** Where the grid's own tools keep an identity. */
export const defaultFolder = '~/.globus';

interface RequestOptions {
	readonly robot?: boolean;
	readonly serviceAccount?: string;
	readonly checklist?: string;
	readonly to: string;
	readonly keyType: KeyType['type'];
	readonly rsaKeySize: string;
	readonly ellipticCurve: string;
	readonly authority?: string;
	readonly authorityCommand?: string;
	readonly new?: boolean;
}

export function addCertRequestCommand(group: Command): void {
	const command = group
		.command('request')
		.summary('ask for a robot certificate')
		.description(
			'Check the applicant against the published rules, make a key and a certificate request, keep both in the folder, ' +
				'and say what to hand in where. A certificate that is in use there stays in use until its successor is installed, ' +
				'and the request has its subject. Where a request is pending already, that one is shown.',
		)
		.option('--robot', 'for an automated client of a service account (the one kind there is)')
		.option('--service-account <name>', 'the account that the robot runs as; known already on a renewal')
		.option(
			'--checklist <file>',
			'the answers about the applicant, in YAML or JSON (default: they are asked)',
		)
		.option('--to <folder>', 'where the identity is kept', defaultFolder)
		.addOption(new Option('--key-type <type>', 'kind of key').choices(['rsa', 'ecdsa']).default('rsa'))
		.addOption(
			new Option('--rsa-key-size <bits>', 'size of an RSA key')
				.choices(['2048', '3072', '4096'])
				.default('2048'),
		)
		.addOption(
			new Option('--elliptic-curve <curve>', 'curve of an ECDSA key')
				.choices(['secp256r1', 'secp384r1', 'secp521r1'])
				.default('secp256r1'),
		)
		.option('--new', 'drop the request that is pending, with its key, and make a new one');
	addAuthorityOptions(command)
		.addHelpText(
			'after',
			examples(
				'gatepass cert request --robot --service-account cmsprod',
				'gatepass cert request --robot --service-account cmsprod \\',
				'  --checklist answers.yaml --to /etc/cmsprod/identity',
				'gatepass cert request --robot --to /etc/cmsprod/identity \\',
				"  --checklist answers.yaml --authority-command './our-ca --site cern'",
			),
		)
		.action(request);
}

/** For the commands that turn to a certificate authority. */
export function addAuthorityOptions(command: Command): Command {
	return command
		.addOption(
			new Option(
				'--authority-command <command>',
				'the program, with its arguments, that speaks for the certificate authority (default: by hand)',
			).conflicts('authority'),
		)
		.option('--authority <module>', 'the module whose default export is the certificate authority');
}

async function request(_own: unknown, command: Command): Promise<void> {
	const options = optionsOf<RequestOptions>(command);
	if (options.robot !== true) {
		throw new UsageError(
			'Say for whom the certificate is to be: --robot is the one kind that can be asked for',
		);
	}
	const path = resolvePath(options.to, process.cwd(), process.env);
	const settings: RequestSettings = {
		path,
		serviceAccount: await serviceAccountFor(path, options),
		keyType: keyTypeOf(options),
		authority: await authorityNamed(options),
		startAnew: options.new === true,
	};
	await checkApplicant(path, options);
	const {requestCertificate} = await import('../lineages/request.ts');
	const outcome = await withProgress('Making the request', !options.json, () => requestCertificate(settings));
	if (options.json) printJson(forMachines(path, outcome));
	else print(describe(path, outcome));
}

async function serviceAccountFor(
	path: string,
	{serviceAccount, json}: RequestOptions & {json?: boolean},
): Promise<string | undefined> {
	if (serviceAccount !== undefined || !canAsk(json)) return serviceAccount;
	const {listIdentity} = await import('../lineages/list.ts');
	return (await listIdentity(path)) === undefined ? askServiceAccount() : undefined;
}

/** Once for each request: for one that is pending, the rules were checked when it was made. */
async function checkApplicant(path: string, options: RequestOptions & {json?: boolean}): Promise<void> {
	const {checklist: file} = options;
	if (file === undefined && options.new !== true) {
		const {listIdentity} = await import('../lineages/list.ts');
		if ((await listIdentity(path))?.pending !== undefined) return;
	}
	const {unmetRules} = await import('../issuers/robot-rules.ts');
	const unmet = unmetRules(file === undefined ? await askChecklist(options.json) : await readFrom(file));
	if (unmet.length === 0) return;
	const lines = unmet.map(({key, message, hint}) => `  ${key}: ${message}. ${hint}`);
	throw new GatepassError({
		code: 'robot-not-allowed',
		what: `No robot certificate would be issued: the applicant does not meet ${unmet.length === 1 ? 'a rule' : `${unmet.length} rules`}:\n${lines.join('\n')}`,
		hint: '',
	});
}

async function readFrom(file: string) {
	const {readChecklist} = await import('../issuers/robot-rules-file.ts');
	return readChecklist(resolvePath(file, process.cwd(), process.env));
}

function keyTypeOf({keyType, rsaKeySize, ellipticCurve}: RequestOptions): KeyType {
	return keyType === 'rsa'
		? {type: 'rsa', size: Number(rsaKeySize) as 2048}
		: {type: 'ecdsa', curve: ellipticCurve as 'secp256r1'};
}

/** The authority that the options name. */
export async function authorityNamed({
	authority,
	authorityCommand,
}: Pick<RequestOptions, 'authority' | 'authorityCommand'>): Promise<IssuerName | undefined> {
	if (authority !== undefined) {
		return {kind: 'module', file: resolvePath(authority, process.cwd(), process.env)};
	}
	if (authorityCommand === undefined) return undefined;
	const {splitWords} = await import('../issuers/command.ts');
	const [program, ...parameters] = splitWords(authorityCommand);
	if (program === undefined)
		throw new UsageError('The value of --authority-command is empty. Name a program');
	// It may be run from another folder later.
	const found = program.includes('/') ? resolvePath(program, process.cwd(), process.env) : program;
	return {kind: 'command', command: [found, ...parameters]};
}

function forMachines(path: string, {pending, wasPending, instructions}: RequestOutcome): unknown {
	const {request, key, subject, serviceAccount, isRenewal, createdAt, authority, reference} = pending;
	return {
		request,
		key,
		folder: path,
		subject,
		serviceAccount,
		renewal: isRenewal,
		createdAt,
		wasPending,
		authority: authority.kind,
		...(reference !== undefined && {reference}),
		instructions,
	};
}

function describe(path: string, {pending, text, wasPending, instructions}: RequestOutcome): string {
	const {subject, isRenewal, request, key, reference, createdAt} = pending;
	const what = `${isRenewal ? 'a successor of' : 'a certificate for'} ${subject}`;
	const install = `gatepass cert install${reference === undefined ? ' FILE' : ''}${toOption(path)}`;
	return [
		wasPending
			? `${paint('green', '✔')} a request for ${what} is pending since ${describeTime(createdAt)}`
			: `${paint('green', '✔')} made a key and a request for ${what}`,
		`  request  ${shortPath(request)}`,
		`  key      ${shortPath(key)} (it stays here: nobody else needs it)`,
		...(reference === undefined ? [] : [`  handed in, as ${reference}`]),
		'',
		'Next:',
		...[...instructions, `Run '${install}'.`].map((line, index) => `  ${index + 1}. ${line}`),
		...(instructions.length === 0 ? [] : ['', text.trimEnd()]),
	].join('\n');
}

/** How a command names the folder, where it is not the usual one. */
export function toOption(path: string): string {
	return path === resolvePath(defaultFolder, '/', process.env) ? '' : ` --to ${shortPath(path)}`;
}
