/** How the proxy speaks HTTP with its clients: by Node's strict parser, with no end to how long a body may take. */
import type {IncomingMessage, ServerOptions} from 'node:http';

export const serverSettings = {
	insecureHTTPParser: false,
	// Looked at in request-target.ts: Node would answer without a word of why.
	requireHostHeader: false,
	// A large upload, or a slow one, is no attack: clients have shown the secret.
	requestTimeout: 0,
	headersTimeout: 60_000,
	keepAliveTimeout: 65_000,
	noDelay: true,
	maxHeaderSize: 64 * 1024,
	// What asks for HTTP/2 in passing, as Java's client does, is answered in HTTP/1.1.
	shouldUpgradeCallback: ({headers}: IncomingMessage) => /^websocket$/i.test(headers.upgrade ?? ''),
} as ServerOptions;
