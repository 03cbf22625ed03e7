/** Default options that bundles bring, for rules that do not name them. */
import type {StrategyDefinition} from '../strategy/index.ts';
import type {Problems} from './problems.ts';
import type {Path} from './source.ts';
import {validateOptions} from './validate-options.ts';

/** The default options of one strategy, from one bundle. */
export interface BundleDefaults {
	readonly options: Readonly<Record<string, unknown>>;
	/** A rule that names one of these options gets none of the defaults. */
	readonly unless: readonly string[];
	/** `bundle:cern`. */
	readonly source: string;
	/** Where the configuration names the bundle. */
	readonly path: Path;
}

/** Options with what a bundle adds to them. */
export interface CompletedOptions {
	readonly options: unknown;
	/** The names of those that the bundle added. */
	readonly added: readonly string[];
}

/** Add to a rule's options those that it lacks. Nothing is added where the rule says otherwise. */
export function completeOptions(written: unknown, defaults: BundleDefaults | undefined): CompletedOptions {
	const unchanged = {options: written, added: []};
	if (defaults === undefined || typeof written !== 'object' || written === null) return unchanged;
	if (defaults.unless.some(name => Object.hasOwn(written, name))) return unchanged;
	const added = Object.keys(defaults.options).filter(name => !Object.hasOwn(written, name));
	return {options: {...defaults.options, ...written}, added};
}

/**
 * Check defaults by themselves, so that what is wrong with them is told of the bundle, not of the rule that got them.
 * What the rule has to add is not missed here.
 */
export async function checkDefaults(
	definition: StrategyDefinition,
	{options, path, source}: BundleDefaults,
	problems: Problems,
): Promise<void> {
	const prefix = ['options'];
	await validateOptions(definition, options, prefix, {
		add([, name], message, hint) {
			if (typeof name !== 'string' || !Object.hasOwn(options, name)) return;
			const what = `${source} has a wrong default for '${definition.name}': ${name}: ${message}`;
			problems.add(path, what, hint, 'bundle-damaged');
		},
	});
}
