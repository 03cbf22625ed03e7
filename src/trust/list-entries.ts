/**
 * The entries of a revocation list (RFC 5280 section 5.1.2.6), looked through where they lie: there may be millions, and
 * an object for each would take seconds and hundreds of megabytes.
 */
import type {X509Certificate} from 'node:crypto';
import {childrenOf, type DerElement, derTag, readElement} from '../x509/der.ts';

/** Answers are kept for so many certificates. */
const mostAnswers = 10_000;

export class ListEntries {
	readonly #bytes: Buffer;
	/** Where they begin and end; the same place where there are none. */
	readonly #begin: number;
	readonly #end: number;
	/** What has been looked through, and found to be whole. */
	#checked: number;
	#count = 0;
	readonly #answers = new Map<string, boolean>();

	/** @param list absent: the list names nobody. */
	constructor(bytes: Buffer, list: DerElement | undefined) {
		this.#bytes = bytes;
		this.#begin = list?.begin ?? 0;
		this.#end = list?.end ?? 0;
		this.#checked = this.#begin;
	}

	/**
	 * Look whether the next `most` entries are whole.
	 *
	 * @returns whether all have been looked at.
	 * @throws {RangeError} where one is damaged.
	 */
	check(most = Number.POSITIVE_INFINITY): boolean {
		const cursor = new EntryCursor(this.#bytes, this.#checked, this.#end);
		for (let left = most; left > 0 && cursor.next(); left--) this.#count += 1;
		this.#checked = cursor.at;
		return this.#checked >= this.#end;
	}

	/** How many there are. Throws likewise. */
	get size(): number {
		this.check();
		return this.#count;
	}

	/** Whether one of them names the certificate. Throws likewise. */
	name(certificate: X509Certificate): boolean {
		const serial = serialOf(certificate);
		const key = serial.toString('latin1');
		let answer = this.#answers.get(key);
		if (answer === undefined) {
			answer = this.#search(serial);
			if (this.#answers.size >= mostAnswers) this.#answers.clear();
			this.#answers.set(key, answer);
		}
		return answer;
	}

	#search(serial: Buffer): boolean {
		// A look for the bytes alone takes a hundredth of the time, and rules most out.
		const entries = this.#bytes.subarray(this.#begin, this.#end);
		if (serial.length === 0 || !entries.includes(serial)) return false;
		const cursor = new EntryCursor(this.#bytes, this.#begin, this.#end);
		while (cursor.next()) {
			const {serialBegin, serialEnd} = cursor;
			if (
				serialEnd - serialBegin === serial.length &&
				serial.compare(this.#bytes, serialBegin, serialEnd) === 0
			) {
				return true;
			}
		}
		return false;
	}
}

/** Goes from entry to entry, and makes nothing. */
class EntryCursor {
	at: number;
	serialBegin = 0;
	serialEnd = 0;
	readonly #bytes: Buffer;
	readonly #end: number;

	constructor(bytes: Buffer, at: number, end: number) {
		this.#bytes = bytes;
		this.at = at;
		this.#end = end;
	}

	/** `false`: there are no more. */
	next(): boolean {
		if (this.at >= this.#end) return false;
		const entry = this.#header(this.at, derTag.sequence, this.#end);
		const entryEnd = this.#contentEnd;
		this.serialBegin = this.#header(entry, derTag.integer, entryEnd);
		this.serialEnd = this.#contentEnd;
		this.at = entryEnd;
		return true;
	}

	#contentEnd = 0;

	/** Where the content of the element at `start` begins; sets where it ends. */
	#header(start: number, tag: number, limit: number): number {
		const bytes = this.#bytes;
		let length = bytes[start + 1] ?? 0;
		let begin = start + 2;
		if (bytes[start] !== tag || begin > limit || length === 0x80) throw new RangeError('damaged entry');
		if (length > 0x80) {
			const size = length - 0x80;
			if (size > 4 || begin + size > limit) throw new RangeError('damaged entry');
			length = bytes.readUIntBE(begin, size);
			begin += size;
		}
		this.#contentEnd = begin + length;
		if (this.#contentEnd > limit) throw new RangeError('damaged entry');
		return begin;
	}
}

const versionTag = 0xa0;

/** RFC 5280 section 4.1: after the version, which may be left out. The very bytes of it. */
function serialOf({raw}: X509Certificate): Buffer {
	const certificate = readElement(raw);
	const content = certificate && childrenOf(raw, certificate)[0];
	const fields = content === undefined ? [] : childrenOf(raw, content);
	const field = fields[0]?.tag === versionTag ? fields[1] : fields[0];
	return field === undefined ? Buffer.alloc(0) : raw.subarray(field.begin, field.end);
}
