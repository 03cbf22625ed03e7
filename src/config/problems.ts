/** Collects mistakes, so that all of them can be reported at once. */
import {normalize} from 'node:path';
import {ConfigurationError, type Problem} from '../errors.ts';
import {Redactor} from '../observability/redact.ts';
import {formatPath, type Path, type Source} from './source.ts';

export class Problems {
	readonly #source: Source;
	readonly #found: Problem[];
	/** Paths of values that could not be filled in: whatever else is wrong there follows from that. */
	readonly #unresolved = new Set<string>();
	#redactor = new Redactor([]);

	constructor(source: Source) {
		this.#source = source;
		this.#found = [...source.problems];
	}

	/** Hide these values in every message from now on, also as they look in a path. */
	hide(secrets: Iterable<string>): void {
		this.#redactor = new Redactor([...secrets].flatMap(secret => [secret, normalize(secret)]));
	}

	add(path: Path, message: string, hint: string): void {
		const place = formatPath(path);
		if (this.#unresolved.has(place)) return;
		const {file} = this.#source;
		const line = this.#source.lineOf(path);
		this.#found.push({
			...(file !== undefined && {file}),
			...(line !== undefined && {line}),
			path: place,
			message: this.#redactor.redact(withoutFullStop(message)),
			hint: this.#redactor.redact(withoutFullStop(hint)),
		});
	}

	/** Add a mistake that leaves the value at `path` unknown, so that it is the only one there. */
	addUnresolved(path: Path, message: string, hint: string): void {
		this.add(path, message, hint);
		this.#unresolved.add(formatPath(path));
	}

	/** Whether there is a mistake at exactly this path. */
	has(path: Path): boolean {
		const place = formatPath(path);
		return this.#found.some(problem => problem.path === place);
	}

	/** Whether there is a mistake at this path or inside of it. */
	hasWithin(path: Path): boolean {
		const place = formatPath(path);
		return this.#found.some(
			({path = ''}) => path === place || (path.startsWith(place) && '.['.includes(path.charAt(place.length))),
		);
	}

	/** @throws {ConfigurationError} if there are any. */
	throwIfAny(): void {
		if (this.#found.length === 0) return;
		const inOrder = this.#found.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0));
		throw new ConfigurationError(inOrder);
	}
}

function withoutFullStop(text: string): string {
	return text.endsWith('.') ? text.slice(0, -1) : text;
}
