/** nginx' configuration as a tree with places, so that a change touches nothing else: comments and layout stay. */
import {GatepassError} from '../errors.ts';

export interface Directive {
	readonly name: string;
	readonly parameters: readonly string[];
	/** Of the whole directive in the text, with its semicolon or block. */
	readonly start: number;
	readonly end: number;
	/** What stands between its braces; absent: it has none. */
	readonly block?: {readonly start: number; readonly end: number; readonly directives: readonly Directive[]};
}

/** Deeper nesting than nginx itself would want. */
const deepest = 20;

/** @throws {GatepassError} with file and line, where the text is no configuration. */
export function parseNginx(text: string, file: string): Directive[] {
	const tokens = tokenize(text, file);
	let position = 0;
	const fail = (at: number, what: string): never => {
		const line = text.slice(0, at).split('\n').length;
		throw new GatepassError({
			code: 'web-server-configuration-malformed',
			what: `${file}:${line}: ${what}`,
			hint: "Check it with 'nginx -t'",
		});
	};
	const read = (depth: number): Directive[] => {
		if (depth > deepest) fail(tokens[position]?.start ?? 0, 'blocks are nested too deep');
		const directives: Directive[] = [];
		for (;;) {
			const first = tokens[position];
			if (first === undefined || first.text === '}') return directives;
			const words: Token[] = [];
			while (tokens[position] !== undefined && !/^[;{}]$/.test(tokens[position]?.text ?? '')) {
				words.push(tokens[position] as Token);
				position += 1;
			}
			const last = tokens[position];
			if (last === undefined || last.text === '}' || words.length === 0) {
				return fail(first.start, 'a directive is not finished');
			}
			position += 1;
			const [name = '', ...parameters] = words.map(({value}) => value);
			if (last.text === ';') {
				directives.push({name, parameters, start: first.start, end: last.end});
				continue;
			}
			const inner = read(depth + 1);
			const close = tokens[position];
			if (close === undefined) return fail(first.start, 'a block is not closed');
			position += 1;
			const block = {start: last.end, end: close.start, directives: inner};
			directives.push({name, parameters, start: first.start, end: close.end, block});
		}
	};
	const directives = read(0);
	if (position < tokens.length) fail(tokens[position]?.start ?? 0, 'a brace closes nothing');
	return directives;
}

interface Token {
	readonly text: string;
	/** Without quotes. */
	readonly value: string;
	readonly start: number;
	readonly end: number;
}

function tokenize(text: string, file: string): Token[] {
	const tokens: Token[] = [];
	const pattern =
		/#[^\n]*|[;{}]|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?:[^\s;{}"'\\#]|\\.|\$\{[^}\s]*\})(?:[^\s;{}\\]|\\.|\$\{[^}\s]*\})*/gs;
	let last = 0;
	for (const match of text.matchAll(pattern)) {
		const {0: token, index} = match;
		if (text.slice(last, index).trim() !== '') break;
		last = index + token.length;
		if (token.startsWith('#')) continue;
		const value = /^["']/.test(token) ? token.slice(1, -1).replace(/\\(.)/gs, '$1') : token;
		tokens.push({text: token, value, start: index, end: last});
	}
	if (text.slice(last).trim() !== '') {
		const line = text.slice(0, last).split('\n').length;
		throw new GatepassError({
			code: 'web-server-configuration-malformed',
			what: `${file}:${line}: a quotation is not closed`,
			hint: "Check it with 'nginx -t'",
		});
	}
	return tokens;
}
