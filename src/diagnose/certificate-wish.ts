/**
 * What a server asks of its clients: whether it wants a certificate, and of which CAs (RFC 8446 section 4.3.2, RFC 5246
 * section 7.4.4). Node does not tell, so it is read off a connection of its own, which shows no certificate and sends no
 * request: in TLS 1.2 that part of the handshake is not encrypted, in TLS 1.3 it is with a key that Node hands out
 * (`keylog`).
 */
import {createDecipheriv, createHmac} from 'node:crypto';
import {connect as connectTcp, isIP} from 'node:net';
import {addAbortSignal, Duplex} from 'node:stream';
import {connect as connectTls, type TLSSocket} from 'node:tls';
import {nameOf} from './distinguished-name.ts';
import {placeOf} from './stage.ts';

export interface CertificateWish {
	/** The names of the CAs whose certificates it accepts, as RFC 2253 writes them; none: it does not say. */
	readonly authorities: readonly string[];
}

/** Milliseconds. */
const patience = 5000;
/** Bytes that a server may send in its handshake. */
const mostBytes = 1024 * 1024;

/** RFC 8446 section B.3. */
const handshake = {serverHello: 2, certificateRequest: 13, finished: 20} as const;
const recordType = {handshake: 22, applicationData: 23} as const;
const authoritiesExtension = 47;

/** `undefined`: it asks for none, or that could not be seen. `tunnel`: the way there, where it is not direct. */
export async function askedOfClients(
	url: URL,
	signal: AbortSignal,
	tunnel?: Duplex,
): Promise<CertificateWish | undefined> {
	const {host, port} = placeOf(url);
	const limit = AbortSignal.any([signal, AbortSignal.timeout(patience)]);
	const raw = tunnel ?? connectTcp({host, port, signal: limit});
	if (tunnel !== undefined) addAbortSignal(limit, tunnel);
	const tap = new Tap(raw);
	let secret: Buffer | undefined;
	try {
		await new Promise<void>(resolve => {
			const done = (): void => resolve();
			const tls: TLSSocket = connectTls({
				socket: tap,
				servername: isIP(host) === 0 ? host : '',
				// Nothing is sent over it, and nothing that it says is believed.
				rejectUnauthorized: false,
				ALPNProtocols: ['http/1.1'],
			});
			tls.on('keylog', (line: Buffer) => {
				const found = /^SERVER_HANDSHAKE_TRAFFIC_SECRET \w+ (\w+)/.exec(line.toString('latin1'))?.[1];
				if (found !== undefined) secret = Buffer.from(found, 'hex');
			});
			tls.once('secureConnect', done).once('error', done).once('close', done);
			raw.once('error', done).once('close', done);
		});
		return readWish(Buffer.concat(tap.received), secret);
	} catch {
		return undefined;
	} finally {
		raw.destroy();
	}
}

/** Passes on what comes and goes, and keeps what comes. */
class Tap extends Duplex {
	readonly received: Buffer[] = [];
	readonly #raw: Duplex;
	#size = 0;

	constructor(raw: Duplex) {
		super();
		this.#raw = raw;
		raw.on('data', (chunk: Buffer) => {
			this.#size += chunk.length;
			if (this.#size <= mostBytes) this.received.push(chunk);
			this.push(chunk);
		});
		raw.once('end', () => this.push(null));
		raw.once('error', error => this.destroy(error));
		this.on('error', () => {});
	}

	override _read(): void {}

	override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
		this.#raw.write(chunk, done);
	}

	override _final(done: () => void): void {
		this.#raw.end(done);
	}

	override _destroy(error: Error | null, done: (error: Error | null) => void): void {
		this.#raw.destroy();
		done(error);
	}
}

function readWish(bytes: Buffer, secret: Buffer | undefined): CertificateWish | undefined {
	const messages = new Messages();
	let decrypt: ((record: Buffer, header: Buffer) => Buffer) | undefined;
	for (const {type, header, content} of recordsIn(bytes)) {
		if (type === recordType.handshake && decrypt === undefined) messages.add(content);
		if (type === recordType.applicationData && secret !== undefined) {
			decrypt ??= decrypterFor(secret, messages.cipher());
			const inner = withoutPadding(decrypt(content, header));
			if (inner.type === recordType.handshake) messages.add(inner.content);
		}
		const found = messages.take(handshake.certificateRequest);
		if (found !== undefined) return {authorities: authoritiesIn(found, secret !== undefined)};
		// What comes after is under other keys.
		if (secret !== undefined && messages.take(handshake.finished) !== undefined) return undefined;
	}
	return undefined;
}

/** Handshake messages, which may be in one record or go over several. */
class Messages {
	#rest = Buffer.alloc(0);
	readonly #known = new Map<number, Buffer>();

	add(content: Buffer): void {
		this.#rest = Buffer.concat([this.#rest, content]);
		while (this.#rest.length >= 4) {
			const length = this.#rest.readUIntBE(1, 3);
			if (this.#rest.length < 4 + length) return;
			this.#known.set(this.#rest[0] as number, this.#rest.subarray(4, 4 + length));
			this.#rest = this.#rest.subarray(4 + length);
		}
	}

	take(type: number): Buffer | undefined {
		return this.#known.get(type);
	}

	/** The cipher suite that the server chose. */
	cipher(): number {
		const hello = this.#known.get(handshake.serverHello) as Buffer;
		return hello.readUInt16BE(35 + (hello[34] as number));
	}
}

interface TlsRecord {
	readonly type: number;
	readonly header: Buffer;
	readonly content: Buffer;
}

function* recordsIn(bytes: Buffer): Generator<TlsRecord> {
	for (let at = 0; at + 5 <= bytes.length; ) {
		const end = at + 5 + bytes.readUInt16BE(at + 3);
		if (end > bytes.length) return;
		yield {
			type: bytes[at] as number,
			header: bytes.subarray(at, at + 5),
			content: bytes.subarray(at + 5, end),
		};
		at = end;
	}
}

/** RFC 8446 section B.4. */
const ciphers = new Map([
	[0x1301, {name: 'aes-128-gcm', hash: 'sha256', keyLength: 16}],
	[0x1302, {name: 'aes-256-gcm', hash: 'sha384', keyLength: 32}],
	[0x1303, {name: 'chacha20-poly1305', hash: 'sha256', keyLength: 32}],
] as const);
const tagLength = 16;
const nonceLength = 12;

/** RFC 8446 sections 5.2, 5.3 and 7.3. */
function decrypterFor(secret: Buffer, suite: number): (record: Buffer, header: Buffer) => Buffer {
	const cipher = ciphers.get(suite as 0x1301);
	if (cipher === undefined) throw new Error('No cipher of TLS 1.3 that is known');
	const {name, hash, keyLength} = cipher;
	const key = expand(hash, secret, 'key', keyLength);
	const iv = expand(hash, secret, 'iv', nonceLength);
	let number = 0n;
	return (record, header) => {
		const nonce = Buffer.from(iv);
		nonce.writeBigUInt64BE(nonce.readBigUInt64BE(4) ^ number, 4);
		number += 1n;
		const decipher = createDecipheriv(name as 'aes-128-gcm', key, nonce, {authTagLength: tagLength});
		decipher.setAAD(header);
		decipher.setAuthTag(record.subarray(-tagLength));
		return Buffer.concat([decipher.update(record.subarray(0, -tagLength)), decipher.final()]);
	};
}

/** HKDF-Expand-Label, RFC 8446 section 7.1, with an empty context: one block is enough for a key. */
function expand(hash: 'sha256' | 'sha384', secret: Buffer, label: string, length: number): Buffer {
	const name = Buffer.from(`tls13 ${label}`);
	const info = Buffer.from([length >> 8, length & 0xff, name.length, ...name, 0, 1]);
	return createHmac(hash, secret).update(info).digest().subarray(0, length);
}

/** RFC 8446 section 5.4: the type stands behind the content, before zeros. */
function withoutPadding(plain: Buffer): {type: number; content: Buffer} {
	let end = plain.length - 1;
	while (end > 0 && plain[end] === 0) end--;
	return {type: plain[end] as number, content: plain.subarray(0, end)};
}

function authoritiesIn(request: Buffer, isTls13: boolean): string[] {
	return isTls13 ? authoritiesOfTls13(request) : authoritiesOfTls12(request);
}

/** A context, then extensions; that of the authorities alone counts here. */
function authoritiesOfTls13(request: Buffer): string[] {
	let at = 1 + (request[0] as number) + 2;
	while (at + 4 <= request.length) {
		const [type, length] = [request.readUInt16BE(at), request.readUInt16BE(at + 2)];
		if (type === authoritiesExtension) return namesIn(request.subarray(at + 4 + 2, at + 4 + length));
		at += 4 + length;
	}
	return [];
}

/** Kinds of certificates, then algorithms of signatures, then names. */
function authoritiesOfTls12(request: Buffer): string[] {
	let at = 1 + (request[0] as number);
	at += 2 + request.readUInt16BE(at);
	return namesIn(request.subarray(at + 2));
}

function namesIn(list: Buffer): string[] {
	const names: string[] = [];
	for (let at = 0; at + 2 <= list.length; ) {
		const end = at + 2 + list.readUInt16BE(at);
		names.push(nameOf(list.subarray(at + 2, end)));
		at = end;
	}
	return names;
}
