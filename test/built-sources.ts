/** Which source stands where in a file that the bundler made: it writes the name of each above its code. */
import {readFileSync} from 'node:fs';

export interface BuiltSource {
	/** Its path from the root of the repository, or that of a package that has become a part of ours. */
	readonly source: string;
	/** Characters of the built file, the end not included. */
	readonly start: number;
	readonly end: number;
}

export function sourcesIn(file: URL): BuiltSource[] {
	const text = readFileSync(file, 'utf8');
	const names = [...text.matchAll(/^\/\/ (\S+\.[jt]s)$/gm)];
	return names.map((name, at) => ({
		source: String(name[1]).replace(/^.*\/node_modules\//, 'node_modules/'),
		start: name.index,
		end: names[at + 1]?.index ?? text.length,
	}));
}
