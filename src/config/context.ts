/** What the checks of a configuration share. */
import type {Environment} from '../strategy/services.ts';
import type {BundleDefaults} from './bundle-defaults.ts';
import type {Problems} from './problems.ts';
import {formatPath, type Path, type Source} from './source.ts';
import type {StrategyRegistry} from './strategy-registry.ts';

export interface ValidationContext {
	readonly source: Source;
	/** Where relative paths start. */
	readonly folder: string;
	readonly environment: Environment;
	readonly problems: Problems;
	readonly registry: StrategyRegistry;
	/** Whether the caller hands in a token store, which others may be able to read. */
	readonly hasOwnStore: boolean;
	/** The default options that bundles bring, by strategy. */
	readonly defaults: ReadonlyMap<string, BundleDefaults>;
}

/** Where something is written: `file:line`, or `file`, or its path where the configuration is an object. */
export function sourceOf(path: Path, source: Source): string {
	if (source.file === undefined) return formatPath(path);
	const line = source.lineOf(path);
	return line === undefined ? source.file : `${source.file}:${line}`;
}
