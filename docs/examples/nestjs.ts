/** A NestJS service that makes authenticated requests, says how it is, and ends in good order. */
// #region nestjs
import {Controller, Get, Inject, Module} from '@nestjs/common';
import {NestFactory} from '@nestjs/core';
import {FastifyAdapter} from '@nestjs/platform-fastify';
import {HealthCheck, HealthCheckService, TerminusModule} from '@nestjs/terminus';
import type {Gatepass} from 'gatepass';
import {GatepassHealthIndicator, GatepassModule, InjectGatepass} from 'gatepass/nestjs';

@Controller()
class RunsController {
	constructor(
		@InjectGatepass() private readonly gatepass: Gatepass,
		@Inject(HealthCheckService) private readonly health: HealthCheckService,
		@Inject(GatepassHealthIndicator) private readonly credentials: GatepassHealthIndicator,
	) {}

	@Get('runs')
	runs() {
		return this.gatepass.got('https://api.example.org/runs').json();
	}

	@Get('health')
	@HealthCheck()
	check() {
		return this.health.check([() => this.credentials.check()]);
	}
}

@Module({imports: [GatepassModule.forRoot(), TerminusModule], controllers: [RunsController]})
class AppModule {}

const app = await NestFactory.create(AppModule, new FastifyAdapter());
// Closes the gatepass, too, after the last request.
app.enableShutdownHooks();
await app.listen(Number(process.env.PORT ?? 8080), '127.0.0.1');
// #endregion
console.log(`listening on ${new URL(await app.getUrl()).port}`);
