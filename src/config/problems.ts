/** Collects mistakes, so that all of them can be reported at once. */
import {normalize} from 'node:path';
import type {AnyDiagnosticCode} from '../diagnostics/diagnostic.ts';
import {ConfigurationError, type Problem} from '../errors.ts';
import {formatPath, type Path, type Source} from './source.ts';

export class Problems {
	readonly #source: Source;
	readonly #found: Problem[];
	/** Paths of values that could not be filled in: whatever else is wrong there follows from that. */
	readonly #unresolved = new Set<string>();
	#secrets: readonly string[] = [];

	constructor(source: Source) {
		this.#source = source;
		this.#found = [...source.problems];
	}

	/** Blot out these values in every message from now on. Values of fewer than four characters tell nothing. */
	hide(secrets: Iterable<string>): void {
		this.#secrets = [...secrets]
			.filter(secret => secret.length > 3)
			.flatMap(secret => [
				secret,
				secret.toLowerCase(),
				// As it looks in a path and in a URL.
				normalize(secret),
				encodeURIComponent(secret.toWellFormed()),
			])
			// A longer one first: it may hold a shorter one.
			.sort((a, b) => b.length - a.length);
	}

	add(path: Path, message: string, hint: string, code: AnyDiagnosticCode = 'configuration-mistaken'): void {
		const place = formatPath(path);
		if (this.#unresolved.has(place)) return;
		const {file} = this.#source;
		const line = this.#source.lineOf(path);
		this.#found.push({
			...(file !== undefined && {file}),
			...(line !== undefined && {line}),
			path: place,
			message: this.#withoutSecrets(withoutFullStop(message)),
			hint: this.#withoutSecrets(withoutFullStop(hint)),
			code,
		});
	}

	/** Add a mistake that leaves the value at `path` unknown, so that it is the only one there. */
	addUnresolved(path: Path, message: string, hint: string, code?: AnyDiagnosticCode): void {
		this.add(path, message, hint, code);
		this.#unresolved.add(formatPath(path));
	}

	/** Whether there is a mistake at exactly this path. */
	has(path: Path): boolean {
		const place = formatPath(path);
		return this.#found.some(problem => problem.path === place);
	}

	/** @throws {ConfigurationError} if there are any. */
	throwIfAny(): void {
		if (this.#found.length === 0) return;
		const inOrder = this.#found.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0));
		throw new ConfigurationError(inOrder);
	}

	#withoutSecrets(text: string): string {
		let hidden = text;
		for (const secret of this.#secrets) hidden = hidden.replaceAll(secret, '…');
		return hidden;
	}
}

function withoutFullStop(text: string): string {
	return text.endsWith('.') ? text.slice(0, -1) : text;
}
