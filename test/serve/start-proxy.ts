/** A local proxy in the test's own process, and servers behind it. */

import {readFileSync} from 'node:fs';
import {createServer, type IncomingMessage, type RequestListener, type Server} from 'node:http';
import {createServer as createHttpsServer} from 'node:https';
import type {AddressInfo} from 'node:net';
import {createForServing} from '../../src/gatepass.ts';
import type {ConfigurationInput} from '../../src/index.ts';
import {AccessLog} from '../../src/serve/access-log.ts';
import {Activity} from '../../src/serve/activity.ts';
import {Authority, constraintsOf, makeAuthority} from '../../src/serve/authority.ts';
import {LocalProxy} from '../../src/serve/proxy.ts';
import type {CertificateFiles} from '../../src/testing/authority.ts';

export const secret = 'a-secret-of-this-test-which-is-long-enough';

export interface StartedProxy {
	/** `http://127.0.0.1:PORT`. */
	readonly url: string;
	readonly port: number;
	readonly proxy: LocalProxy;
	/** In PEM. */
	readonly root: string;
	/** Lines of the access log, as far as they are written. */
	lines(): Record<string, unknown>[];
	readonly told: string[];
	close(): Promise<void>;
}

/** Start one. Its tokens are kept in memory. */
export async function startProxy(
	configuration: ConfigurationInput,
	{withSecret = true, env = process.env}: {withSecret?: boolean; env?: NodeJS.ProcessEnv} = {},
): Promise<StartedProxy> {
	const activity = new Activity();
	const {serve, ...rest} = configuration;
	const config = {
		cache: {url: 'memory:'},
		...rest,
		serve: {listen: '127.0.0.1:0', ...serve},
	};
	const serving = await createForServing({config, env}, activity.listener);
	const patterns = serving.configuration.hostRules.flatMap(rule => rule.patterns);
	const authority = new Authority(makeAuthority(constraintsOf(patterns)));
	let text = '';
	const log = new AccessLog(more => {
		text += more;
	});
	const told: string[] = [];
	const proxy = new LocalProxy(serving, {
		secret: withSecret ? secret : undefined,
		activity,
		log,
		tell: line => void told.push(line),
		authority: () => authority,
	});
	const url = await proxy.listen();
	return {
		url,
		port: Number(new URL(url).port),
		proxy,
		root: authority.root,
		lines() {
			log.flush();
			return text
				.split('\n')
				.filter(Boolean)
				.map(line => JSON.parse(line));
		},
		told,
		close: () => proxy.close(),
	};
}

export interface StartedServer {
	readonly origin: string;
	readonly port: number;
	readonly server: Server;
	readonly requests: IncomingMessage[];
	close(): Promise<void>;
}

/** A server that does what `answer` says, and remembers its requests. */
export async function startServer(
	answer: RequestListener,
	certificate?: CertificateFiles,
): Promise<StartedServer> {
	const requests: IncomingMessage[] = [];
	const listener: RequestListener = (request, response) => {
		requests.push(request);
		answer(request, response);
	};
	const server =
		certificate === undefined
			? createServer(listener)
			: (createHttpsServer(
					{cert: readFileSync(certificate.certificate), key: readFileSync(certificate.key)},
					listener,
				) as unknown as Server);
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	const {port} = server.address() as AddressInfo;
	return {
		origin: `${certificate === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
		port,
		server,
		requests,
		async close() {
			server.closeAllConnections();
			await new Promise(resolve => server.close(resolve));
		},
	};
}
