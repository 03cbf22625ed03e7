/** `gatepass cert`: the commands about certificates, one file each. */
import type {Command} from 'commander';
import {addCertCheckCommand} from './cert-check.ts';
import {addCertDeployCommands} from './cert-deploy.ts';
import {addCertImportCommand} from './cert-import.ts';
import {addCertInspectCommand} from './cert-inspect.ts';
import {addCertInstallCommand} from './cert-install.ts';
import {addCertListCommand} from './cert-list.ts';
import {addCertObtainCommand} from './cert-obtain.ts';
import {addCertAccountCommand, addCertProfilesCommand, addCertRegisterCommand} from './cert-register.ts';
import {addCertDeleteCommand, addCertRenewCommand} from './cert-renew.ts';
import {addCertRequestCommand} from './cert-request.ts';
import {addCertRevokeCommand} from './cert-revoke.ts';
import {examples} from './settings.ts';

/** Each adds one command to the group. */
const add: readonly ((group: Command) => void)[] = [
	addCertListCommand,
	addCertInspectCommand,
	addCertImportCommand,
	addCertRequestCommand,
	addCertCheckCommand,
	addCertInstallCommand,
	addCertRevokeCommand,
	addCertRegisterCommand,
	addCertObtainCommand,
	addCertRenewCommand,
	addCertDeployCommands,
	addCertDeleteCommand,
	addCertAccountCommand,
	addCertProfilesCommand,
];

export function addCertCommand(program: Command): void {
	const group = program
		.command('cert')
		.summary('look after certificates')
		.description('Look after certificates: what is there, new ones, and their successors.')
		.addHelpText('after', examples('gatepass cert list'));
	for (const addCommand of add) addCommand(group);
}
