/**
 * Parses YAML, and bounds how deep it is nested before the library works it out: that takes time out of all proportion
 * with what is nested thousands of times, minutes for some kilobytes.
 */
import {
	Composer,
	type CST,
	Document,
	type DocumentOptions,
	Lexer,
	type LineCounter,
	type ParseOptions,
	Parser,
	type SchemaOptions,
	YAMLParseError,
} from 'yaml';

/** What is open at once: some more than a configuration may be nested, where the place is told by its path. */
const mostOpen = 128;

/** The code of the error of a text that is nested deeper; its position is where that begins. */
export const nestedTooDeep = 'RESOURCE_EXHAUSTION';

class TooDeep extends Error {
	readonly offset: number;

	constructor(offset: number) {
		super('nested too deep');
		this.offset = offset;
	}
}

type Options = ParseOptions & DocumentOptions & SchemaOptions & {readonly lineCounter: LineCounter};

/** As the library's `parseDocument` without `prettyErrors`. */
export function parseYaml(text: string, options: Options): Document.Parsed {
	try {
		const [document, second] = new Composer(options).compose(tokensOf(text, options), true, text.length);
		if (second !== undefined) {
			const [start, end] = second.range;
			document?.errors.push(new YAMLParseError([start, end], 'MULTIPLE_DOCS', 'a second document'));
		}
		return document as Document.Parsed;
	} catch (error) {
		if (!(error instanceof TooDeep)) throw error;
		const document = new Document() as Document.Parsed;
		const {offset, message} = error;
		document.errors.push(new YAMLParseError([offset, offset + 1], nestedTooDeep, message));
		return document;
	}
}

function* tokensOf(text: string, {lineCounter}: Options): Generator<CST.Token, void> {
	const parser = new Parser(lineCounter.addNewLine);
	lineCounter.addNewLine(0);
	for (const lexeme of new Lexer().lex(text)) {
		yield* parser.next(lexeme);
		if (parser.stack.length > mostOpen) throw new TooDeep(parser.offset - lexeme.length);
	}
	yield* parser.end();
}
