/**
 * Parses YAML in a time that grows with its length and no faster. The library itself takes minutes for some kilobytes that
 * are nested thousands of times, and for a group of a hundred thousand keys, as it compares each with each: so what is
 * nested too deep is refused before it is worked out, and keys that stand twice are looked for here.
 */
import {
	Composer,
	type CST,
	Document,
	type DocumentOptions,
	isScalar,
	Lexer,
	type LineCounter,
	type ParseOptions,
	Parser,
	type SchemaOptions,
	visit,
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
		const composer = new Composer({...options, uniqueKeys: false});
		const [document, second] = composer.compose(tokensOf(text, options), true, text.length);
		if (document !== undefined) addRepeatedKeys(document);
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

/** Tell of the keys that stand in their group a second time. */
function addRepeatedKeys(document: Document.Parsed): void {
	visit(document, {
		Map(_key, {items}) {
			const seen = new Set<unknown>();
			for (const {key} of items) {
				if (!isScalar(key)) continue;
				if (seen.has(key.value)) {
					const start = key.range?.[0] ?? 0;
					document.errors.push(
						new YAMLParseError([start, start + 1], 'DUPLICATE_KEY', 'a key that stands here twice'),
					);
				}
				seen.add(key.value);
			}
		},
	});
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
