/** `gatepass cert list`: the identities in the folders where they are kept. */
import process from 'node:process';
import type {Command} from 'commander';
import type {ListedIdentity} from '../lineages/list.ts';
import {resolvePath} from '../strategy/paths.ts';
import {type AcmeOptions, withCertificates} from './acme-options.ts';
import {toOption} from './cert-request.ts';
import {describeTime, paint, print, printJson, shortPath} from './output.ts';
import {describeRenewed, type RenewedCertificate, renewedCertificates} from './renewed-certificates.ts';
import {examples, optionsOf} from './settings.ts';
import {renderTable} from './table.ts';
import {renderTimeline} from './timeline.ts';

export function addCertListCommand(group: Command): void {
	group
		.command('list')
		.summary('show the certificates that are there')
		.description(
			'Show the certificates that are there, until when, and which requests are pending: in the folder that ' +
				"CERN_CERTIFICATE_PATH names, in ~/private and ~/.globus, wherever 'cert request' or 'cert install' were told to " +
				'keep one, and what renews itself; or in the folders given.',
		)
		.argument('[folders...]', 'folders that hold usercert.pem and userkey.pem')
		.option('--config-dir <folder>', "where certificates that renew themselves are kept, in certbot's layout")
		.addHelpText(
			'after',
			examples(
				'gatepass cert list',
				'gatepass cert list /etc/cmsprod/identity',
				"gatepass cert list --json | jq '.[] | select(.due)'",
			),
		)
		.action(async (named: readonly string[], _own: unknown, command: Command) => {
			const options = optionsOf<AcmeOptions>(command);
			const {json} = options;
			const [{listIdentity}, {knownFolders}] = await Promise.all([
				import('../lineages/list.ts'),
				import('../lineages/known-folders.ts'),
			]);
			const folders =
				named.length === 0
					? await knownFolders()
					: named.map(folder => resolvePath(folder, process.cwd(), process.env));
			const listed = await Promise.all(folders.map(folder => listIdentity(folder)));
			const identities = listed.filter(identity => identity !== undefined);
			// Folders that were named are all that is asked for.
			const renewed = named.length === 0 ? await withCertificates(options, renewedCertificates) : [];
			if (json) printJson([...identities, ...renewed]);
			else print(await describeAll(identities, renewed, folders));
		});
}

async function describeAll(
	identities: readonly ListedIdentity[],
	renewed: readonly RenewedCertificate[],
	folders: readonly string[],
): Promise<string> {
	const timeline = renderTimeline([
		...identities.flatMap(({name, notAfter}) => (notAfter === undefined ? [] : [{label: name, notAfter}])),
		...renewed.map(({name, notAfter, renewAt}) => ({label: name, notAfter, renewAt})),
	]);
	const parts = [
		...(identities.length === 0 && renewed.length > 0 ? [] : [await describe(identities, folders)]),
		...(renewed.length === 0 ? [] : [await describeRenewed(renewed)]),
		...(identities.length + renewed.length < 2 || !process.stdout.isTTY ? [] : [timeline]),
	];
	return parts.join('\n\n');
}

async function describe(identities: readonly ListedIdentity[], folders: readonly string[]): Promise<string> {
	if (identities.length === 0) {
		const places = folders.length === 0 ? 'in the usual places' : `in ${folders.map(shortPath).join(', ')}`;
		return `There is no certificate ${places}. 'gatepass cert import' takes one over, 'gatepass cert request' asks for one, 'gatepass cert obtain' gets one from an ACME server.`;
	}
	return renderTable(
		['  name', 'kind', 'valid until', 'folder'],
		identities.map(identity => [
			`${mark(identity)} ${identity.name}`,
			identity.kind ?? '',
			identity.notAfter === undefined ? '' : describeTime(identity.notAfter),
			shortPath(identity.folder),
		]),
		identities.map(details),
	);
}

function mark({due, notAfter, revoked, problem, pending}: ListedIdentity): string {
	const ended = notAfter !== undefined && notAfter < Date.now();
	if (problem !== undefined || revoked || ended) return paint('red', '✖');
	if (notAfter === undefined && pending !== undefined) return paint('cyan', '…');
	return due ? paint('yellow', '!') : paint('green', '✔');
}

function details(identity: ListedIdentity): string {
	const {subject, notAfter, due, revoked, pending, versions, problem, folder, kind} = identity;
	const kept = versions.filter(({current}) => !current).length;
	const renew = kind === 'robot' ? `: 'gatepass cert request --robot${toOption(folder)}'` : '';
	return [
		...(problem === undefined ? [] : [problem]),
		...(subject === undefined ? [] : [subject]),
		...(revoked ? ['it is revoked'] : []),
		...(notAfter !== undefined && notAfter < Date.now() ? ['it has expired'] : []),
		...(due && pending === undefined && problem === undefined ? [`renew it${renew}`] : []),
		...(pending === undefined
			? []
			: [`a request is pending since ${describeTime(pending.since)} (${shortPath(pending.request)})`]),
		...(kept === 0 ? [] : [`${kept} kept besides`]),
	].join('; ');
}
