/** Asks one name server, and has it change a zone (RFC 2136), over TCP: nothing is cut off there, and nobody is forged. */
import {randomInt} from 'node:crypto';
import {connect} from 'node:net';
import {GatepassError} from '../../../errors.ts';
import {
	decodeMessage,
	encodeRequest,
	type Message,
	opcodes,
	type ResourceRecord,
	responseCodeName,
	types,
} from './message.ts';
import {readSignature, type SharedKey, sign} from './tsig.ts';

export interface NameServerSettings {
	/** A name or an address. */
	readonly server: string;
	/** Default: 53. */
	readonly port?: number | undefined;
	readonly key: SharedKey;
	/** Milliseconds for one question. Default: 15,000. */
	readonly timeout?: number | undefined;
}

const badTime = 18;

export class NameServer {
	/** For messages. */
	readonly place: string;
	readonly #settings: NameServerSettings;

	constructor(settings: NameServerSettings) {
		const {server, port = 53} = settings;
		this.#settings = settings;
		this.place = port === 53 ? server : `${server}, port ${port}`;
	}

	/** What it says of a name, whatever that is; not signed. */
	async query(name: string, type: number, signal?: AbortSignal): Promise<Message> {
		return this.#exchange(encodeRequest(randomInt(0x10000), opcodes.query, {name, type}), signal);
	}

	/**
	 * Have it change a zone.
	 *
	 * @throws {GatepassError} where it refuses, saying why: the key, its rights, or the clock.
	 */
	async update(zone: string, changes: readonly ResourceRecord[], signal?: AbortSignal): Promise<void> {
		const {key} = this.#settings;
		const request = encodeRequest(randomInt(0x10000), opcodes.update, {name: zone, type: types.SOA}, changes);
		const now = Math.floor(Date.now() / 1000);
		const {bytes, mac} = sign(request, key, now);
		const answer = await this.#exchange(bytes, signal);
		const signature = readSignature(answer, key, mac);
		if (signature?.error === badTime) throw this.#wrongClock(now, signature.serverTime);
		if (answer.code !== 0 || (signature !== undefined && signature.error !== 0)) {
			throw this.#refused(zone, responseCodeName(signature?.error || answer.code));
		}
		if (signature?.isRight === true) return;
		throw new GatepassError({
			code: 'dns-update-failed',
			what: `The answer of the name server ${this.place} is not signed by the key ${key.name}`,
			hint: 'Somebody else may have given it. Check the address of the server',
		});
	}

	#refused(zone: string, reason: string): GatepassError {
		const {name} = this.#settings.key;
		const hints: Readonly<Record<string, string>> = {
			BADKEY: `It has no key of the name ${name} with this algorithm: check both against its own configuration`,
			BADSIG: `Its key ${name} has another secret`,
			REFUSED: `Let the key ${name} change TXT records there ('update-policy' in BIND)`,
			NOTAUTH: `It is not in charge of ${zone}, or does not know the key ${name}`,
		};
		return new GatepassError({
			code: 'dns-update-failed',
			what: `The name server ${this.place} refused to change ${zone} (${reason})`,
			hint: hints[reason] ?? 'Its own log says why',
		});
	}

	#wrongClock(now: number, serverTime: number | undefined): GatepassError {
		const difference = serverTime === undefined ? 0 : now - serverTime;
		const by = serverTime === undefined ? '' : `, by ${Math.abs(difference)} seconds`;
		const [code, word] =
			difference < 0
				? (['clock-behind-server', 'behind'] as const)
				: (['clock-ahead-of-server', 'ahead of'] as const);
		return new GatepassError({
			code: serverTime === undefined ? 'clock-wrong' : code,
			what: `The name server ${this.place} refused the update (BADTIME), since this machine's clock is ${serverTime === undefined ? 'not as' : word} its own${by}`,
			hint: 'Set the clock of the one that is wrong, such as by NTP',
		});
	}

	async #exchange(request: Buffer, signal: AbortSignal | undefined): Promise<Message> {
		const {server, port = 53, timeout = 15_000} = this.#settings;
		const limit = AbortSignal.timeout(timeout);
		const ended = signal === undefined ? limit : AbortSignal.any([signal, limit]);
		try {
			const answer = decodeMessage(await roundTrip(server, port, request, ended));
			if (answer.isResponse && answer.id === request.readUInt16BE(0)) return answer;
			throw new Error('it answered another question');
		} catch (error) {
			signal?.throwIfAborted();
			const reason = limit.aborted ? `no answer within ${timeout} ms` : (error as Error).message;
			throw new GatepassError(
				{
					code: 'dns-update-failed',
					what: `The name server ${this.place} cannot be used: ${reason}`,
					hint: 'Check its address, and that it takes questions over TCP from here',
				},
				{cause: error},
			);
		}
	}
}

/** One message there and one back, each with its length before it (RFC 7766 section 8). */
function roundTrip(host: string, port: number, request: Buffer, signal: AbortSignal): Promise<Buffer> {
	return new Promise((resolve, reject) => {
		const socket = connect({host, port});
		let received = Buffer.alloc(0);
		const abort = (): void => {
			socket.destroy(new Error('aborted'));
		};
		signal.addEventListener('abort', abort, {once: true});
		if (signal.aborted) abort();
		socket.on('connect', () => {
			const length = Buffer.alloc(2);
			length.writeUInt16BE(request.length);
			socket.write(Buffer.concat([length, request]));
		});
		socket.on('data', chunk => {
			received = Buffer.concat([received, chunk]);
			if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
			resolve(received.subarray(2, 2 + received.readUInt16BE(0)));
			socket.destroy();
		});
		socket.on('error', reject);
		socket.on('close', () => {
			signal.removeEventListener('abort', abort);
			reject(new Error('it closed the connection without an answer'));
		});
	});
}
