/** `gatepass/fastify`: a gatepass for a Fastify instance, which ends with it. */
import type {FastifyInstance} from 'fastify';
import {createGatepass, type Gatepass, type GatepassSettings} from '../gatepass.ts';
import {healthOf} from './health.ts';

export type {Health, RuleHealth} from './health.ts';

/** What the plugin takes: the settings of `createGatepass`, or one that is there already. */
export interface FastifyGatepassOptions extends GatepassSettings {
	/** One that was made elsewhere; whoever made it closes it. The settings of `createGatepass` then do nothing. */
	readonly gatepass?: Gatepass;
	/**
	 * The path of a health check: 200 where each host rule has its credential, else 503, with {@link Health} as JSON.
	 * It asks no server. Default: none.
	 */
	readonly health?: string;
}

declare module 'fastify' {
	interface FastifyInstance {
		/** Authenticates the requests that this service sends. */
		gatepass: Gatepass;
	}
}

/**
 * A Fastify plugin: decorates the instance with `gatepass`, answers health checks, and closes the gatepass when the
 * instance is closed, after the last request was answered. What gatepass tells goes to the instance's log, unless
 * there is another `logger`.
 *
 * @throws {ConfigurationError} from `register`, where the configuration has mistakes.
 *
 * @example
 * await app.register(gatepassPlugin, {health: '/health'});
 * app.get('/runs', () => app.gatepass.got('https://api.example.org/runs').json());
 */
export async function gatepassPlugin(app: FastifyInstance, options: FastifyGatepassOptions): Promise<void> {
	const {gatepass: given, health, ...settings} = options;
	const gatepass = given ?? (await createGatepass({logger: app.log, ...settings}));
	app.decorate('gatepass', gatepass);
	if (given === undefined) app.addHook('onClose', () => gatepass.close());
	if (health === undefined) return;
	app.get(health, async (_request, reply) => {
		const state = await healthOf(gatepass);
		return reply
			.code(state.available ? 200 : 503)
			.header('cache-control', 'no-store')
			.send(state);
	});
}

// What fastify-plugin would add: the decorator is for the whole instance, and not for what the plugin registers alone.
Object.assign(gatepassPlugin, {
	[Symbol.for('skip-override')]: true,
	[Symbol.for('fastify.display-name')]: 'gatepass',
	[Symbol.for('plugin-meta')]: {name: 'gatepass', fastify: '5.x'},
});

export default gatepassPlugin;
