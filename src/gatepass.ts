/** `createGatepass`: from settings to the object that users hold. Importing this loads little else. */
import type {Configuration} from './config/configuration.ts';
import type {LoadedConfiguration} from './config/load.ts';
import type {Composition} from './container.ts';
import type {Gatepass, GatepassSettings} from './gatepass-interface.ts';
import type {BoundRule} from './hop/router.ts';
import {type EventListener, Events} from './observability/events.ts';

export type {Authorization, AuthorizeOptions, Gatepass, GatepassSettings} from './gatepass-interface.ts';

/**
 * Read a configuration and put together what it asks for.
 *
 * @throws {ConfigurationError} that lists every mistake in the configuration.
 * @example
 * const gatepass = await createGatepass();
 * const runs = await gatepass.got('https://cmsoms.cern.ch/agg/api/v1/runs').json();
 */
export async function createGatepass(settings: GatepassSettings = {}): Promise<Gatepass> {
	return (await assemble(settings, false)).gatepass;
}

/** The same for `explain` alone: variables and files of secrets may be missing, so that no request can be made. */
export async function createForExplaining(
	settings: GatepassSettings = {},
): Promise<Pick<Gatepass, 'explain' | 'close'>> {
	return (await assemble(settings, true)).gatepass;
}

/** The same for a configuration that was loaded already. */
export async function createFromLoaded(
	loaded: LoadedConfiguration,
	settings: Pick<GatepassSettings, 'container'>,
): Promise<Gatepass> {
	return (await putTogether(loaded, settings, false, [])).gatepass;
}

/** A gatepass with what the local proxy needs to know besides: the configuration, and which rule is chosen. */
export interface ServingGatepass {
	readonly gatepass: Gatepass;
	readonly configuration: Configuration;
	/** The rule for a URL; `undefined`: the request is sent as it is. */
	ruleFor(url: URL, method: string): BoundRule | undefined;
}

/** The same for the local proxy. `listener` gets every event. */
export async function createForServing(
	settings: GatepassSettings,
	listener: EventListener,
): Promise<ServingGatepass> {
	const {gatepass, loaded, composition} = await assemble(settings, false, [listener]);
	return {
		gatepass,
		configuration: loaded.configuration,
		ruleFor: (url, method) => composition.router.ruleFor(url, method),
	};
}

interface Assembled {
	readonly gatepass: Gatepass;
	readonly loaded: LoadedConfiguration;
	readonly composition: Composition;
}

async function assemble(
	settings: GatepassSettings,
	withoutSecrets: boolean,
	listeners: readonly EventListener[] = [],
): Promise<Assembled> {
	// Loaded here, so that importing gatepass costs little and a strategy author's tests need no got.
	const [{loadConfiguration}, {builtInStrategies}] = await Promise.all([
		import('./config/load.ts'),
		import('./container.ts'),
	]);
	const loaded = await loadConfiguration({
		config: settings.config,
		cwd: settings.cwd ?? process.cwd(),
		env: settings.env ?? process.env,
		strategies: settings.strategies ?? [],
		hasOwnStore: settings.cache !== undefined,
		builtIn: builtInStrategies,
		withoutSecrets,
	});
	return putTogether(loaded, settings, withoutSecrets, listeners);
}

async function putTogether(
	loaded: LoadedConfiguration,
	settings: GatepassSettings,
	withoutSecrets: boolean,
	listeners: readonly EventListener[],
): Promise<Assembled> {
	const [{compose}, {ConfiguredGatepass}] = await Promise.all([
		import('./container.ts'),
		import('./configured-gatepass.ts'),
	]);
	const composition = await compose(loaded, {
		parent: settings.container,
		store: settings.cache,
		events: new Events([...(await listenersFor(settings)), ...listeners]),
	});
	if (!withoutSecrets) await composition.ready();
	const gatepass = new ConfiguredGatepass(loaded, composition, {got: settings.got, withoutSecrets});
	return {gatepass, loaded, composition};
}

async function listenersFor({logger, telemetry}: GatepassSettings): Promise<EventListener[]> {
	const listeners: EventListener[] = [];
	if (logger !== undefined) listeners.push((await import('./observability/logger.ts')).logTo(logger));
	if (telemetry === true)
		listeners.push(await (await import('./observability/telemetry.ts')).recordTelemetry());
	return listeners;
}
