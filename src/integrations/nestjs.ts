/** `gatepass/nestjs`: a gatepass as a provider of NestJS, which ends with the application. */
import {
	type DynamicModule,
	type FactoryProvider,
	Inject,
	Injectable,
	Logger,
	Module,
	type ModuleMetadata,
	type OnApplicationShutdown,
	type Provider,
} from '@nestjs/common';
import {createGatepass, type Gatepass, type GatepassSettings} from '../gatepass.ts';
import {type HealthSettings, healthOf, type RuleHealth} from './health.ts';

export type {HealthSettings, RuleHealth} from './health.ts';

/** The token of the provider; {@link InjectGatepass} injects it. */
export const GATEPASS: unique symbol = Symbol('gatepass');

/**
 * Injects the gatepass of the module.
 *
 * @example
 * constructor(@InjectGatepass() private readonly gatepass: Gatepass) {}
 */
export function InjectGatepass(): PropertyDecorator & ParameterDecorator {
	return Inject(GATEPASS);
}

/** What `forRoot` takes: the settings of `createGatepass`. */
export interface GatepassModuleSettings extends GatepassSettings {
	/** Whether all modules have the providers without importing this one. Default: `true`. */
	readonly isGlobal?: boolean;
}

/** What `forRootAsync` takes: a factory of the settings of `createGatepass`, with what it wants injected. */
export interface GatepassModuleAsyncSettings
	extends Pick<ModuleMetadata, 'imports'>,
		Pick<FactoryProvider<GatepassSettings>, 'useFactory' | 'inject'> {
	/** Whether all modules have the providers without importing this one. Default: `true`. */
	readonly isGlobal?: boolean;
}

/** What a health check of Terminus gets, under the key that it was asked for. */
export type GatepassHealth = Record<
	string,
	{readonly status: 'up' | 'down'; readonly rules: readonly RuleHealth[]}
>;

/** For health checks of `@nestjs/terminus` from version 11 on, and for any other. */
@Injectable()
export class GatepassHealthIndicator {
	readonly #gatepass: Gatepass;

	constructor(@Inject(GATEPASS) gatepass: Gatepass) {
		this.#gatepass = gatepass;
	}

	/**
	 * `up` where each host rule has its credential. Asks no server, unless it is to `verify`.
	 *
	 * @throws {GatepassError} where the application was closed.
	 */
	async check(key = 'gatepass', settings: HealthSettings = {}): Promise<GatepassHealth> {
		const {available, rules} = await healthOf(this.#gatepass, settings);
		return {[key]: {status: available ? 'up' : 'down', rules}};
	}
}

const settingsToken = Symbol('settings of gatepass');

/**
 * One gatepass for an application: made at its start, so that a mistake in the configuration stops it, and closed at its
 * end, after the last request was answered. What gatepass tells goes to Nest's logger, unless there is another one. To
 * have it closed by a signal, call `app.enableShutdownHooks()`.
 */
@Module({})
export class GatepassModule implements OnApplicationShutdown {
	readonly #gatepass: Gatepass;

	constructor(@Inject(GATEPASS) gatepass: Gatepass) {
		this.#gatepass = gatepass;
	}

	/** @throws {ConfigurationError} at the start of the application, where the configuration has mistakes. */
	static forRoot({isGlobal, ...settings}: GatepassModuleSettings = {}): DynamicModule {
		return moduleOf(isGlobal, {provide: settingsToken, useValue: settings});
	}

	/** @throws {ConfigurationError} at the start of the application, where the configuration has mistakes. */
	static forRootAsync({isGlobal, imports, ...factory}: GatepassModuleAsyncSettings): DynamicModule {
		return {
			...moduleOf(isGlobal, {provide: settingsToken, ...factory}),
			...(imports !== undefined && {imports}),
		};
	}

	/** Called by Nest. */
	async onApplicationShutdown(): Promise<void> {
		await this.#gatepass.close();
	}
}

function moduleOf(isGlobal = true, settings: Provider): DynamicModule {
	return {
		module: GatepassModule,
		global: isGlobal,
		providers: [
			settings,
			{
				provide: GATEPASS,
				inject: [settingsToken],
				useFactory: (chosen: GatepassSettings) => createGatepass({logger: toNest(), ...chosen}),
			},
			GatepassHealthIndicator,
		],
		exports: [GATEPASS, GatepassHealthIndicator],
	};
}

/** Nest's logger takes the message first. */
function toNest(): NonNullable<GatepassSettings['logger']> {
	const logger = new Logger('gatepass');
	return {
		debug: (fields, message) => logger.debug({message, ...fields}),
		info: (fields, message) => logger.log({message, ...fields}),
		warn: (fields, message) => logger.warn({message, ...fields}),
	};
}
