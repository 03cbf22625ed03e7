/** The variables of a configuration: the environment, and what a `.env` beside the configuration adds to it. */
import {join} from 'node:path';
import {parse} from 'dotenv';
import {FileReadError, readBoundedSync} from '../files/bounded-read.ts';
import type {Environment} from '../strategy/services.ts';
import {hintAboutCut, noteCut} from '../strategy/variables.ts';
import {whyNotTrusted} from './ownership.ts';
import type {Problems} from './problems.ts';

/** Whoever has more variables than that has another file in its place. */
const largestFile = 1024 * 1024;

/** dotenv looks through all that follow, at each of them. */
const mostEmptyLines = 100;

function hasEndlessGap(text: string): boolean {
	let inARow = 0;
	for (const line of text.split(/\r\n?|\n/)) {
		inARow = line.trim() === '' ? inARow + 1 : 0;
		if (inARow > mostEmptyLines) return true;
	}
	return false;
}

/** Variables that strategies read without being told to. */
const strategiesRead: ReadonlySet<string> = new Set(['SSO_CLIENT_ID', 'SSO_CLIENT_SECRET', 'BEARER_TOKEN']);

/** The variables of which a `.env` says more than dotenv takes from it: see `isCut`. */
function cutNames(text: string): Set<string> {
	const names = new Set<string>();
	for (const line of text.split(/\r?\n/)) {
		const [, name, value] = /^(?:export\s+)?([\w.-]+)\s*(?:=|:\s)(.*)$/.exec(line.trim()) ?? [];
		if (name === undefined || value === undefined) continue;
		// The last line of a name counts.
		names.delete(name);
		const written = value.trimStart();
		const before = value.slice(0, value.indexOf('#'));
		if (value.includes('#') && !/^['"`]/.test(written) && !/\s$/.test(before)) names.add(name);
	}
	return names;
}

/** Nothing is written to `process.env`, and nothing in `environment` is overridden. */
export function readEnvironment(
	folder: string,
	environment: Environment,
	problems: Problems,
	wasFound = false,
): Environment {
	const file = join(folder, '.env');
	const reason = wasFound ? whyNotTrusted(file) : undefined;
	if (reason !== undefined) {
		problems.add(
			[],
			`${file} ${reason}, so it is not read`,
			'Make it yours, or name the configuration with -c',
			'configuration-unsafe',
		);
		return environment;
	}
	try {
		const text = readBoundedSync(file, largestFile).bytes.toString('utf8');
		if (hasEndlessGap(text)) {
			problems.add(
				[],
				`${file} has more than ${mostEmptyLines} empty lines in a row, so it is not read`,
				'Take them out',
				'configuration-unreadable',
			);
			return environment;
		}
		// A variable that is there but undefined is not set, so it overrides nothing.
		const cut = [...cutNames(text)].filter(name => environment[name] === undefined);
		for (const name of cut.filter(name => strategiesRead.has(name))) {
			problems.add(
				[],
				`the value of ${name} in ${file} is cut at its '#', where a comment begins`,
				hintAboutCut,
				'reference-malformed',
			);
		}
		const complete = withDefaults(environment, parse(text));
		noteCut(complete, cut);
		return complete;
	} catch (error) {
		if (!(error instanceof FileReadError)) throw error;
		// A folder of that name is somebody else's: Python keeps its virtual environments so.
		if (error.reason !== 'missing' && error.reason !== 'folder') {
			problems.add(
				[],
				`${file} ${error.message}`,
				'Make it a file that this user may read, or remove it',
				'configuration-unreadable',
			);
		}
		return environment;
	}
}

/** The variables as they are at each look: some are tokens, which the process is given again. */
function withDefaults(environment: Environment, added: Record<string, string>): Environment {
	// A variable that is there but undefined is not set, so it overrides nothing.
	const read = (name: string): string | undefined => environment[name] ?? added[name];
	const names = (): string[] => [...new Set([...Object.keys(added), ...Object.keys(environment)])];
	return new Proxy(added, {
		get: (target, name) => (typeof name === 'string' ? read(name) : Reflect.get(target, name)),
		has: (target, name) => (typeof name === 'string' ? read(name) !== undefined : Reflect.has(target, name)),
		ownKeys: () => names().filter(name => read(name) !== undefined),
		getOwnPropertyDescriptor(_, name) {
			const value = typeof name === 'string' ? read(name) : undefined;
			return value === undefined ? undefined : {value, enumerable: true, configurable: true, writable: true};
		},
	});
}
