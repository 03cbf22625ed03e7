/** `gatepass/nestjs`, in real NestJS applications. */
import {type DynamicModule, type INestApplicationContext, Module} from '@nestjs/common';
import {NestFactory} from '@nestjs/core';
import {HealthCheckService, TerminusModule} from '@nestjs/terminus';
import {afterEach, beforeEach, expect, test} from 'vitest';
import type {ConfigurationInput, Gatepass, Logger} from '../../src/index.ts';
import {
	GATEPASS,
	GatepassHealthIndicator,
	GatepassModule,
	InjectGatepass,
} from '../../src/integrations/nestjs.ts';
import {startTokenServer, type TokenServer} from '../../src/testing/index.ts';

let api: TokenServer;
let config: ConfigurationInput;
let app: INestApplicationContext | undefined;
beforeEach(async () => {
	api = await startTokenServer();
	const options = {clientId: 'a', clientSecret: 'only for tests', tokenEndpoint: api.tokenEndpoint};
	config = {
		cache: {url: 'memory:'},
		hostRules: [{match: api.url, strategy: 'sso-client-credentials', options}],
	};
});
afterEach(async () => {
	await app?.close();
	app = undefined;
	await api.close();
});

const missing = {
	match: 'https://files.example.org',
	strategy: 'grid-certificate',
	options: {directory: '/nowhere'},
};

class Runs {
	constructor(@InjectGatepass() readonly gatepass: Gatepass) {}
}

/** A feature that imports nothing: a global module is seen from there. */
@Module({providers: [Runs]})
class RunsModule {}

async function start(...imports: DynamicModule[]): Promise<INestApplicationContext> {
	@Module({imports: [...imports, RunsModule, TerminusModule]})
	class AppModule {}
	app = await NestFactory.createApplicationContext(AppModule, {logger: false, abortOnError: false});
	return app;
}

test('forRoot: the gatepass is injected, and its requests are authenticated', async () => {
	const {gatepass} = (await start(GatepassModule.forRoot({config}))).get(Runs, {strict: false});
	expect(await gatepass.got(`${api.url}/runs`).json()).toEqual({path: '/runs', authorized: true});
});

test('forRootAsync: its settings come from another provider', async () => {
	@Module({providers: [{provide: 'configuration', useFactory: () => config}], exports: ['configuration']})
	class SettingsModule {}
	const context = await start(
		GatepassModule.forRootAsync({
			imports: [SettingsModule],
			inject: ['configuration'],
			useFactory: async (chosen: ConfigurationInput) => ({config: chosen}),
		}),
	);
	const {gatepass} = context.get(Runs, {strict: false});
	expect(gatepass.explain(api.url).rule?.strategy).toBe('sso-client-credentials');
});

test('isGlobal: false keeps it from modules that do not import it', async () => {
	await expect(start(GatepassModule.forRoot({config, isGlobal: false}))).rejects.toThrow(
		/resolve dependencies/,
	);
});

test('it is closed with the application', async () => {
	const context = await start(GatepassModule.forRoot({config}));
	const gatepass = context.get<Gatepass>(GATEPASS);
	await context.close();
	app = undefined;
	await expect(gatepass.authorize(api.url)).rejects.toMatchObject({code: 'ERR_GATEPASS_CLOSED'});
});

test('the health indicator serves Terminus', async () => {
	const context = await start(GatepassModule.forRoot({config}));
	const indicator = context.get(GatepassHealthIndicator);
	const terminus = await context.resolve(HealthCheckService, undefined, {strict: false});
	expect(await terminus.check([() => indicator.check('credentials')])).toMatchObject({
		status: 'ok',
		details: {credentials: {status: 'up', rules: [{match: api.url, available: true, codes: []}]}},
	});
});

test('a credential that is missing is down, by its code', async () => {
	config = {...config, hostRules: [...(config.hostRules ?? []), missing]};
	const context = await start(GatepassModule.forRoot({config}));
	const indicator = context.get(GatepassHealthIndicator);
	const terminus = await context.resolve(HealthCheckService, undefined, {strict: false});
	const failure = await terminus.check([() => indicator.check()]).catch(error => error);
	expect(failure.getStatus()).toBe(503);
	expect(failure.getResponse()).toMatchObject({
		status: 'error',
		error: {gatepass: {status: 'down', rules: [{available: true}, {codes: ['named-file-missing']}]}},
	});
	expect(JSON.stringify(failure.getResponse())).not.toContain('nowhere');
});

test('what it tells goes to the logger that is given', async () => {
	const told: string[] = [];
	const tell = (_: object, message: string): void => void told.push(message);
	const logger: Logger = {debug: tell, info: tell, warn: tell};
	const {gatepass} = (await start(GatepassModule.forRoot({config, logger}))).get(Runs, {strict: false});
	await gatepass.got(`${api.url}/runs`);
	expect(told).toContain('gatepass: a token was issued');
});

test('a mistake in the configuration stops the application', async () => {
	const mistaken = {hostRules: [{match: 'https://*x.example.org', strategy: 'none'}]};
	await expect(start(GatepassModule.forRoot({config: mistaken}))).rejects.toMatchObject({
		code: 'ERR_GATEPASS_CONFIGURATION',
	});
});
