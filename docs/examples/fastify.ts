/** A Fastify service that makes authenticated requests, says how it is, and ends in good order. */
// #region fastify
import Fastify from 'fastify';
import {GatepassError} from 'gatepass';
import {gatepassPlugin} from 'gatepass/fastify';

const app = Fastify({logger: true});
await app.register(gatepassPlugin, {health: '/health'});

app.get('/runs', () => app.gatepass.got('https://api.example.org/runs').json());

app.setErrorHandler((error, request, reply) => {
	if (!(error instanceof GatepassError)) throw error;
	// The message holds no secret, but names hosts and files: it is for whoever runs the service.
	request.log.error({code: error.code}, error.message);
	return reply.code(502).send({error: 'no credential for the service behind this one'});
});

await app.listen({port: Number(process.env.PORT ?? 8080), host: '127.0.0.1'});
process.once('SIGTERM', () => void app.close());
// #endregion
