/** The access log: one line of JSON for each request and each tunnel. No secret is in it, and no query. */

/** One line. Times are milliseconds. */
export interface AccessEntry {
	readonly form: 'reverse' | 'forward' | 'intercepted' | 'tunnel' | 'own';
	readonly method: string;
	/** Without user information and query; `HOST:PORT` of a tunnel. */
	readonly target: string;
	readonly status?: number | undefined;
	readonly duration: number;
	/** Bytes over the client's connection meanwhile: without what came in one packet with the head of the request. */
	readonly received?: number | undefined;
	readonly sent?: number | undefined;
	/** The pattern of the rule that was used. */
	readonly rule?: string | undefined;
	/** Why the proxy answered by itself. */
	readonly code?: string | undefined;
	readonly detail?: string | undefined;
}

/** Writes lines in batches: a line for each request would cost more than many a request. */
export class AccessLog {
	readonly #write: (text: string) => void;
	#lines: string[] = [];
	#timer: NodeJS.Timeout | undefined;

	constructor(write: (text: string) => void) {
		this.#write = write;
	}

	add(entry: AccessEntry): void {
		const {duration, ...fields} = entry;
		const line = {time: new Date().toISOString(), ...fields, duration: Math.round(duration * 100) / 100};
		this.#lines.push(JSON.stringify(line));
		if (this.#lines.length >= 200) this.flush();
		else this.#timer ??= setTimeout(() => this.flush(), 50);
	}

	flush(): void {
		clearTimeout(this.#timer);
		this.#timer = undefined;
		if (this.#lines.length === 0) return;
		const text = `${this.#lines.join('\n')}\n`;
		this.#lines = [];
		this.#write(text);
	}
}
