/** Opens the place where clients connect: a port, a Unix socket for its owner alone, or what systemd hands over. */
import {existsSync, lstatSync, readFileSync, readlinkSync, rmSync} from 'node:fs';
import {type AddressInfo, connect, type Server} from 'node:net';
import {dirname} from 'node:path';
import process from 'node:process';
import type {ListenAddress} from '../config/serve-settings.ts';
import {isOnThisMachine} from '../config/validate-serve.ts';
import {GatepassError} from '../errors.ts';

/** The first descriptor that systemd hands over (sd_listen_fds). */
const firstHandedOver = 3;

/**
 * Listen. Resolves when clients can connect, with the place: where systemd hands over a socket, that is the place of it,
 * whatever was asked for.
 *
 * @throws {GatepassError} where the place is taken, or may not be used.
 */
export async function listenOn(
	server: Server,
	address: ListenAddress,
	env = process.env,
): Promise<{readonly place: ListenAddress; readonly isHandedOver: boolean}> {
	if (env.LISTEN_FDS !== undefined && env.LISTEN_PID === String(process.pid)) {
		if (env.LISTEN_FDS !== '1') {
			throw new GatepassError({
				code: 'listen-address-unavailable',
				what: `systemd hands over ${env.LISTEN_FDS} sockets, and the proxy listens on one`,
				hint: 'Keep one ListenStream= in the socket unit',
			});
		}
		await begin(server, () => server.listen({fd: firstHandedOver}));
		return {place: placeOf(server), isHandedOver: true};
	}
	if ('host' in address) {
		const {host, port} = address;
		await begin(server, () => server.listen({host, port}), `${host}:${port}`);
		return {place: {host, port: (server.address() as AddressInfo).port}, isHandedOver: false};
	}
	await removeStale(address.path);
	await begin(
		server,
		() => {
			// From its first moment it is nobody else's: a mode that is set afterwards would come too late.
			const mask = process.umask(0o177);
			try {
				server.listen({path: address.path});
			} finally {
				process.umask(mask);
			}
		},
		address.path,
	);
	return {place: address, isHandedOver: false};
}

/** Where a socket listens that somebody else has opened. */
function placeOf(server: Server): ListenAddress {
	const address = server.address();
	if (address === null || typeof address === 'string') return {path: pathOfSocket(firstHandedOver) ?? ''};
	return {host: address.address, port: address.port};
}

/** Node does not ask for the path of a Unix socket that it has not opened; Linux lists them. */
function pathOfSocket(descriptor: number): string | undefined {
	try {
		const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${descriptor}`)) ?? [];
		for (const line of readFileSync('/proc/net/unix', 'utf8').split('\n')) {
			const [, own, path] = /^(?:\S+ +){6}(\d+) (\/.*)$/.exec(line.trim()) ?? [];
			if (own !== undefined && own === inode) return path;
		}
	} catch {
		// It has none that can be found.
	}
	return undefined;
}

/**
 * A socket that is handed over is where its unit says, and has the mode that its unit says: by what the configuration
 * says, nobody knows who can connect.
 *
 * @throws {GatepassError} where others could use the proxy who may not.
 */
export function checkHandedOver(
	place: ListenAddress,
	{isSecret, isTls, allowLocalUsers}: {isSecret: boolean; isTls: boolean; allowLocalUsers: boolean},
): void {
	const refuse = (what: string, hint: string): never => {
		throw new GatepassError({code: 'listen-address-unavailable', what, hint});
	};
	if ('host' in place) {
		const shown = `${place.host.includes(':') ? `[${place.host}]` : place.host}:${place.port}`;
		if (!isOnThisMachine(place.host) && !(isSecret && isTls)) {
			refuse(
				`The socket of systemd listens at ${shown}, beyond this machine, and there is no ${isTls ? 'secret' : 'TLS'}`,
				"Write ListenStream=127.0.0.1:PORT, with the address, or set 'serve.tls' and a secret",
			);
		}
		if (!isSecret && !allowLocalUsers) {
			refuse(
				`The socket of systemd listens at ${shown}, where every local user could use the credentials`,
				"Set 'serve.listen' to that address, so that a secret is asked for, or ListenStream= to the Unix socket",
			);
		}
		return;
	}
	if (isSecret || allowLocalUsers || isOwners(place.path)) return;
	refuse(
		`The socket of systemd, ${place.path || 'which has no path'}, is not for its owner alone, and no secret is asked for`,
		'Set SocketMode=0600 in the socket unit, and SocketUser= to the user of the service; or set GATEPASS_SECRET',
	);
}

function isOwners(path: string): boolean {
	try {
		const {mode, uid} = lstatSync(path);
		return (mode & 0o077) === 0 && uid === process.getuid?.();
	} catch {
		return false;
	}
}

function begin(server: Server, listen: () => void, place = 'the socket of systemd'): Promise<void> {
	return new Promise((resolve, reject) => {
		const fail = (error: NodeJS.ErrnoException): void => reject(explained(error, place));
		server.once('error', fail);
		server.once('listening', () => {
			server.off('error', fail);
			resolve();
		});
		listen();
	});
}

function explained(error: NodeJS.ErrnoException, place: string): GatepassError {
	const why: Readonly<Record<string, readonly [what: string, hint: string]>> = {
		EADDRINUSE: [
			`${place} is taken by another program`,
			"Stop that one, or set 'serve.listen' to another place",
		],
		EACCES: [
			`${place} may not be listened on`,
			'Choose a port from 1024 on, or a folder of your own for the socket',
		],
		EADDRNOTAVAIL: [
			`${place} is no address of this machine`,
			"Set 'serve.listen' to one that is, such as 127.0.0.1:8642",
		],
		ENOENT: [`The folder of ${place} is not there`, 'Make it, for its owner alone'],
	};
	// For the system both are one where it is a Unix socket.
	const code =
		error.code === 'EACCES' && place.startsWith('/') && !existsSync(dirname(place)) ? 'ENOENT' : error.code;
	const [what, hint] = why[code ?? ''] ?? [
		`The proxy cannot listen on ${place} (${error.code})`,
		"Set 'serve.listen' to another place",
	];
	return new GatepassError({code: 'listen-address-unavailable', what, hint}, {cause: error});
}

/** A socket of a proxy that was killed is in the way; one that somebody listens on is somebody's. */
async function removeStale(path: string): Promise<void> {
	let isSocket: boolean;
	try {
		isSocket = lstatSync(path).isSocket();
	} catch {
		return;
	}
	if (!isSocket) {
		throw new GatepassError({
			code: 'listen-address-unavailable',
			what: `${path} is there and no socket`,
			hint: `Take it away, or set 'serve.listen' to another place`,
		});
	}
	const code = await new Promise<string | undefined>(resolve => {
		const probe = connect(path);
		probe.once('connect', () => {
			probe.destroy();
			resolve(undefined);
		});
		probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
	});
	if (code === 'ECONNREFUSED') rmSync(path, {force: true});
}
