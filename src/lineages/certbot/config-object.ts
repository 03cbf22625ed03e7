/**
 * The files under `renewal/`, in the format of Python's ConfigObj, read and changed without losing what somebody else
 * wrote: comments, unknown keys and sections stay where they are.
 *
 * https://configobj.readthedocs.io/en/latest/configobj.html#the-config-file-format
 */
import {GatepassError} from '../../errors.ts';

export type ConfigValue = string | readonly string[];

interface Entry {
	/** The sections that it stands in, outermost first, joined by a line break. */
	readonly section: string;
	readonly key: string;
	readonly value: ConfigValue;
	/** Its lines in the text. */
	readonly first: number;
	readonly last: number;
}

/** Deeper interpolation than this leads in a circle. */
const deepestInterpolation = 10;

export class ConfigObject {
	readonly #file: string;
	#lines: string[];
	/** Read from the lines when they are needed, and again when those have changed. */
	#read: Entry[] | undefined;

	/** `file` is for messages. */
	constructor(text: string, file: string) {
		this.#file = file;
		this.#lines = text.replace(/\r\n/g, '\n').replace(/\n$/, '').split('\n');
		if (text === '') this.#lines = [];
		this.#entries();
	}

	/** A value as text, with `%(name)s` replaced; of a list, `undefined`. */
	text(section: readonly string[], key: string): string | undefined {
		const value = this.value(section, key);
		return typeof value === 'string' ? value : undefined;
	}

	value(section: readonly string[], key: string): ConfigValue | undefined {
		const found = this.#find(section, key)?.value;
		if (found === undefined) return undefined;
		return typeof found === 'string'
			? this.#interpolate(found, section)
			: found.map(one => this.#interpolate(one, section));
	}

	/** The keys of a section, in their order, without those of its subsections. */
	keys(section: readonly string[]): string[] {
		return this.#entries()
			.filter(entry => entry.section === section.join('\n'))
			.map(({key}) => key);
	}

	/** Set a value where it stands, or add it at the end of its section; `undefined` takes it out. */
	set(section: readonly string[], key: string, value: ConfigValue | undefined): void {
		const found = this.#find(section, key);
		if (found === undefined && value === undefined) return;
		const line = value === undefined ? [] : [`${key} = ${write(value)}`];
		if (found !== undefined) this.#lines.splice(found.first, found.last - found.first + 1, ...line);
		else this.#lines.splice(this.#endOf(section), 0, ...line);
		this.#read = undefined;
	}

	toString(): string {
		return this.#lines.map(line => `${line}\n`).join('');
	}

	#find(section: readonly string[], key: string): Entry | undefined {
		const name = section.join('\n');
		return this.#entries().find(entry => entry.section === name && entry.key === key);
	}

	/** After the last value of a section; the section is made where it is missing. */
	#endOf(section: readonly string[]): number {
		const name = section.join('\n');
		const last = this.#entries().findLast(entry => entry.section === name);
		if (last !== undefined) return last.last + 1;
		const header = this.#headers().find(({path}) => path === name);
		if (header !== undefined) return header.line + 1;
		if (section.length === 0) return 0;
		const brackets = '['.repeat(section.length) + section.at(-1) + ']'.repeat(section.length);
		const place = section.length === 1 ? this.#lines.length : this.#endOfWhole(section.slice(0, -1));
		this.#lines.splice(place, 0, brackets);
		this.#read = undefined;
		return place + 1;
	}

	/** After a section with all that is nested in it. */
	#endOfWhole(section: readonly string[]): number {
		const start = this.#endOf(section);
		const next = this.#headers().find(({line, depth}) => line >= start && depth <= section.length);
		return next?.line ?? this.#lines.length;
	}

	#headers(): {path: string; line: number; depth: number}[] {
		const path: string[] = [];
		return this.#lines.flatMap((text, line) => {
			const header = sectionIn(text);
			if (header === undefined) return [];
			path.length = header.depth - 1;
			path.push(header.name);
			return [{path: path.join('\n'), line, depth: header.depth}];
		});
	}

	#entries(): Entry[] {
		this.#read ??= this.#parse();
		return this.#read;
	}

	#parse(): Entry[] {
		const entries: Entry[] = [];
		const path: string[] = [];
		for (let line = 0; line < this.#lines.length; line++) {
			const text = this.#lines[line] as string;
			if (/^\s*(?:#|$)/.test(text)) continue;
			const header = sectionIn(text);
			if (header !== undefined) {
				if (header.depth > path.length + 1) this.#wrong(line, 'a section is nested in nothing');
				path.length = header.depth - 1;
				path.push(header.name);
				continue;
			}
			const pair = /^\s*("[^"]*"|'[^']*'|[^=]+?)\s*=\s*(.*)$/.exec(text);
			if (pair === null) this.#wrong(line, 'this is neither a section nor a value');
			const [, key = '', rest = ''] = pair as RegExpExecArray;
			const first = line;
			let source = rest;
			const triple = /^("""|''')/.exec(rest)?.[1];
			if (triple !== undefined) {
				while (source.indexOf(triple, 3) === -1) {
					line += 1;
					if (line >= this.#lines.length) this.#wrong(first, 'a quotation is not closed');
					source += `\n${this.#lines[line]}`;
				}
			}
			const value = read(source);
			if (value === undefined) this.#wrong(first, 'a quotation is not closed');
			entries.push({
				section: path.join('\n'),
				key: unquote(key),
				value: value as ConfigValue,
				first,
				last: line,
			});
		}
		return entries;
	}

	/** `%(name)s` stands for a value of the same section, or of the top (ConfigObj's default). */
	#interpolate(text: string, section: readonly string[], depth = 0): string {
		return text.replace(/%\(([^)]*)\)s/g, (whole, name: string) => {
			if (depth >= deepestInterpolation) {
				throw new GatepassError({
					code: 'lineage-file-malformed',
					what: `${this.#file}: %(${name})s leads in a circle`,
					hint: 'Write the value out',
				});
			}
			const value = this.#find(section, name)?.value ?? this.#find([], name)?.value;
			return typeof value === 'string' ? this.#interpolate(value, section, depth + 1) : whole;
		});
	}

	#wrong(line: number, what: string): never {
		throw new GatepassError({
			code: 'lineage-file-malformed',
			what: `${this.#file}:${line + 1}: ${what}`,
			hint: "The file has the format of Python's ConfigObj; put the line right, or restore the file",
		});
	}
}

function sectionIn(line: string): {name: string; depth: number} | undefined {
	const [, open = '', name = '', close = ''] =
		/^\s*(\[+)\s*("[^"]*"|'[^']*'|[^\]'"]+?)\s*(\]+)\s*(?:#.*)?$/.exec(line) ?? [];
	return open !== '' && open.length === close.length ? {name: unquote(name), depth: open.length} : undefined;
}

/** A value with its quotes, commas and comment taken off; `undefined` where a quotation does not end. */
function read(source: string): ConfigValue | undefined {
	const triple = /^("""|''')([\s\S]*?)\1\s*(?:#.*)?$/.exec(source);
	if (triple !== null) return triple[2] as string;
	const parts: string[] = [];
	let rest = source.trim();
	let isList = false;
	while (rest !== '' && !rest.startsWith('#')) {
		if (rest.startsWith(',')) {
			isList = true;
			rest = rest.slice(1).trimStart();
			continue;
		}
		const quoted = /^(?:"([^"]*)"|'([^']*)')\s*(?=,|#|$)/.exec(rest);
		const bare = quoted === null && !/^["']/.test(rest) ? /^[^,#]+/.exec(rest) : null;
		const match = quoted ?? bare;
		if (match === null) return undefined;
		parts.push(quoted === null ? match[0].trimEnd() : (quoted[1] ?? quoted[2] ?? ''));
		rest = rest.slice(match[0].length).trimStart();
	}
	return isList ? parts : (parts[0] ?? '');
}

function unquote(text: string): string {
	return /^(["'])(.*)\1$/.exec(text)?.[2] ?? text;
}

/** As ConfigObj writes it, so that it reads the same. */
function write(value: ConfigValue): string {
	if (typeof value === 'string') return quote(value);
	return value.length === 0
		? ','
		: value.length === 1
			? `${quote(value[0] as string)},`
			: value.map(quote).join(', ');
}

function quote(text: string): string {
	if (/\n/.test(text) || (text.includes('"') && text.includes("'"))) {
		const mark = text.includes('"""') ? "'''" : '"""';
		if (text.includes(mark))
			throw new GatepassError({
				code: 'lineage-file-malformed',
				what: 'A value with both kinds of triple quotes cannot be kept',
				hint: 'Write it into a script',
			});
		return mark + text + mark;
	}
	if (text !== '' && !/[,#"']|^\s|\s$/.test(text)) return text;
	return text.includes("'") ? `"${text}"` : `'${text}'`;
}
