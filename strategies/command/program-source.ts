/** A program that a rule names as the source of a credential: what tells its runs apart, and what its failures mean. */
import {createHash} from 'node:crypto';
import {hostname} from 'node:os';
import {CredentialUnavailableError, type GatepassError, TokenRequestError} from '../../src/errors.ts';
import {type Environment, type Notices, type RuleInfo, resolvePath} from '../../src/strategy/index.ts';
import {printable, programsWords} from '../bearer/printable.ts';
import type {ProgramOptions} from './options.ts';
import {isProgram, type ProgramEnd, runProgram} from './run-program.ts';

export interface ProgramServices {
	readonly environment: Environment;
	readonly rule: RuleInfo;
	readonly notices: Notices;
}

/** Variables that differ from one start to the next and say nothing about who the user is. */
const incidental =
	/^(_|SHLVL|OLDPWD|PWD|COLUMNS|LINES|TERM.*|WINDOWID|INVOCATION_ID|JOURNAL_STREAM|SYSTEMD_EXEC_PID|NODE_.*|npm_.*|SSH_(CLIENT|CONNECTION|TTY)|XDG_SESSION_ID)$/;

/** Characters of its output that are looked for in its words. */
const mostSearched = 64 * 1024;

export class ProgramSource {
	/** For a person. The parameters are left out: one may be a secret. */
	readonly name: string;
	readonly #command: readonly string[];
	readonly #options: ProgramOptions;
	readonly #services: ProgramServices;
	readonly #variables: Readonly<Record<string, string>>;
	readonly #ending = new AbortController();

	/** @param variables more of them, which the strategy adds. */
	constructor(
		options: ProgramOptions,
		services: ProgramServices,
		variables: Readonly<Record<string, string>> = {},
	) {
		const [program = '', ...parameters] = options.command;
		const {rule, environment} = services;
		const path = program.startsWith('~/') ? resolvePath(program, rule.folder, environment) : program;
		this.name = printable(program);
		this.#command = [path, ...parameters];
		this.#options = options;
		this.#services = services;
		this.#variables = variables;
	}

	/** Whether the program is there. Looks, and runs nothing. */
	get isThere(): boolean {
		const [program = ''] = this.#command;
		return isProgram(program, this.#services.rule.folder, this.#environment);
	}

	/**
	 * Tells apart all that its output may depend on: the program, its parameters and its variables, among which is the
	 * account of many a tool, and whose machine and user it is. Hashed, as some of it may be secret.
	 */
	get key(): string {
		const variables = Object.entries(this.#environment)
			.filter(([name, value]) => value !== undefined && !incidental.test(name))
			.sort(([a], [b]) => (a < b ? -1 : 1));
		const all = [hostname(), process.geteuid?.(), this.#services.rule.folder, this.#command, variables];
		return createHash('sha256').update(JSON.stringify(all)).digest('base64url');
	}

	/**
	 * What `read` makes of what the program prints. What it says on stderr goes to the log.
	 *
	 * @param read throws a sentence's rest, such as 'printed nothing', as an {@link UnreadableOutput}.
	 * @param signal of whoever calls it off: the limit of its time is the rule's.
	 * @throws {CredentialUnavailableError} where there is no such program.
	 * @throws {TokenRequestError} where it gave no credential.
	 */
	async run<Credential>(read: (output: string) => Credential, signal?: AbortSignal): Promise<Credential> {
		const {timeout} = this.#options;
		const {end, output, words} = await runProgram({
			command: this.#command,
			folder: this.#services.rule.folder,
			environment: this.#environment,
			timeout,
			signal: signal === undefined ? this.#ending.signal : AbortSignal.any([signal, this.#ending.signal]),
		});
		const said = words === '' ? '' : programsWords(words, this.#secrets(output, end)).trim();
		if (said !== '') this.#services.notices.tell(`${this.name} says: ${said}`);
		if (end.kind !== 'exited' || end.status !== 0) throw this.#failure(end, lastLine(said));
		try {
			return read(output);
		} catch (error) {
			if (!(error instanceof UnreadableOutput)) throw error;
			throw this.#error(error.message, error.hint);
		}
	}

	/** End what runs. */
	dispose(): void {
		const {match, source} = this.#services.rule;
		this.#ending.abort(
			new TokenRequestError({
				code: 'token-source-unusable',
				what: `gatepass was closed while ${this.name} ran (rule for ${match}, ${source})`,
				hint: '',
			}),
		);
	}

	get #environment(): Environment {
		return {...this.#services.environment, ...this.#variables, ...this.#options.env};
	}

	/** What must not be repeated: what it printed, its own variables, and parameters whose names say so. */
	#secrets(output: string, end: ProgramEnd): string[] {
		const isWell = end.kind === 'exited' && end.status === 0;
		const printed = credentialsIn(output, isWell);
		const own = Object.values(this.#options.env ?? {}).filter(text => text.length > 3);
		const [, ...parameters] = this.#command;
		const given = parameters.flatMap((parameter, index) => {
			const [name = '', value] = parameter.startsWith('-') ? parameter.split(/=(.*)/s) : ['', undefined];
			if (value !== undefined) return isSecretName(name) ? [value] : [];
			const before = parameters[index - 1] ?? '';
			return before.startsWith('-') && !before.includes('=') && isSecretName(before) ? [parameter] : [];
		});
		return [...printed, ...own, ...given];
	}

	#failure(end: ProgramEnd, words: string): GatepassError {
		const reason = words === '' ? ' without a word' : `: ${words}`;
		const byHand = 'Run the same command by hand to see why';
		switch (end.kind) {
			case 'not started': {
				const {code} = end;
				const what = code === 'ENOENT' ? 'is not there' : `cannot be run (${code})`;
				const hint =
					code === 'ENOENT'
						? "Install it, or write its whole path; the first item of 'command' is the program alone, without its parameters"
						: 'Make it a program that this user may run';
				return this.#error(what, hint, CredentialUnavailableError);
			}
			case 'too slow':
				return this.#error(
					`did not end within ${this.#options.timeout} ms and was stopped${words === '' ? '' : reason}`,
					`It may wait for an answer that nobody can give it, as it has no terminal. ${byHand}, or raise 'timeout'`,
				);
			case 'too much':
				return this.#error('printed more than 1 MiB and was stopped', 'Have it print the credential alone');
			case 'signalled':
				return this.#error(`was ended by ${end.signal}${reason}`, byHand);
			case 'exited':
				return this.#error(`ended with ${end.status}${reason}`, byHand);
		}
	}

	#error(
		what: string,
		hint: string,
		kind: typeof CredentialUnavailableError | typeof TokenRequestError = TokenRequestError,
	): GatepassError {
		const {match, source} = this.#services.rule;
		return new kind({
			code: 'token-source-unusable',
			what: `The program ${this.name} (rule for ${match}, ${source}) ${what}`,
			hint,
		});
	}
}

/** Why what a program printed is no credential. The message is the rest of a sentence that begins with the program. */
export class UnreadableOutput extends Error {
	readonly hint: string;

	constructor(what: string, hint: string) {
		super(what);
		this.hint = hint;
	}
}

/**
 * What of its output may be the credential: a line alone, the words that look like one, and in JSON, whole or broken off,
 * the values whose names say so. A program that failed may have said on its output why: that is not all secret.
 */
function credentialsIn(output: string, isWell: boolean): string[] {
	const text = output.slice(0, mostSearched);
	const words = text.split(/[\s"',]+/).filter(word => word !== '');
	const alone = text.trim();
	if (words.length === 1 || (isWell && !alone.includes('\n') && !alone.startsWith('{')))
		return [alone, ...words.slice(0, 1)];
	const named = [...text.matchAll(/"([^"]*)"\s*:\s*"((?:[^"\\]|\\.)*)/g)].flatMap(
		([, name = '', value = '']) =>
			isSecretName(name) && !/type$/i.test(name) ? [value, unescaped(value)] : [],
	);
	return [...named, ...words.filter(word => word.length > 15 && /\d|[a-z][A-Z]/.test(word))];
}

function unescaped(value: string): string {
	try {
		return JSON.parse(`"${value}"`) as string;
	} catch {
		return value;
	}
}

function isSecretName(name: string): boolean {
	return /secret|passw|passphrase|token|key|assertion|credential/i.test(name);
}

function lastLine(words: string): string {
	const line = words.split('\n').findLast(text => text.trim() !== '') ?? '';
	return printable(line.trim()).replace(/\.$/, '');
}
