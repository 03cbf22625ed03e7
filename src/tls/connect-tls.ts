/**
 * The one place where a TLS connection to a server is made and verified: for the agents below got and Node, for undici,
 * and inside tunnels.
 *
 * Verification belongs to the connection. What it takes is the trust store, and what a caller allowed the one request
 * for which the connection is made; nothing that an agent brings along decides anything here.
 */
import type {Duplex} from 'node:stream';
import {type ConnectionOptions, checkServerIdentity, type SecureContext, TLSSocket} from 'node:tls';
import {CertificateError} from '../errors.ts';
import type {CheckNames, TrustStore} from '../trust/trust-store.ts';
import {answerFromX509, certificatesOf, olderForm} from './peer-certificates.ts';

/** Called once: with an error, or with a connection. */
export type Created = (error: Error | null, socket?: Duplex) => void;

/** The options of one connection, as Node's agents have them. */
export interface RequestedConnection extends ConnectionOptions {
	/** The pool's name for this connection and the sessions of others like it. */
	readonly _agentKey?: string | undefined;
}

/** How a connection is made. */
export interface TlsSettings {
	readonly trust: TrustStore | undefined;
	readonly context: SecureContext;
	/** Begins the connection: Node's agent, which keeps sessions, or an agent of the caller's. */
	readonly connect: (options: ConnectionOptions, created: Created) => Duplex | null | undefined;
	/** Whether the code of somebody else begins it: then what came of it is looked at, too. */
	readonly isForeign?: boolean;
}

/** What Node keeps with a socket for as long as that lives, but belongs to one request alone. */
const ofRequest = [
	'headers',
	'auth',
	'agent',
	'signal',
	'pathname',
	'search',
	'hash',
	'href',
	'cert',
	'key',
	'pfx',
	'passphrase',
];

/**
 * Make a connection. It is returned where its handshake may still be going on, and handed to `created` where it is ready;
 * never both.
 */
export function connectTls(
	requested: RequestedConnection,
	{trust, context, connect, isForeign = false}: TlsSettings,
	created: Created,
): Duplex | null | undefined {
	const options: ConnectionOptions & {_agentKey?: string | undefined} = {
		...requested,
		secureContext: context,
		// What one request asks for holds for its connections; what the environment asks for would hold for all.
		rejectUnauthorized: requested.rejectUnauthorized ?? true,
	};
	for (const name of ofRequest) delete (options as Record<string, unknown>)[name];
	if (isForeign) return connectByOther(options, trust, connect, created);
	if (trust === undefined) return watched(connect(options, created));
	const checkNames = checkOf(requested, trust);
	const {_agentKey: name} = requested;
	if (!trust.checksChains) {
		// A session of before would vouch for a server whose CA is gone.
		const _agentKey = name === undefined ? undefined : `${name}:${trust.version()}`;
		return watched(connect({...options, _agentKey} as ConnectionOptions, created));
	}
	const isVerified = options.rejectUnauthorized !== false;
	const waits = trust.fetchesLists && isVerified;
	let socket: Duplex | null | undefined;
	const verified = {
		...options,
		// Without a name for it, no session is kept: on one that is resumed, nothing would be checked.
		_agentKey: undefined,
		checkServerIdentity: (...[host, peer]: Parameters<typeof checkServerIdentity>) => {
			const problem = checkNames(host, peer);
			if (problem !== undefined || waits) return problem;
			const [leaf, ...others] = certificatesOf(socket as TLSSocket);
			return leaf === undefined ? undefined : trust.checkServer(hostOf(options), leaf, others);
		},
	};
	socket = watched(connect(verified as ConnectionOptions, created));
	if (!waits || !(socket instanceof TLSSocket)) return socket;
	whenChecked(socket, created, () => checkChain(socket as TLSSocket, trust, hostOf(options)));
	return undefined;
}

/** An agent of the caller's may heed none of the options, so the connection is used only once it is known to be right. */
function connectByOther(
	options: RequestedConnection,
	trust: TrustStore | undefined,
	connect: TlsSettings['connect'],
	created: Created,
): undefined {
	const host = hostOf(options);
	const given = {...options, _agentKey: undefined, ...(trust?.checksChains && {session: undefined})};
	let isMade = false;
	const made = (error: Error | null, socket?: Duplex): void => {
		if (isMade) return;
		isMade = true;
		if (error !== null || !socket) {
			created(error ?? noTls(host));
			return;
		}
		if (!(socket instanceof TLSSocket)) {
			socket.on('error', () => {}).destroy();
			created(noTls(host));
			return;
		}
		watched(socket);
		whenChecked(socket, created, async () => {
			if (options.rejectUnauthorized === false) return;
			const {servername, host: name = ''} = options;
			const checkNames = checkOf(options, trust);
			if (!socket.authorized) throw unverified(host, socket.authorizationError);
			const problem = checkNames(
				servername !== undefined && servername !== '' ? servername : name,
				olderForm(certificatesOf(socket), true),
			);
			if (problem !== undefined) throw problem;
			if (trust !== undefined) await checkChain(socket, trust, host, true);
		});
	};
	const socket = connect(given as ConnectionOptions, made);
	if (socket) made(null, socket);
	return undefined;
}

/** got names Node's own check where its caller names none. */
function checkOf({checkServerIdentity: own}: RequestedConnection, trust: TrustStore | undefined): CheckNames {
	if (own !== undefined && own !== checkServerIdentity) return own;
	return trust?.checkNames ?? checkServerIdentity;
}

function watched(socket: Duplex | null | undefined): Duplex | null | undefined {
	if (socket instanceof TLSSocket) answerFromX509(socket);
	return socket;
}

async function checkChain(
	socket: TLSSocket,
	trust: TrustStore,
	host: string,
	isForeign = false,
): Promise<void> {
	const [leaf, ...others] = certificatesOf(socket);
	if (leaf === undefined) return;
	if (trust.fetchesLists) await trust.prepare(leaf, others);
	const problem = trust.checksChains ? trust.checkServer(host, leaf, others) : undefined;
	if (problem !== undefined) throw problem;
	// Whose CA certificates the other's code has used, nobody knows.
	if (isForeign && trust.verifyChain([leaf, ...others]).end !== 'complete') throw unverified(host, undefined);
}

/** Hand a connection over once its handshake is done and `check` has nothing against it. */
function whenChecked(socket: TLSSocket, created: Created, check: () => Promise<void>): void {
	const onError = (error: Error): void => created(error);
	const begin = async (): Promise<void> => {
		await check();
		if (socket.destroyed) throw new Error('The server closed the connection while it was verified');
		socket.removeListener('error', onError);
		created(null, socket);
	};
	const onReady = (): void => {
		begin().catch((error: Error) => {
			socket.removeListener('error', onError);
			// Nobody else listens yet, and the server may have something to say at the end.
			socket.on('error', () => {});
			socket.destroy();
			created(error);
		});
	};
	socket.once('error', onError);
	// An agent of the caller's may hand over one that is ready.
	if (
		!socket.connecting &&
		socket.getProtocol() !== null &&
		(socket.authorized || socket.authorizationError)
	) {
		onReady();
	} else {
		socket.once('secureConnect', onReady);
	}
}

function noTls(host: string): Error {
	return new CertificateError({
		code: 'agent-unsuitable',
		what: `The agent given opens no TLS connection to ${host}, so that the server cannot be verified`,
		hint: "Leave the agent out, or set 'proxy' in the configuration",
	});
}

function unverified(host: string, reason: unknown): Error {
	const why =
		reason === undefined || reason === null ? '' : ` (${String((reason as Error).message ?? reason)})`;
	return new CertificateError({
		code: 'server-certificate-unverified',
		what: `${host} cannot be trusted: the agent given has let a certificate pass that is not verified${why}`,
		hint: "Add the server's CA under 'trust', and leave verification to gatepass",
	});
}

/** Host and port, the port only where it is not that of https: as in a URL. */
function hostOf({host = 'the server', port}: {host?: string | undefined; port?: unknown}): string {
	const name = host.includes(':') ? `[${host}]` : host;
	return port === undefined || Number(port) === 443 ? name : `${name}:${Number(port)}`;
}
