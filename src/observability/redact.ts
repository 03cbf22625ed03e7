/**
 * Takes secrets out of texts that somebody else wrote: a server's description of an error, a driver's message, what a
 * schema says of a value. Each may repeat what it was given, in any encoding, in part, or cut off.
 *
 * The text is decoded, as often as it can be, and looked through at each stage for pieces of the secrets: so it does not
 * matter how the secret is written, nor which part of it. The work grows with the length of the text alone.
 */
import {decodeDumps} from './decode-dumps.ts';
import {type DecodedText, decodeOnce, plainText} from './decode-text.ts';

/** Fewer characters tell nothing, and would be found in every sentence. */
const shortestSecret = 4;
/** So many characters in a row of a secret are hidden. Of a short secret, half of it is. */
const longestPiece = 8;
/** Whoever packs a secret in more layers than these is no server that repeats, but one that has it anyway. */
const mostLayers = 4;
/** Characters that are looked at: what is shown in the end is less. */
const longestText = 4096;
/** An encoded piece, at the place where a text is cut, has no more characters. */
const cutEdge = 6 * longestPiece;

const mark = '…';

/** Hides the same secrets in any number of texts. */
export class Redactor {
	readonly #secrets: readonly string[];
	/** All pieces to be hidden, by their length. Made for the first text: most requests end without one. */
	#pieces: ReadonlyMap<number, ReadonlySet<string>> | undefined;

	constructor(secrets: Iterable<string>) {
		this.#secrets = [...new Set(secrets)].filter(secret => secret.length >= shortestSecret);
	}

	/** The text without the secrets, and without JWTs, which are credentials, whoever made them; cut where it is long. */
	redact(text: string): string {
		const cut = text.slice(0, longestText);
		const isHidden = new Uint8Array(cut.length);
		if (text.length > longestText) isHidden.fill(1, longestText - cutEdge);
		let decoded: DecodedText | undefined = plainText(cut);
		for (let layer = 0; layer <= mostLayers && decoded !== undefined; layer++) {
			hideJwts(decoded, isHidden);
			this.#hideSecrets(decoded, isHidden);
			for (const dumped of decodeDumps(decoded)) this.#hideSecrets(dumped, isHidden);
			decoded = decodeOnce(decoded);
		}
		return withoutHidden(cut, isHidden);
	}

	#hideSecrets(decoded: DecodedText, isHidden: Uint8Array): void {
		this.#pieces ??= piecesOf(this.#secrets);
		const text = folded(decoded.text);
		for (const [length, pieces] of this.#pieces) {
			for (let start = 0; start + length <= text.length; start++) {
				if (pieces.has(text.slice(start, start + length))) hide(decoded, start, start + length, isHidden);
			}
		}
	}
}

/**
 * A text of somebody else's, such as a server's description of an error, without some secrets: however they are encoded in
 * it, and in part. What looks like a JWT is taken out, too, and a long text is cut.
 */
export function redact(text: string, secrets: Iterable<string> = []): string {
	return new Redactor(secrets).redact(text);
}

function piecesOf(secrets: readonly string[]): Map<number, Set<string>> {
	const pieces = new Map<number, Set<string>>();
	for (const secret of secrets) {
		for (const form of formsOf(secret)) {
			const text = folded(form);
			const half = Math.max(shortestSecret, Math.ceil(text.length / 2));
			const length = Math.min(longestPiece, half, text.length);
			const known = pieces.get(length) ?? new Set();
			pieces.set(length, known);
			for (let start = 0; start + length <= text.length; start++)
				known.add(text.slice(start, start + length));
		}
	}
	return pieces;
}

/** Forms that are not found by decoding the text: whole, in base64 wherever it begins there, and in hexadecimal digits. */
function* formsOf(secret: string): Generator<string> {
	// The scheme of a URL is no secret, and stands in many a sentence.
	yield secret.replace(/^[a-z][a-z\d+.-]*:\/\/?(?=[^/].{3})/i, '');
	const bytes = Buffer.from(secret);
	yield bytes.toString('hex');
	// As a dump of bytes is read.
	if (bytes.length > secret.length) yield bytes.toString('latin1');
	for (const offset of [0, 1, 2]) {
		const encoded = Buffer.concat([Buffer.alloc(offset), bytes])
			.toString('base64')
			.replace(/=+$/, '');
		// Without the characters that depend on what stands before and behind.
		const first = [0, 2, 3][offset] ?? 0;
		const last = (offset + bytes.length) % 3 === 0 ? encoded.length : encoded.length - 1;
		if (last - first >= longestPiece) yield encoded.slice(first, last);
	}
}

/** One text for all that are written alike: in capitals or not, in either alphabet of base64, a blank as it is in a form. */
function folded(text: string): string {
	let result = '';
	for (const character of text) {
		const lower = character.toLowerCase();
		const same = lower.length === character.length ? lower : character;
		result += same === '+' || same === '-' ? ' ' : same === '_' ? '/' : same;
	}
	return result;
}

/** What begins like the header of a JWT and has at least two dots behind that. */
function hideJwts(decoded: DecodedText, isHidden: Uint8Array): void {
	for (const {0: run, index} of decoded.text.matchAll(/[\w.-]+/g)) {
		const start = run.indexOf('eyJ');
		if (start !== -1 && run.slice(start).split('.').length > 2)
			hide(decoded, index + start, index + run.length, isHidden);
	}
}

function hide({starts, ends}: DecodedText, from: number, to: number, isHidden: Uint8Array): void {
	isHidden.fill(1, starts[from], ends[to - 1]);
}

function withoutHidden(text: string, isHidden: Uint8Array): string {
	let result = '';
	for (let position = 0; position < text.length; ) {
		const state = isHidden[position];
		let end = position + 1;
		while (end < text.length && isHidden[end] === state) end += 1;
		result += state === 1 ? mark : text.slice(position, end);
		position = end;
	}
	return result;
}
