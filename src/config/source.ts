/** A configuration as it was found, and where in its file each value stands. */
import type {Problem} from '../errors.ts';

/** The way to a value: `['hostRules', 0, 'options', 'audience']`. */
export type Path = readonly (string | number)[];

export interface Source {
	/** Absolute; absent where the configuration was handed over as an object. */
	readonly file?: string;
	/** Whether it was found from the working directory upwards, and not named. */
	readonly wasFound?: boolean;
	readonly value: unknown;
	/** The line of the value at `path`, or of the nearest thing around it. */
	lineOf(path: Path): number | undefined;
	/** What is wrong with the text itself. */
	readonly problems: readonly Problem[];
}

/** A configuration without a text, or one whose text is a program. */
export function sourceFromValue(value: unknown, file?: string): Source {
	return {...(file !== undefined && {file}), value, lineOf: () => undefined, problems: []};
}

/** `hostRules[0].options.audience`, or for the configuration itself `(configuration)`. */
export function formatPath(path: Path): string {
	if (path.length === 0) return '(configuration)';
	return path
		.map((part, index) => {
			if (typeof part === 'number') return `[${part}]`;
			if (!/^[\w$-]+$/.test(part)) return `[${JSON.stringify(part)}]`;
			return index === 0 ? part : `.${part}`;
		})
		.join('');
}
