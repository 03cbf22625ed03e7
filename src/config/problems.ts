/** Collects mistakes, so that all of them can be reported at once. */
import {ConfigurationError, type Problem} from '../errors.ts';
import {formatPath, type Path, type Source} from './source.ts';

export class Problems {
	readonly #source: Source;
	readonly #found: Problem[];

	constructor(source: Source) {
		this.#source = source;
		this.#found = [...source.problems];
	}

	add(path: Path, message: string, mend: string): void {
		const {file} = this.#source;
		const line = this.#source.lineOf(path);
		this.#found.push({
			...(file !== undefined && {file}),
			...(line !== undefined && {line}),
			path: formatPath(path),
			message: withoutFullStop(message),
			mend,
		});
	}

	get isEmpty(): boolean {
		return this.#found.length === 0;
	}

	/** @throws {ConfigurationError} if there are any. */
	throwIfAny(): void {
		if (this.isEmpty) return;
		const inOrder = this.#found.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0));
		throw new ConfigurationError(inOrder);
	}
}

function withoutFullStop(message: string): string {
	return message.endsWith('.') ? message.slice(0, -1) : message;
}
