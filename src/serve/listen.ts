/** Opens the place where clients connect: a port, a Unix socket for its owner alone, or what systemd hands over. */
import {lstatSync, rmSync} from 'node:fs';
import {connect, type Server} from 'node:net';
import process from 'node:process';
import type {ListenAddress} from '../config/serve-settings.ts';
import {GatepassError} from '../errors.ts';

/** The first descriptor that systemd hands over (sd_listen_fds). */
const firstHandedOver = 3;

/**
 * Listen. Resolves when clients can connect.
 *
 * @throws {GatepassError} where the place is taken, or may not be used.
 */
export async function listenOn(server: Server, address: ListenAddress, env = process.env): Promise<void> {
	if (env.LISTEN_FDS !== undefined && env.LISTEN_PID === String(process.pid)) {
		if (env.LISTEN_FDS !== '1') {
			throw new GatepassError({
				code: 'listen-address-unavailable',
				what: `systemd hands over ${env.LISTEN_FDS} sockets, and the proxy listens on one`,
				hint: 'Keep one ListenStream= in the socket unit',
			});
		}
		await begin(server, () => server.listen({fd: firstHandedOver}));
		return;
	}
	if ('host' in address) {
		const {host, port} = address;
		await begin(server, () => server.listen({host, port}), `${host}:${port}`);
		return;
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
	const [what, hint] = why[error.code ?? ''] ?? [
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
