/** `gatepass bundle`: the commands about bundles, one file each. */
import type {Command} from 'commander';
import {addBundleBuildCommand} from './bundle-build.ts';
import {addBundleListCommand} from './bundle-list.ts';
import {addBundleVerifyCommand} from './bundle-verify.ts';
import {examples} from './settings.ts';

export function addBundleCommand(program: Command): void {
	const group = program
		.command('bundle')
		.summary('look after bundles of CA certificates')
		.description('Look after bundles: CA certificates, endpoints and defaults of an organisation.')
		.addHelpText('after', examples('gatepass bundle list', 'gatepass bundle verify cern'));
	for (const addCommand of [addBundleListCommand, addBundleVerifyCommand, addBundleBuildCommand]) {
		addCommand(group);
	}
}
