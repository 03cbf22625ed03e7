/** What a proxy says in the body of a refusal to open a tunnel: Node hands the connection over and reads none. */
import type {IncomingHttpHeaders} from 'node:http';
import type {Duplex} from 'node:stream';

interface Refusal {
	readonly statusCode?: number | undefined;
	readonly headers: IncomingHttpHeaders;
}

/**
 * The body of a refusal, as far as its length is said. Nothing else comes over the connection, which serves for no more.
 *
 * @param most bytes, and milliseconds for them.
 */
export async function readRefusal(
	{statusCode = 0, headers}: Refusal,
	{socket, head = Buffer.alloc(0)}: {socket: Duplex; head?: Buffer},
	most: number,
	timeout: number,
): Promise<Uint8Array | undefined> {
	const length = Number(headers['content-length']);
	// RFC 9110 section 9.3.6: with success, the tunnel begins at once.
	if (statusCode < 300 || !(length <= most)) return undefined;
	const chunks: Uint8Array[] = [head];
	let received = head.byteLength;
	const timer = setTimeout(() => socket.destroy(), timeout);
	try {
		if (received < length) {
			for await (const chunk of socket) {
				chunks.push(chunk);
				received += chunk.byteLength;
				if (received >= length) break;
			}
		}
	} catch {
		return undefined;
	} finally {
		clearTimeout(timer);
	}
	return received >= length ? Buffer.concat(chunks).subarray(0, length) : undefined;
}
