/** A NestJS module whose settings come from another provider. */
import {Module} from '@nestjs/common';
import {NestFactory} from '@nestjs/core';
import type {Gatepass} from 'gatepass';
// #region async
import {GATEPASS, GatepassModule} from 'gatepass/nestjs';

/** What the application has settings from. */
class Settings {
	readonly configuration = 'gatepass.config.yaml';
}

@Module({providers: [Settings], exports: [Settings]})
class SettingsModule {}

@Module({
	imports: [
		GatepassModule.forRootAsync({
			imports: [SettingsModule],
			inject: [Settings],
			useFactory: (settings: Settings) => ({config: settings.configuration}),
		}),
	],
})
class AppModule {}
// #endregion

const app = await NestFactory.createApplicationContext(AppModule, {logger: false});
const gatepass = app.get<Gatepass>(GATEPASS);
console.log(await gatepass.got('https://api.example.org/runs').json());
await app.close();
