/** A server in front of Apache that passes requests on and changes answers: it has no keys of the service. */

import type {IncomingHttpHeaders} from 'node:http';
import {createServer as createPlainServer, request as send} from 'node:http';
import {createServer, type ServerOptions} from 'node:https';
import {startServer, type TestServer} from '../../src/testing/server.ts';

export interface Answer {
	status: number;
	headers: IncomingHttpHeaders;
	body: string;
}

/** Start it, over https with `tls`; `meddle` changes an answer that came from `upstream`, or gives one without asking it. */
export function startMeddler(
	upstream: string,
	meddle: (answer: Answer, authorization: string | undefined) => void,
	tls?: ServerOptions,
): Promise<TestServer> {
	const server = tls === undefined ? createPlainServer() : createServer(tls);
	const pass: Parameters<typeof startServer>[0] = async ({method, url, headers}, response) => {
		const answer = await new Promise<Answer>((resolve, reject) => {
			const own = headers.authorization === undefined ? {} : {authorization: String(headers.authorization)};
			const outgoing = send(upstream + url, {method, headers: own, agent: false}, async incoming => {
				let body = '';
				for await (const chunk of incoming) body += chunk;
				resolve({status: incoming.statusCode ?? 0, headers: incoming.headers, body});
			});
			outgoing.on('error', reject);
			outgoing.end();
		});
		meddle(answer, headers.authorization as string | undefined);
		const {'transfer-encoding': _, connection: __, ...rest} = answer.headers;
		response.writeHead(answer.status, {...rest, 'content-length': Buffer.byteLength(answer.body)});
		response.end(answer.body);
	};
	return startServer(pass, server, tls === undefined ? 'http' : 'https');
}
