/** `createGatepass`: from settings to the object that users hold. Importing this loads little else. */
import type {Configuration} from './config/configuration.ts';
import type {LoadedConfiguration} from './config/load.ts';
import type {Composition} from './container.ts';
import type {Gatepass, GatepassSettings} from './gatepass-interface.ts';
import type {BoundRule} from './hop/router.ts';
import {type EventListener, Events} from './observability/events.ts';
import type {ProxyServer, WayOut} from './tls/way-out.ts';

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
	return (await putTogether(await load(settings), settings)).gatepass;
}

/** The same for `explain` alone: variables and files of secrets may be missing, and nothing that sends is loaded. */
export async function createForExplaining(
	settings: GatepassSettings = {},
): Promise<Pick<Gatepass, 'explain' | 'close'>> {
	const loaded = await load(settings, true);
	const composition = await composeFor(loaded, settings);
	const {explainRequest} = await import('./explain-request.ts');
	return {
		explain: (url, options) =>
			explainRequest(composition, loaded.configuration, url, {...options, withoutSecrets: true}),
		close: () => composition.close(),
	};
}

/** The same for a configuration that was loaded already. */
export async function createFromLoaded(
	loaded: LoadedConfiguration,
	settings: Pick<GatepassSettings, 'container'>,
): Promise<Gatepass> {
	return (await putTogether(loaded, settings)).gatepass;
}

/** A gatepass with what the local proxy needs to know besides: the configuration, and which rule is chosen. */
export interface ServingGatepass {
	readonly gatepass: Gatepass;
	readonly configuration: Configuration;
	/** The rule for a URL; `undefined`: the request is sent as it is. */
	ruleFor(url: URL, method: string): BoundRule | undefined;
	/** The way out to a URL, for what is sent as it is. */
	wayFor(url: URL): WayOut;
	/** The proxies that anything may be sent through. */
	readonly proxies: readonly ProxyServer[];
}

/** The same for the local proxy. `listener` gets every event. */
export async function createForServing(
	settings: GatepassSettings,
	listener: EventListener,
): Promise<ServingGatepass> {
	const {configuration, ...loaded} = await load(settings);
	// Where the configuration says nothing of `proxy`.
	const {proxy = 'environment'} = configuration;
	const withWay = {...loaded, configuration: {...configuration, proxy}};
	const {gatepass, composition} = await putTogether(withWay, settings, [listener]);
	const {router, ways, rules} = composition;
	return {
		gatepass,
		configuration,
		ruleFor: (url, method) => router.ruleFor(url, method),
		wayFor: url => ways.for(router.ruleFor(url, 'CONNECT')?.rule),
		proxies: [ways.for(), ...rules.map(({rule}) => ways.for(rule))].flatMap(({proxies}) => proxies),
	};
}

// What follows loads what it needs: importing gatepass is to cost little, and a strategy author's tests need no got.

async function load(settings: GatepassSettings, withoutSecrets = false): Promise<LoadedConfiguration> {
	const [{loadConfiguration}, {builtInStrategies}] = await Promise.all([
		import('./config/load.ts'),
		import('./container.ts'),
	]);
	return loadConfiguration({
		config: settings.config,
		cwd: settings.cwd ?? process.cwd(),
		env: settings.env ?? process.env,
		strategies: settings.strategies ?? [],
		hasOwnStore: settings.cache !== undefined,
		builtIn: builtInStrategies,
		withoutSecrets,
	});
}

async function composeFor(
	loaded: LoadedConfiguration,
	settings: GatepassSettings,
	listeners: readonly EventListener[] = [],
): Promise<Composition> {
	const {compose} = await import('./container.ts');
	return compose(loaded, {
		parent: settings.container,
		store: settings.cache,
		events: new Events([...(await listenersFor(settings)), ...listeners]),
	});
}

async function putTogether(
	loaded: LoadedConfiguration,
	settings: GatepassSettings,
	listeners?: readonly EventListener[],
): Promise<{readonly gatepass: Gatepass; readonly composition: Composition}> {
	const {ConfiguredGatepass} = await import('./configured-gatepass.ts');
	const composition = await composeFor(loaded, settings, listeners);
	await composition.ready();
	return {gatepass: new ConfiguredGatepass(loaded, composition, settings.got), composition};
}

async function listenersFor({logger, telemetry}: GatepassSettings): Promise<EventListener[]> {
	const listeners: EventListener[] = [];
	if (logger !== undefined) listeners.push((await import('./observability/logger.ts')).logTo(logger));
	if (telemetry === true)
		listeners.push(await (await import('./observability/telemetry.ts')).recordTelemetry());
	return listeners;
}
