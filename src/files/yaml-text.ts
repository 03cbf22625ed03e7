/** The value of a text in YAML, or JSON, that a person has written; the reader of configurations tells more of its mistakes. */
import {LineCounter, type YAMLError} from 'yaml';
import {parseYaml} from './parse-yaml.ts';
import {yamlValue} from './yaml-value.ts';

/** The first thing that is wrong with a text: its syntax, with the line, or where its aliases lead. */
export type YamlMistake =
	| {readonly about: 'syntax'; readonly line: number; readonly cause: YAMLError}
	| {readonly about: 'aliases'; readonly cause: unknown};

/** @throws what `refuse` makes of a mistake. */
export function valueOfYaml(text: string, refuse: (mistake: YamlMistake) => Error): unknown {
	const lines = new LineCounter();
	const document = parseYaml(text, {lineCounter: lines});
	// What has a tag that nobody knows would be taken for text.
	const [cause] = [...document.errors, ...document.warnings];
	if (cause !== undefined) throw refuse({about: 'syntax', line: lines.linePos(cause.pos[0]).line, cause});
	try {
		return yamlValue(document);
	} catch (error) {
		throw refuse({about: 'aliases', cause: error});
	}
}
