/** Checks the bundles that a configuration names, and takes from them what they bring along. */
import {existsSync} from 'node:fs';
import {type Bundle, bundleNames, findBundle, isFolderName} from '../bundles/bundle.ts';
import type {Preset} from '../bundles/preset.ts';
import {GatepassError} from '../errors.ts';
import {resolvePath} from '../strategy/paths.ts';
import type {BundleDefaults} from './bundle-defaults.ts';
import type {TrustEntry} from './configuration.ts';
import type {ValidationContext} from './context.ts';
import type {Path} from './source.ts';
import {closest} from './suggest.ts';

type BundleContext = Pick<ValidationContext, 'folder' | 'environment' | 'problems'>;

/** What the bundles of a configuration bring along. */
export interface UsedBundles {
	readonly bundles: readonly Bundle[];
	/** To stand before the user's own entries, which win where both are equally specific. */
	readonly trust: readonly TrustEntry[];
	/** By strategy. */
	readonly defaults: ReadonlyMap<string, BundleDefaults>;
}

/** Find the bundles, in the order of the configuration. Where two bring the same, the later one wins. */
export async function validateBundles(
	names: readonly (string | undefined)[],
	context: BundleContext,
): Promise<UsedBundles> {
	const bundles: Bundle[] = [];
	const trust: TrustEntry[] = [];
	const defaults = new Map<string, BundleDefaults>();
	for (const [index, written] of names.entries()) {
		if (written === undefined) continue;
		const path: Path = ['bundles', index];
		const bundle = findBundle(written, context.folder, context.environment);
		if (bundle === undefined) {
			addMissing(written, path, context);
			continue;
		}
		if (bundles.some(({root}) => root === bundle.root)) {
			context.problems.add(
				path,
				`the bundle '${written}' is there twice`,
				'Take one of them out',
				'setting-malformed',
			);
			continue;
		}
		bundles.push(bundle);
		const preset = await presetOf(bundle, path, context);
		const source = `bundle:${bundle.id}`;
		if (preset !== undefined && preset.servers.length > 0) {
			trust.push({patterns: preset.servers, files: [bundle.folder], only: false, source});
		}
		for (const [strategy, {options, unless}] of Object.entries(preset?.strategies ?? {})) {
			defaults.set(strategy, {options, unless, source, path});
		}
	}
	return {bundles, trust, defaults};
}

async function presetOf(bundle: Bundle, path: Path, {problems}: BundleContext): Promise<Preset | undefined> {
	// It reads YAML, which is loaded only where there is some.
	const {readPreset} = await import('../bundles/preset.ts');
	try {
		return readPreset(bundle);
	} catch (error) {
		if (!(error instanceof GatepassError)) throw error;
		for (const {what, hint, code} of error.diagnostics) problems.add(path, what, hint, code);
		return undefined;
	}
}

function addMissing(written: string, path: Path, {folder, environment, problems}: BundleContext): void {
	if (isFolderName(written)) {
		const root = resolvePath(written, folder, environment);
		const what = existsSync(root) ? 'holds no bundle (there is no manifest.json)' : 'does not exist';
		problems.add(
			path,
			`${root} ${what}`,
			"Name a folder that 'gatepass bundle build' has written",
			'bundle-not-found',
		);
		return;
	}
	const names = bundleNames();
	const similar = closest(written, names);
	const isHere = findBundle(`./${written}`, folder, environment) !== undefined;
	const hint = isHere
		? `Write ./${written} for the folder`
		: `Name one of ${names.join(', ')}, or the folder of another, such as ./bundles/lab`;
	problems.add(
		path,
		`there is no bundle '${written}'`,
		similar === undefined ? hint : `Did you mean ${similar}?`,
		'bundle-not-found',
	);
}
