/**
 * Sends a hop through the proxy that its strategy names: http by asking the proxy for the whole URL, https through a
 * tunnel (CONNECT, RFC 9110 section 9.3.6). The tunnel has a conversation of its own, so that nothing that is for the
 * proxy reaches the server, nor the other way round.
 */
import type {Agent, ClientRequest, IncomingMessage} from 'node:http';
import {Agent as TlsAgent} from 'node:https';
import type {Socket} from 'node:net';
import type {Duplex} from 'node:stream';
import {HopRequest} from '../../hop/request.ts';
import {type Leg, runHop} from '../../hop/run.ts';
import type {HopProxy, RuleInfo} from '../../strategy/index.ts';
import {requestHttp} from '../../tls/node-http.ts';
import {scrubRequest} from '../../tls/requests-apart.ts';
import {readRefusal} from '../../tls/tunnel-refusal.ts';

interface Target {
	readonly host?: string | undefined;
	readonly port?: number | string | undefined;
}
type OnConnection = (error: Error | null, socket?: Duplex) => void;
type CreateConnection = (target: Target, onConnection?: OnConnection) => Socket | undefined;

const goingThroughProxy = new WeakSet<Agent>();

/** Make an agent, which serves this proxy alone, connect through it. */
export function throughProxy(agent: Agent, proxy: HopProxy, rule: RuleInfo): Agent {
	if (goingThroughProxy.has(agent)) return agent;
	goingThroughProxy.add(agent);
	const inside = agent as unknown as {createConnection: CreateConnection};
	const connect = inside.createConnection.bind(agent);
	const place = placeOf(proxy.url);
	inside.createConnection = (target, onConnection) => {
		if (!(agent instanceof TlsAgent)) return connect({...target, ...place}, onConnection);
		openTunnel(target, proxy, rule).then(
			socket => {
				// One that is verified by revocation lists is handed over later.
				const made = connect({...target, socket} as Target, onConnection);
				if (made) onConnection?.(null, made);
			},
			error => onConnection?.(error as Error),
		);
		return undefined;
	};
	return agent;
}

function placeOf({hostname, port}: URL): {host: string; port: number} {
	return {host: hostname.replace(/^\[(.*)\]$/, '$1'), port: port === '' ? 80 : Number(port)};
}

async function openTunnel({host = '', port = 443}: Target, proxy: HopProxy, rule: RuleInfo): Promise<Duplex> {
	const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
	const target = new URL(`https://${authority}`);
	const request = new HopRequest(
		target,
		'CONNECT',
		{host: authority},
		{fresh: false, replayable: true},
		rule,
	);
	const {requiresResponseBody = false} = proxy;
	const strategy = {requiresResponseBody, authenticate: () => proxy.authenticate(request)};
	const {message, socket} = await runHop({info: rule, strategy}, request, {
		send: () => askForTunnel(authority, request, proxy),
	});
	const {statusCode: status = 0, statusMessage} = message;
	if (status >= 200 && status < 300) return socket;
	socket.destroy();
	throw Object.assign(
		new Error(
			`The proxy ${proxy.url.origin} opens no tunnel to ${authority}: it answered ${status} ${statusMessage}`,
		),
		{code: 'ERR_PROXY_TUNNEL'},
	);
}

interface Answer extends Leg {
	readonly message: IncomingMessage;
	readonly socket: Duplex;
}

/** Node hands over the connection with any answer to CONNECT, a refusal too, and reads no body. */
async function askForTunnel(path: string, {headers}: HopRequest, {url, timeout}: HopProxy): Promise<Answer> {
	const leg: ClientRequest = requestHttp({
		...placeOf(url),
		method: 'CONNECT',
		path,
		headers: {...headers.record},
		agent: false,
		signal: AbortSignal.timeout(timeout),
	});
	try {
		return await new Promise((resolve, reject) => {
			leg.once('connect', (message, socket, head) => {
				// Nobody speaks first here; what comes this early belongs to a refusal.
				if (head.length > 0) socket.unshift(head);
				// It may break while the conversation decides; whoever uses it then is told.
				socket.on('error', () => {});
				resolve({
					// Nobody sees a proxy's answer but the strategy.
					response: {
						status: message.statusCode ?? 0,
						headers: message.headers,
						body: undefined,
						withhold: () => {},
					},
					readBody: most => readRefusal(message, {socket}, most, timeout),
					message,
					socket,
					discard: () => void socket.destroy(),
				});
			});
			leg.on('error', ({name, code, message}: NodeJS.ErrnoException) => {
				const isLate = name === 'AbortError';
				const text = isLate ? `The proxy ${url.origin} did not answer within ${timeout} ms` : message;
				reject(Object.assign(new Error(text), {code: isLate ? 'ETIMEDOUT' : code}));
			});
			leg.end();
		});
	} finally {
		scrubRequest(leg);
	}
}
