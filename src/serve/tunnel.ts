/** CONNECT: a tunnel that is left alone byte for byte, or opened where a rule is for its server. */

import type {IncomingMessage, RequestListener, Server} from 'node:http';
import {createServer as createHttpsServer} from 'node:https';
import {connect, type Socket} from 'node:net';
import type {Duplex} from 'node:stream';
import {http} from '../tls/node-http.ts';
import {isAdmitted} from './admission.ts';
import {type ProxyContext, Visit} from './context.ts';
import {notForward, refuseTarget, serveInside, upgradeInside} from './forward.ts';
import {addressIn} from './generation.ts';
import {type Problem, problemOf, refuseConnection, refusedProblem} from './problem.ts';
import {join} from './relay.ts';
import {faultOf, parseAuthority} from './request-target.ts';
import {serverSettings} from './server-settings.ts';
import {guardedLookup} from './targets.ts';
import {unparsed} from './unparsed.ts';

/** Milliseconds in which a client says its first byte; one that does not lets the server speak first. */
const firstByteWithin = 1000;
/** Milliseconds for a connection. */
const longestConnect = 10_000;
/** Milliseconds for a handshake. */
const handshakeTimeout = 10_000;
/** Servers in opened tunnels that are kept. */
const mostServers = 500;

export class Tunnels {
	readonly #context: ProxyContext;
	/** By origin: what speaks HTTP with the client. */
	readonly #servers = new Map<string, Server>();
	/** Connections of clients in tunnels that were opened, with how many requests they are busy with. */
	readonly #inside = new Map<Duplex, number>();

	constructor(context: ProxyContext) {
		this.#context = context;
	}

	/** A client asks for a tunnel. */
	open(request: IncomingMessage, socket: Duplex, head: Buffer): void {
		const context = this.#context;
		const visit = new Visit(context, 'tunnel', request, request.url ?? '');
		socket.on('error', () => {});
		const asked = this.#check(request);
		if ('status' in asked) {
			visit.refuseConnection(socket, asked);
			return;
		}
		const {hostname, port} = asked;
		visit.target = `${hostname}:${port}`;
		context.detached.add(socket);
		socket.once('close', () => context.detached.delete(socket));
		const {generation} = context;
		const {intercept} = generation.settings;
		const secure =
			intercept === 'rules' && !generation.isPinned(hostname) && generation.hasRule('https', hostname, port);
		const plain = generation.hasRule('http', hostname, port);
		if (!secure && !plain) {
			this.#pass(hostname, port, socket, head, visit, true);
			return;
		}
		const enter = (): void => {
			socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
			firstBytes(socket, head).then(first => {
				if (secure && isTls(first)) {
					this.#hand(new URL(`https://${hostname}:${port}`), socket);
					visit.end(200);
				} else if (plain && isHttp(first)) {
					this.#hand(new URL(`http://${hostname}:${port}`), socket);
					visit.end(200);
				} else this.#pass(hostname, port, socket, Buffer.alloc(0), visit, false);
			});
		};
		// Of a rule for many names, their owners choose the address. What it is later is no matter: no server without a
		// certificate for the name gets a request.
		generation.refusalOf(new URL(`https://${hostname}:${port}`)).then(why => {
			if (why === undefined) enter();
			else visit.refuseConnection(socket, refusedProblem(why));
		});
	}

	/** In tunnels that were opened. Node keeps no list of the connections of a server that does not listen. */
	closeIdleConnections(): void {
		for (const [socket, requests] of this.#inside) if (requests === 0) socket.destroy();
	}

	#enter(socket: Duplex): void {
		this.#inside.set(socket, 0);
		socket.once('close', () => this.#inside.delete(socket));
	}

	/** A request begins on a connection, or is over. */
	#count(socket: Duplex, change: 1 | -1): void {
		const requests = this.#inside.get(socket);
		if (requests !== undefined) this.#inside.set(socket, requests + change);
	}

	/** Make new certificates from the next tunnel on: the CA is another one. */
	forgetCertificates(): void {
		for (const [origin] of this.#servers) if (origin.startsWith('https:')) this.#servers.delete(origin);
	}

	#check(request: IncomingMessage): {hostname: string; port: number} | Problem {
		const context = this.#context;
		const admitted = context.admission.admitProxied(request);
		if (!isAdmitted(admitted)) return admitted;
		if (!context.generation.settings.forward) return notForward;
		const fault = faultOf(request);
		if (fault !== undefined) return fault;
		const asked = parseAuthority(request.url ?? '');
		if (asked === undefined) {
			return {
				status: 400,
				code: 'target-malformed',
				detail: 'CONNECT names no HOST:PORT',
				hint: 'Write such as CONNECT api.example.org:443',
			};
		}
		return refuseTarget(context, asked.hostname, asked.port) ?? asked;
	}

	/** The client is served here, as if this was the server. */
	#hand(origin: URL, socket: Duplex): void {
		let server = this.#servers.get(origin.origin);
		if (server === undefined) {
			if (this.#servers.size >= mostServers) this.#servers.clear();
			server = this.#serverFor(origin);
			this.#servers.set(origin.origin, server);
		}
		server.emit('connection', socket);
	}

	#serverFor(origin: URL): Server {
		const context = this.#context;
		const listener: RequestListener = (request, response) => {
			if (context.isClosing) response.shouldKeepAlive = false;
			const {socket} = request;
			this.#count(socket, 1);
			response.once('close', () => this.#count(socket, -1));
			serveInside(context, origin, request, response);
		};
		let server: Server;
		if (origin.protocol === 'https:') {
			const host = addressIn(origin.hostname) ?? origin.hostname;
			server = createHttpsServer({
				...serverSettings,
				ALPNProtocols: ['http/1.1'],
				// Clients that hang up without a word, as Node does, are noticed by it.
				handshakeTimeout,
				SNICallback: (_name, callback) => callback(null, context.authority().contextFor(host)),
				...context.authority().optionsFor(host),
			}) as unknown as Server;
			server.on('tlsClientError', (error: NodeJS.ErrnoException) => this.#tellDistrust(origin, error));
			const asked = new WeakSet<object>();
			for (const kind of ['request', 'checkContinue', 'upgrade']) {
				server.on(kind, ({socket}: IncomingMessage) => void asked.add(socket));
			}
			// By TLS 1.3 a client looks at the certificate when the server takes the handshake for done.
			server.on('secureConnection', (socket: Socket) =>
				socket.once('close', () => {
					if (!asked.has(socket)) this.#tellDistrust(origin, {name: '', message: '', code: 'ECONNRESET'});
				}),
			);
		} else server = http.createServer(serverSettings);
		server.on('request', listener);
		server.on('checkContinue', listener);
		server.on('upgrade', (request, socket, head) => {
			this.#inside.delete(socket);
			upgradeInside(context, origin, request, socket, head);
		});
		server.on(origin.protocol === 'https:' ? 'secureConnection' : 'connection', socket =>
			this.#enter(socket),
		);
		server.on('connect', (_request, socket) => refuseConnection(socket, tunnelWithin));
		server.on('clientError', (error, socket) => refuseConnection(socket, unparsed(error)));
		return server;
	}

	/** A client that hangs up in the middle of the handshake does not trust the CA, or speaks no version in common. */
	#tellDistrust({host}: URL, {code = '', message}: NodeJS.ErrnoException): void {
		const isRefusal = /UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|ECONNRESET|HANDSHAKE_TIMEOUT/i.test(
			`${code} ${message}`,
		);
		const why = isRefusal
			? "a client does not trust the CA of this proxy. Let it read the CA file: by SSL_CERT_FILE, CURL_CA_BUNDLE, REQUESTS_CA_BUNDLE, NODE_EXTRA_CA_CERTS, GIT_SSL_CAINFO or Java's trust store, as 'gatepass run' does; or name the host under 'serve.pinned'"
			: `a client could not agree on TLS (${code || message})`;
		const text = `Tunnel to ${host}: ${why}`;
		this.#context.activity.warn(text);
		this.#context.tell(text);
	}

	/** Every byte goes through as it is. */
	#pass(hostname: string, port: number, client: Duplex, head: Buffer, visit: Visit, isAsked: boolean): void {
		const {generation} = this.#context;
		const fail = (error: NodeJS.ErrnoException): void => {
			const problem = problemOf(error, `${hostname}:${port}`);
			if (isAsked) visit.refuseConnection(client, problem);
			else {
				visit.noteProblem(problem);
				client.destroy();
				visit.end(problem.status);
			}
		};
		const ready = (server: Duplex): void => {
			this.#detach(server);
			if (isAsked) client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
			if (head.length > 0) server.write(head);
			this.#context.activity.tunnels += 1;
			join(client, server, () => {
				this.#context.activity.tunnels -= 1;
				visit.end(200);
			});
		};
		const gone = new AbortController();
		const leave = (): void => {
			gone.abort();
			visit.end(499);
		};
		client.once('close', leave);
		const opened = generation.openTunnel(hostname, port) ?? this.#connect(hostname, port, gone.signal);
		opened.then(
			server => {
				client.off('close', leave);
				if (gone.signal.aborted) server.destroy();
				else ready(server);
			},
			error => {
				client.off('close', leave);
				if (!gone.signal.aborted) fail(error as NodeJS.ErrnoException);
			},
		);
	}

	/** Directly. */
	#connect(hostname: string, port: number, signal: AbortSignal): Promise<Duplex> {
		const server = connect({
			host: addressIn(hostname) ?? hostname,
			port,
			lookup: guardedLookup(this.#context.generation.names(hostname, port)),
			timeout: longestConnect,
			noDelay: true,
			keepAlive: true,
		});
		this.#detach(server);
		signal.addEventListener('abort', () => server.destroy(), {once: true});
		return new Promise((resolve, reject) => {
			server.once('error', reject);
			server.once('close', () => reject(new Error('It was closed before it was connected')));
			server.once('timeout', () => {
				server.destroy();
				reject(Object.assign(new Error('No connection'), {code: 'ETIMEDOUT'}));
			});
			server.once('connect', () => {
				server.off('error', reject);
				server.setTimeout(0);
				server.removeAllListeners('timeout');
				resolve(server);
			});
		});
	}

	/** It is nobody else's to end. */
	#detach(socket: Duplex): void {
		const {detached} = this.#context;
		detached.add(socket);
		socket.once('close', () => detached.delete(socket));
	}
}

const tunnelWithin: Problem = {
	status: 405,
	code: 'method-refused',
	detail: 'A tunnel leads through no other one',
	hint: 'Ask the proxy itself for it',
	headers: {allow: 'GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS'},
};

/** What the client says first, which stays to be read; empty: nothing, for a while. */
function firstBytes(socket: Duplex, head: Buffer): Promise<Buffer> {
	if (head.length > 0) {
		socket.unshift(head);
		return Promise.resolve(head);
	}
	return new Promise(resolve => {
		const done = (bytes: Buffer): void => {
			clearTimeout(timer);
			socket.off('readable', look);
			socket.off('close', close);
			resolve(bytes);
		};
		const close = (): void => done(Buffer.alloc(0));
		const look = (): void => {
			const bytes = socket.read() as Buffer | null;
			if (bytes === null) return;
			socket.unshift(bytes);
			done(bytes);
		};
		const timer = setTimeout(close, firstByteWithin);
		socket.on('readable', look);
		socket.once('close', close);
	});
}

/** A record of a handshake (RFC 8446 section 5.1). */
function isTls(bytes: Buffer): boolean {
	return bytes[0] === 0x16 && (bytes.length < 2 || bytes[1] === 0x03);
}

function isHttp(bytes: Buffer): boolean {
	return /^[A-Z][A-Z-]{1,20} \/|^[A-Z][A-Z-]{0,20}$|^OPTIONS \*/.test(
		bytes.subarray(0, 40).toString('latin1'),
	);
}
