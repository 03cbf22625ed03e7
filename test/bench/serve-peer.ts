/** What `gatepass serve` is measured beside: a proxy of fastify's, a bare pipe, and a server of one large file. */
import {createServer} from 'node:http';
import {type AddressInfo, connect, createServer as createPipe} from 'node:net';
import httpProxy from '@fastify/http-proxy';
import {fastify} from 'fastify';
import {answerParent, childArgument, tellParent} from './child.ts';

export interface PeerAddresses {
	readonly fastify: string;
	readonly large: string;
	/** To the large file, byte for byte. */
	readonly pipe: string;
}

const {api, size} = childArgument<{api: string; size: number}>();

const app = fastify();
await app.register(httpProxy, {
	upstream: new URL(api).origin,
	prefix: '/runs',
	rewritePrefix: '/runs',
	undici: {connections: 50},
	replyOptions: {
		rewriteRequestHeaders: (_request: unknown, headers: object) => ({
			...headers,
			authorization: 'Bearer bench-token',
		}),
	},
} as never);
await app.listen({port: 0, host: '127.0.0.1'});

const chunk = Buffer.alloc(256 * 1024);
const large = createServer((_request, response) => {
	let left = size;
	response.writeHead(200, {'content-length': size});
	const more = (): void => {
		while (left > 0) {
			left -= chunk.length;
			if (!response.write(chunk)) {
				response.once('drain', more);
				return;
			}
		}
		response.end();
	};
	more();
});
await new Promise<void>(resolve => large.listen(0, '127.0.0.1', resolve));
const {port} = large.address() as AddressInfo;

const pipe = createPipe(client => {
	const server = connect(port, '127.0.0.1');
	for (const socket of [client, server]) socket.on('error', () => {});
	client.pipe(server).pipe(client);
});
await new Promise<void>(resolve => pipe.listen(0, '127.0.0.1', resolve));

tellParent({
	fastify: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`,
	large: `http://127.0.0.1:${port}`,
	pipe: `http://127.0.0.1:${(pipe.address() as AddressInfo).port}`,
} satisfies PeerAddresses);
answerParent(async () => process.pid);
