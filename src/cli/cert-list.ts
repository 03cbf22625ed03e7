/** `gatepass cert list`: the identities in the folders where they are kept. */
import process from 'node:process';
import type {Command} from 'commander';
import type {ListedIdentity} from '../lineages/list.ts';
import {resolvePath} from '../strategy/paths.ts';
import {toOption} from './cert-request.ts';
import {describeTime, paint, print, printJson, shortPath} from './output.ts';
import {examples, optionsOf} from './settings.ts';
import {renderTable} from './table.ts';

export function addCertListCommand(group: Command): void {
	group
		.command('list')
		.summary('show the certificates that are there')
		.description(
			'Show the certificates that are there, until when, and which requests are pending: in the folder that\n' +
				"CERN_CERTIFICATE_PATH names, in ~/private and ~/.globus, and wherever 'cert request' or 'cert install' were told to\n" +
				'keep one; or in the folders given.',
		)
		.argument('[folders...]', 'folders that hold usercert.pem and userkey.pem')
		.addHelpText(
			'after',
			examples(
				'gatepass cert list',
				'gatepass cert list /etc/cmsprod/identity',
				"gatepass cert list --json | jq '.[] | select(.due)'",
			),
		)
		.action(async (named: readonly string[], _own: unknown, command: Command) => {
			const {json} = optionsOf(command);
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
			if (json) printJson(identities);
			else print(await describe(identities, folders));
		});
}

async function describe(identities: readonly ListedIdentity[], folders: readonly string[]): Promise<string> {
	if (identities.length === 0) {
		const places = folders.length === 0 ? 'in the usual places' : `in ${folders.map(shortPath).join(', ')}`;
		return `There is no certificate ${places}. 'gatepass cert import' takes one over, 'gatepass cert request' asks for one.`;
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
