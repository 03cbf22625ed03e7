/** Collects mistakes, so that all of them can be reported at once. */
import {normalize} from 'node:path';
import type {AnyDiagnosticCode} from '../diagnostics/diagnostic.ts';
import {ConfigurationError, type Problem} from '../errors.ts';
import {Redactor} from '../observability/redact.ts';
import {formatPath, type Path, type Source} from './source.ts';

export class Problems {
	readonly #source: Source;
	readonly #found: Problem[] = [];
	/** Paths that have a mistake, and those around them. There may be as many mistakes as there are settings. */
	readonly #mistaken = new Set<string>();
	readonly #around = new Set<string>();
	/** Paths of values that could not be filled in: whatever else is wrong there follows from that. */
	readonly #unresolved = new Set<string>();
	readonly #passOver: boolean;
	/** What could not be filled in and was passed over. */
	readonly passedOver: {readonly path: Path; readonly message: string}[] = [];
	#redactor = new Redactor([]);

	/** @param passOver whether a value that cannot be filled in is no mistake where it does not decide on a rule. */
	constructor(source: Source, passOver = false) {
		this.#passOver = passOver;
		this.#source = source;
		for (const problem of source.problems) this.#found.push(problem);
	}

	/** Hide these values in every message from now on, also as they look in a path. */
	hide(secrets: Iterable<string>): void {
		this.#redactor = new Redactor([...secrets].flatMap(secret => [secret, normalize(secret)]));
	}

	add(path: Path, message: string, hint: string, code: AnyDiagnosticCode = 'configuration-mistaken'): void {
		const place = formatPath(path);
		if (this.#unresolved.has(place)) return;
		const {file} = this.#source;
		const line = this.#source.lineOf(path);
		this.#mistaken.add(place);
		path.forEach((_, index) => {
			this.#around.add(formatPath(path.slice(0, index)));
		});
		this.#found.push({
			...(file !== undefined && {file}),
			...(line !== undefined && {line}),
			path: place,
			message: this.#redactor.redact(withoutFullStop(message)),
			hint: this.#redactor.redact(withoutFullStop(hint)),
			code,
		});
	}

	/** Add a mistake that leaves the value at `path` unknown, so that it is the only one there. */
	addUnresolved(path: Path, message: string, hint: string, code?: AnyDiagnosticCode): void {
		if (this.#passOver && !decides(path)) this.passedOver.push({path, message});
		else this.add(path, message, hint, code);
		this.#unresolved.add(formatPath(path));
	}

	get areNone(): boolean {
		return this.#found.length === 0;
	}

	/** Whether there is a mistake at exactly this path. */
	has(path: Path): boolean {
		return this.#mistaken.has(formatPath(path));
	}

	/** Whether the value there, or a part of it, could not be filled in. */
	isUnresolved(path: Path): boolean {
		const place = formatPath(path);
		return [...this.#unresolved].some(found => found === place || found.startsWith(`${place}[`));
	}

	/** Whether there is a mistake at this path or inside of it. */
	hasWithin(path: Path): boolean {
		const place = formatPath(path);
		return this.#mistaken.has(place) || this.#around.has(place);
	}

	/** @throws {ConfigurationError} if there are any. */
	throwIfAny(): void {
		if (this.#found.length === 0) return;
		const inOrder = this.#found.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0));
		throw new ConfigurationError(inOrder);
	}
}

/** Whether the value has a say in which rule is chosen for a URL. */
function decides([section, _index, setting]: Path): boolean {
	return section === 'hostRules' ? setting !== 'options' && setting !== 'tenant' : section === 'strategies';
}

function withoutFullStop(text: string): string {
	return text.endsWith('.') ? text.slice(0, -1) : text;
}
