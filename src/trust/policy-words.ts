/**
 * The words of a signing policy, as Globus's library takes them apart: between blanks or line ends, wherever they stand;
 * in single quotation marks, with blanks inside; and none of a comment. Its oddities are kept, since they decide what a
 * file permits.
 */
import {PolicySyntaxError} from './policy.ts';

/** What C counts as white space. */
const blanks = /[ \t\n\v\f\r]/;

export class PolicyWords {
	/** The last word that was read; still the same at the end of the file. */
	word = '';
	/** Where it begins, counted from 1. */
	line = 1;
	isAtEnd = false;
	readonly #text: string;
	#at = 0;
	/** The line at {@link #at}. */
	#currentLine = 1;

	/** @param bytes read byte by byte: a name is compared by its bytes. */
	constructor(bytes: Buffer) {
		this.#text = bytes.toString('latin1');
	}

	/**
	 * Go on to the next word, or to the end.
	 *
	 * @throws {PolicySyntaxError} where a quotation mark is missing.
	 */
	next(): void {
		do {
			if (!this.#skipBlanks()) {
				this.isAtEnd = true;
				return;
			}
			this.line = this.#currentLine;
			const plain = this.#plainWord();
			this.word = plain.startsWith("'") ? this.#quotedWord(plain) : plain;
		} while (this.word.startsWith('#') && this.#skipLine());
	}

	/**
	 * Go on to a word that has to be there.
	 *
	 * @throws {PolicySyntaxError} where there is none.
	 */
	need(missing: string): string {
		this.next();
		if (this.isAtEnd) throw new PolicySyntaxError(this.line, missing);
		return this.word;
	}

	/** `false`: nothing follows. The last character of a file is never the beginning of a word. */
	#skipBlanks(): boolean {
		if (this.#at >= this.#text.length - 1) return false;
		while (blanks.test(this.#text[this.#at] ?? '')) this.#advance();
		return this.#at < this.#text.length && this.#text[this.#at] !== '\0';
	}

	#plainWord(): string {
		const start = this.#at;
		while (this.#at < this.#text.length && !/[ \t\n\v\f\r\0]/.test(this.#text[this.#at] as string))
			this.#at++;
		return this.#text.slice(start, this.#at);
	}

	/**
	 * The text between quotation marks, of which `begun` is what was read already. `\` takes the next character as it is.
	 * What follows the second mark without a blank is left out. That mark must not be the last character of the file.
	 */
	#quotedWord(begun: string): string {
		let word = '';
		let isEscaped = false;
		for (let read = 1; ; read++) {
			const character = begun[read] ?? this.#advance();
			if (this.#at >= this.#text.length) {
				throw new PolicySyntaxError(
					this.line,
					'a quotation mark is missing, or the line end behind the last one',
				);
			}
			if (character === "'" && !isEscaped) return word;
			isEscaped = !isEscaped && character === '\\';
			if (!isEscaped) word += character;
		}
	}

	/** A comment goes on to the end of its line, also behind a word. */
	#skipLine(): true {
		while (this.#at < this.#text.length && this.#advance() !== '\n');
		return true;
	}

	#advance(): string | undefined {
		const character = this.#text[this.#at];
		this.#at += 1;
		if (character === '\n') this.#currentLine += 1;
		return character;
	}
}
