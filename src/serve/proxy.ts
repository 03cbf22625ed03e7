/** The local proxy: listens, tells the forms apart, takes up a new configuration, and ends when it is told to. */

import {X509Certificate} from 'node:crypto';
import {readFileSync} from 'node:fs';
import type {IncomingMessage, Server, ServerResponse} from 'node:http';
import {createServer as createHttpsServer} from 'node:https';
import type {AddressInfo, Socket} from 'node:net';
import type {Duplex} from 'node:stream';
import type {ServeSettings} from '../config/serve-settings.ts';
import {GatepassError} from '../errors.ts';
import type {ServingGatepass} from '../gatepass.ts';
import {isLoopback} from '../strategy/hosts.ts';
import {http} from '../tls/node-http.ts';
import type {AccessLog} from './access-log.ts';
import {Activity} from './activity.ts';
import {Admission, type Listening} from './admission.ts';
import type {Authority} from './authority.ts';
import type {ProxyContext} from './context.ts';
import {serveForward, upgradeForward} from './forward.ts';
import {addressIn, Generation} from './generation.ts';
import {checkHandedOver, listenOn} from './listen.ts';
import {ownerOf} from './peer.ts';
import {answerProblem, type Problem, refuseConnection} from './problem.ts';
import {serveReverse, upgradeReverse} from './reverse.ts';
import {Secret} from './secret.ts';
import {serverSettings} from './server-settings.ts';
import {Tunnels} from './tunnel.ts';
import {unparsed} from './unparsed.ts';

export interface ProxySettings {
	/** A secret; `undefined`: every local user may use the proxy. */
	readonly secret: string | undefined;
	readonly activity?: Activity;
	readonly log?: AccessLog | undefined;
	readonly tell?: (text: string) => void;
	/** The CA for tunnels. It is asked for when the first one is opened. */
	readonly authority: () => Authority;
}

/** Renewals are looked after this often, in milliseconds. */
const lookEvery = 60_000;
/** A token is fetched again when it expires within this time, in milliseconds. */
const renewWithin = 300_000;

export class LocalProxy implements ProxyContext {
	readonly activity: Activity;
	readonly admission: Admission;
	readonly log: AccessLog | undefined;
	readonly tell: (text: string) => void;
	readonly authority: () => Authority;
	readonly detached = new Set<Duplex>();
	readonly #tunnels: Tunnels;
	readonly #servers: Server[] = [];
	readonly #ports = new Set<number>();
	readonly #isSecret: boolean;
	#generation: Generation;
	#timer: NodeJS.Timeout | undefined;
	#renewals: {stop(): void} | undefined;
	#closing: Promise<void> | undefined;

	constructor(serving: ServingGatepass, settings: ProxySettings) {
		this.#generation = new Generation(serving);
		this.activity = settings.activity ?? new Activity();
		this.admission = new Admission(settings.secret === undefined ? undefined : new Secret(settings.secret));
		this.#isSecret = settings.secret !== undefined;
		this.log = settings.log;
		this.tell = settings.tell ?? (() => {});
		this.authority = settings.authority;
		this.#tunnels = new Tunnels(this);
	}

	get isClosing(): boolean {
		return this.#closing !== undefined;
	}

	get generation(): Generation {
		return this.#generation;
	}

	/**
	 * Listen where the configuration says.
	 *
	 * @returns where that is: `http://HOST:PORT` or `unix:PATH`.
	 * @throws {GatepassError} where the place is taken.
	 */
	async listen(settings: ServeSettings = this.#generation.settings): Promise<string> {
		const {listen, tls, allowLocalUsers} = settings;
		const scheme = tls === undefined ? 'http' : 'https';
		const hosts = new Set<string>();
		const listening: {hosts: Set<string> | undefined; scheme: 'http' | 'https'} = {hosts, scheme};
		const server = this.#createServer(listening, tls);
		const {place, isHandedOver} = await listenOn(server, listen);
		this.#servers.push(server);
		if (isHandedOver) {
			try {
				checkHandedOver(place, {isSecret: this.#isSecret, isTls: tls !== undefined, allowLocalUsers});
			} catch (error) {
				await this.close();
				throw error;
			}
		}
		if ('path' in place) {
			listening.hosts = undefined;
			this.#lookAfterRenewals();
			return `unix:${place.path}`;
		}
		const {host, port} = place;
		this.#ports.add(port);
		try {
			this.#checkWayOut(this.#generation);
		} catch (error) {
			await this.close();
			throw error;
		}
		this.#lookAfterRenewals();
		for (const name of namesOf(host, tls?.certificate)) hosts.add(authorityOf(name, port, scheme));
		return `${scheme}://${authorityOf(host, port, scheme)}`;
	}

	/**
	 * Listen on a port of 127.0.0.1 for programs of this user that cannot be given a secret: their user is looked up.
	 * The forward form only.
	 *
	 * @returns its port; `undefined` where the system does not tell whose a connection is.
	 */
	async listenForOwner(): Promise<number | undefined> {
		const uid = process.getuid?.();
		if (process.platform !== 'linux' || uid === undefined) return undefined;
		const server = this.#createServer({hosts: new Set(), scheme: 'http'}, undefined);
		server.prependListener('connection', (socket: Socket) => {
			if (ownerOf(socket) === uid) this.admission.know(socket);
			else socket.destroy();
		});
		await listenOn(server, {host: '127.0.0.1', port: 0}, {});
		this.#servers.push(server);
		const {port} = server.address() as AddressInfo;
		this.#ports.add(port);
		return port;
	}

	/**
	 * Take up a new configuration. Connections of clients stay; the old one finishes what it has begun.
	 *
	 * @throws {GatepassError} where its way out leads back here.
	 */
	replace(serving: ServingGatepass): void {
		const before = this.#generation;
		const next = new Generation(serving);
		this.#checkWayOut(next);
		this.#generation = next;
		this.#tunnels.forgetCertificates();
		this.activity.reloads += 1;
		this.activity.reloadFailure = undefined;
		this.#renewals?.stop();
		this.#renewals = undefined;
		this.#lookAfterRenewals();
		before.retire(this.#closing).catch(() => {});
	}

	isItself(hostname: string, port: number): boolean {
		return this.#ports.has(port) && (isLoopback(hostname) || hostname === '0.0.0.0' || hostname === '[::]');
	}

	/** Take no more connections, finish what is under way, and break off what takes longer than `grace` milliseconds. */
	close(grace = 0): Promise<void> {
		this.#closing ??= this.#close(grace);
		return this.#closing;
	}

	async #close(grace: number): Promise<void> {
		clearInterval(this.#timer);
		this.#renewals?.stop();
		const closed = this.#servers.map(server => new Promise<void>(resolve => server.close(() => resolve())));
		const endIdle = (): void => {
			for (const server of [...this.#servers, this.#tunnels]) server.closeIdleConnections();
		};
		endIdle();
		const done = Promise.all(closed);
		let timer: NodeJS.Timeout | undefined;
		const late = new Promise<void>(resolve => {
			timer = setTimeout(resolve, grace);
		});
		// Not before: what comes over connections that are still open is served, and they end with it.
		const isIdle = Promise.race([done, late]).then(() => this.#generation.retire(late));
		// Connections become idle one after the other.
		const sweep = setInterval(endIdle, 50);
		if (grace > 0) await Promise.race([late, Promise.all([done, isIdle])]);
		clearInterval(sweep);
		clearTimeout(timer);
		for (const socket of this.detached) socket.destroy();
		for (const server of this.#servers) server.closeAllConnections();
		await Promise.all([done, grace > 0 ? isIdle : this.#generation.retire(Promise.resolve())]);
		this.log?.flush();
	}

	#createServer(listening: Listening, tls: ServeSettings['tls']): Server {
		const server =
			tls === undefined
				? http.createServer(serverSettings)
				: (createHttpsServer({
						...serverSettings,
						cert: readFileSync(tls.certificate),
						key: readFileSync(tls.key),
						minVersion: 'TLSv1.2',
						ALPNProtocols: ['http/1.1'],
					}) as unknown as Server);
		const answer = (request: IncomingMessage, response: ServerResponse): void => {
			if (this.isClosing) response.shouldKeepAlive = false;
			try {
				if (isForProxy(request)) serveForward(this, request, response);
				else serveReverse(this, request, response, listening);
			} catch (error) {
				// One request that goes wrong must not end all others.
				this.tell(`a request could not be handled: ${(error as Error).stack}`);
				answerProblem(response, internal);
			}
		};
		server.on('request', answer);
		server.on('checkContinue', answer);
		server.on('checkExpectation', answer);
		server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
			this.#guard(socket, () => {
				if (isForProxy(request)) upgradeForward(this, request, socket, head);
				else upgradeReverse(this, request, socket, head, listening);
			});
		});
		server.on('connect', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
			this.#guard(socket, () => this.#tunnels.open(request, socket, head));
		});
		server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
			refuseConnection(socket, unparsed(error));
		});
		server.on('connection', (socket: Socket) => {
			this.activity.connections += 1;
			socket.once('close', () => {
				this.activity.connections -= 1;
			});
		});
		return server;
	}

	#guard(socket: Duplex, work: () => void): void {
		try {
			work();
		} catch (error) {
			this.tell(`a request could not be handled: ${(error as Error).stack}`);
			refuseConnection(socket, internal);
		}
	}

	/** A service may be started with the very variables that lead programs to it. */
	#checkWayOut(generation: Generation): void {
		const found = generation.findProxy((hostname, port) => this.isItself(hostname, port));
		if (found === undefined) return;
		throw new GatepassError({
			code: 'proxy-unusable',
			what: `The way out leads back to this proxy: ${found.source} is ${found.url.origin}`,
			hint: "Start the proxy without that variable, or set 'proxy: none' or another proxy in the configuration",
		});
	}

	/** A process without requests still warns and renews. */
	#lookAfterRenewals(): void {
		const {gatepass} = this.#generation;
		if (this.#generation.renewsCertificates) this.#renewals ??= gatepass.certificates.autoRenew({});
		this.#timer ??= setInterval(() => this.#look().catch(() => {}), lookEvery).unref();
	}

	async #look(): Promise<void> {
		const generation = this.#generation;
		generation.enter();
		try {
			const {gatepass} = generation;
			for (const {match, expiresAt} of await gatepass.status()) {
				const last = this.activity.lastUrls.get(match);
				if (last === undefined || expiresAt === undefined || expiresAt - Date.now() > renewWithin) continue;
				// What has a token for it renews it now, and not when somebody waits.
				await gatepass.authorize(last.url, {method: last.method}).catch(() => {});
			}
		} finally {
			generation.leave();
		}
	}
}

const internal: Problem = {
	status: 500,
	code: 'internal',
	detail: 'The proxy could not handle the request',
	hint: 'Its log says more; this is a fault of gatepass',
};

/** In the forward form the request names a server, also one of another kind. */
function isForProxy({url = ''}: IncomingMessage): boolean {
	return /^[a-z][a-z\d+.-]*:/i.test(url);
}

/** The names by which clients may call the proxy. */
function namesOf(host: string, certificateFile: string | undefined): string[] {
	const bracketed = host.includes(':') ? `[${host}]` : host;
	const names = [host];
	if (isLoopback(bracketed) || host === '0.0.0.0' || host === '::')
		names.push('localhost', '127.0.0.1', '::1');
	if (certificateFile !== undefined) {
		const {subjectAltName = ''} = new X509Certificate(readFileSync(certificateFile));
		names.push(...[...subjectAltName.matchAll(/(?:DNS|IP Address):([^,\s]+)/g)].map(([, name = '']) => name));
	}
	return names;
}

/** As `Host` has it: without the port where that is the scheme's own. */
function authorityOf(name: string, port: number, scheme: string): string {
	const bare = addressIn(name) ?? name;
	const host = bare.includes(':') ? `[${bare}]` : bare;
	return port === (scheme === 'https' ? 443 : 80) ? host.toLowerCase() : `${host}:${port}`.toLowerCase();
}
