/** Says what is wrong with the text of a configuration. The library's own messages may quote it, and a secret with it. */
import {
	type Document,
	type ErrorCode,
	isCollection,
	isMap,
	isScalar,
	type LineCounter,
	visit,
	type YAMLParseError,
} from 'yaml';
import type {Problem} from '../errors.ts';
import {nestedTooDeep} from '../files/parse-yaml.ts';
import type {YamlValueError} from '../files/yaml-value.ts';

type Description = Pick<Problem, 'message' | 'hint'>;

/** The mistakes that reading the text has found, each with its line. */
export function describeErrors(
	document: Document.Parsed,
	lines: LineCounter,
	text: string,
): (Description & {readonly line: number})[] {
	const {errors, warnings} = document;
	const written = text.split('\n');
	// After the first error of syntax the parser has lost its way: what it reports next is no mistake of the user's.
	const firstSyntaxError = errors.find(({code}) => !isAboutMeaning(code));
	const names = namesOverLines(errors);
	// The library takes what has a tag that it does not know for text.
	return [...errors, ...warnings.filter(({code}) => code === 'TAG_RESOLVE_FAILED')]
		.filter(error => isAboutMeaning(error.code) || error === firstSyntaxError)
		.map(({code, pos}) => {
			const opener = openerOf(document, code, pos[0]);
			const tooDeep = opener === undefined ? names.get(pos[0]) : undefined;
			const {line} = lines.linePos(opener?.start ?? tooDeep ?? pos[0]);
			const {message, hint} = opener ?? (tooDeep === undefined ? describeSyntax(code) : deeperThanBefore);
			return {line, message, hint: lacksQuotes(written[line - 1]) ? quotesHint : hint};
		});
}

/** The parser goes on to the end, or to the next line that cannot be meant; a person looks for where it began. */
function openerOf(
	document: Document.Parsed,
	code: ErrorCode,
	position: number,
): (Description & {readonly start: number}) | undefined {
	if (code !== 'MISSING_CHAR' && code !== 'BAD_INDENT') return undefined;
	let found: (Description & {readonly start: number}) | undefined;
	visit(document, {
		Node(_key, node) {
			if (node.range?.[1] !== position) return;
			const [start] = node.range;
			if (isScalar(node) && (node.type === 'QUOTE_DOUBLE' || node.type === 'QUOTE_SINGLE')) {
				found = {start, message: 'a quote begins here that has no end', hint: 'Add the second one'};
			} else if (isCollection(node) && node.flow === true) {
				const end = isMap(node) ? '}' : ']';
				found = {start, message: 'a bracket begins here that has no end', hint: `Add the '${end}'`};
			}
		},
	});
	return found;
}

/** By where they begin: what the parser took for names, as a setting seems to go on with the value before it; and their ends. */
function namesOverLines(errors: readonly YAMLParseError[]): ReadonlyMap<number, number> {
	const found = errors.filter(({code}) => code === 'MULTILINE_IMPLICIT_KEY').toReversed();
	return new Map(found.map(({pos}) => pos));
}

const deeperThanBefore: Description = {
	message: 'this line is indented more than the setting before it, which has its value already',
	hint: 'Begin both in the same column',
};

function isAboutMeaning(code: ErrorCode): boolean {
	return code === 'DUPLICATE_KEY' || code === 'TAG_RESOLVE_FAILED';
}

const quotesHint = "Between { and }, or [ and ], put quotes around '${NAME}'";

function lacksQuotes(line = ''): boolean {
	// By hand: a regular expression would begin again at each of many brackets.
	return line.split(/['"]/).some(part => {
		const bracket = part.search(/[{[]/);
		return bracket !== -1 && part.lastIndexOf('${') > bracket;
	});
}

function describeSyntax(code: ErrorCode): Description {
	switch (code) {
		case 'DUPLICATE_KEY':
			return {message: 'a setting stands here a second time', hint: 'Take one of the two out'};
		// What follows the mark may be a secret: a password can begin with it.
		case 'TAG_RESOLVE_FAILED':
			return {
				message: "a tag ('!') stands here that has no meaning in a configuration",
				hint: "Write '${NAME}' for a variable, or '${file:PATH}' for what a file holds; put a value that begins with '!' in quotes",
			};
		case 'TAB_AS_INDENT':
			return {message: 'a tab indents this line', hint: 'Indent with spaces: YAML knows no others'};
		case 'BAD_INDENT':
			return {
				message: 'the indentation is not that of the lines around it',
				hint: 'Begin settings that belong together in the same column, and close every bracket',
			};
		case 'BLOCK_AS_IMPLICIT_KEY':
		case 'MULTILINE_IMPLICIT_KEY':
			return {
				message: "a second 'name:' stands where a value should be",
				hint: 'Put a value that has a colon in quotes, or begin a new line',
			};
		case 'MISSING_CHAR':
			return {message: 'a quote, bracket or comma is missing', hint: 'Add it'};
		case nestedTooDeep:
			return {message: 'the text is nested deeper than anybody writes', hint: 'Write it flat'};
		case 'MULTIPLE_DOCS':
			return {message: "a second document begins with '---'", hint: 'Write one document'};
		default:
			return {
				message: `the text cannot be read (${code.toLowerCase().replaceAll('_', ' ')})`,
				hint: 'Correct the syntax; a value with special characters stands in quotes',
			};
	}
}

/** What goes wrong with anchors once the text is read. */
export function describeResolution({reason}: YamlValueError): Description {
	switch (reason) {
		case 'unfolds without end':
			return {message: 'its aliases unfold without end', hint: 'Write the values out'};
		case 'unknown alias':
			return {
				message: 'an alias (*) names no anchor (&) before it',
				hint: 'Put the anchor first, or quote the star',
			};
		case 'merge of no group':
			return {message: "'<<' merges something that is no group of settings", hint: 'Name an anchor of one'};
	}
}
