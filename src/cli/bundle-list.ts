/** `gatepass bundle list`: which bundles gatepass brings along, and what is in them. */
import type {Command} from 'commander';
import {describeTime, print, printJson} from './output.ts';
import {examples, optionsOf} from './settings.ts';
import {renderTable} from './table.ts';

export function addBundleListCommand(group: Command): void {
	group
		.command('list')
		.summary('list the bundles that gatepass brings along')
		.description('List the bundles that gatepass brings along: what they hold, and for which servers.')
		.addHelpText(
			'after',
			examples('gatepass bundle list', "gatepass bundle list --json | jq '.[].certificates[].subject'"),
		)
		.action(async (_own: unknown, command: Command) => {
			const bundles = await readBundles();
			if (optionsOf(command).json) printJson(bundles);
			else print(await describe(bundles));
		});
}

type ListedBundle = Awaited<ReturnType<typeof readBundles>>[number];

async function readBundles() {
	const [{bundleNames, findBundle}, {readManifest}, {readPreset}] = await Promise.all([
		import('../bundles/bundle.ts'),
		import('../bundles/manifest.ts'),
		import('../bundles/preset.ts'),
	]);
	return bundleNames().flatMap(name => {
		const bundle = findBundle(name);
		if (bundle === undefined) return [];
		const {built, certificates, leftOut} = readManifest(bundle);
		const {description, servers, endpoints, strategies} = readPreset(bundle);
		const defaults = Object.fromEntries(
			Object.entries(strategies).map(([strategy, {options}]) => [strategy, options]),
		);
		const {root: folder, file} = bundle;
		return [
			{
				name,
				description,
				folder,
				file,
				built,
				servers: servers.map(({text}) => text),
				endpoints,
				defaults,
				certificates,
				leftOut,
			},
		];
	});
}

async function describe(bundles: readonly ListedBundle[]): Promise<string> {
	if (bundles.length === 0) return 'There are none.';
	return renderTable(
		['name', 'certificates', 'first expires', 'servers'],
		bundles.map(({name, certificates, servers}) => [
			name,
			String(certificates.length),
			describeTime(Math.min(...certificates.map(({notAfter}) => Date.parse(notAfter)))),
			servers.join(', ') || 'none: name it under trust',
		]),
		bundles.map(({description = 'no description', defaults}) => {
			const strategies = Object.keys(defaults);
			return strategies.length === 0
				? description
				: `${description}; defaults for ${strategies.join(' and ')}`;
		}),
	);
}
