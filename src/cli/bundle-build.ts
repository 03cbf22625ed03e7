/** `gatepass bundle build`: makes a bundle out of a folder of CA certificates. */
import type {Command} from 'commander';
import type {BuildRequest} from '../bundles/build.ts';
import type {Bundle} from '../bundles/bundle.ts';
import type {Manifest} from '../bundles/manifest.ts';
import {parseDays} from './bundle-verify.ts';
import {count, paint, print, printJson, shortPath} from './output.ts';
import {examples, optionsOf} from './settings.ts';
import {wrap} from './wrap.ts';

export function addBundleBuildCommand(group: Command): void {
	group
		.command('build')
		.summary('build a bundle from a folder of CA certificates')
		.description(
			'Build a bundle from a folder of CA certificates, such as /etc/grid-security/certificates, or build it ' +
				'again. Leaves out what has expired or soon will, and leaf certificates; the manifest lists them. A ' +
				'preset.yaml that is there stays.',
		)
		.requiredOption('--from <folder>', 'where the certificates are')
		.requiredOption('--to <folder>', "the bundle's folder; its name is the bundle's")
		.option('--only <name...>', 'only these: file names without their endings, or whole subjects')
		.option('--days <number>', 'leave out what expires within so many days (default: 90)', parseDays)
		.option('--source <text>', 'where they are from, where no Debian package brought them')
		.option('--licence <name>', 'the licence of those, by its SPDX identifier')
		.addHelpText(
			'after',
			examples(
				'gatepass bundle build --from /etc/grid-security/certificates --to bundles/igtf',
				'gatepass bundle build --from ~/lab-ca --to ./bundles/lab \\',
				'  --source https://ca.lab.example.org',
			),
		)
		.action(async (_own: unknown, command: Command) => {
			const {json, config: _, ...request} = optionsOf<BuildRequest>(command);
			const {buildBundle} = await import('../bundles/build.ts');
			const {bundle, manifest} = await buildBundle(request);
			if (json) printJson({folder: bundle.root, file: bundle.file, manifest});
			else print(describe(bundle, manifest));
		});
}

function describe({root}: Bundle, {certificates, leftOut}: Manifest): string {
	const lines = [
		`${paint('green', '✔')} wrote ${count(certificates.length, 'certificate')} to ${shortPath(root)}`,
	];
	for (const {subject, reason} of leftOut) {
		lines.push(wrap(`${subject} is left out: ${reason}`, `  ${paint('yellow', '!')} `));
	}
	const unknown = certificates.filter(({licence}) => licence === 'unknown').length;
	if (unknown > 0) {
		const what = `the licence of ${count(unknown, 'certificate')} is not known; --licence names it`;
		lines.push(wrap(what, `  ${paint('yellow', '!')} `));
	}
	return lines.join('\n');
}
