/** A certificate authority behind a program of the user's own; docs/robots.md says what that program has to do. */
import {type ExecFileException, execFile} from 'node:child_process';
import {GatepassError} from '../errors.ts';
import {describeEnd} from './command-end.ts';
import type {
	ApplicationState,
	CertificateApplication,
	Issuer,
	Revocation,
	RevocationReason,
	Submission,
} from './issuer.ts';

/** `EX_TEMPFAIL` of sysexits.h: not yet. */
const notYet = 75;
const largestAnswer = 1024 * 1024;

interface Answer {
	readonly code: number;
	readonly output: Buffer;
	/** The end of what it wrote to stderr, on one line. */
	readonly complaint: string;
}

/** Runs a program without a shell: what is to be done is its last argument, the rest comes in variables and stdin. */
export class CommandIssuer implements Issuer {
	readonly #program: string;
	readonly #parameters: readonly string[];
	readonly #timeout: number;

	/** `timeout`: milliseconds for each run. */
	constructor([program = '', ...parameters]: readonly string[], timeout = 60_000) {
		this.#program = program;
		this.#parameters = parameters;
		this.#timeout = timeout;
	}

	async request({request, subject, serviceAccount, isRenewal}: CertificateApplication): Promise<Submission> {
		const answer = await this.#run('request', request, {
			GATEPASS_SUBJECT: subject,
			GATEPASS_SERVICE_ACCOUNT: serviceAccount,
			GATEPASS_RENEWAL: isRenewal ? '1' : '0',
		});
		if (answer.code !== 0) throw this.#refused('request', answer);
		const reference = answer.output.toString('utf8').trim();
		if (!/^[\x21-\x7e]{1,256}$/.test(reference)) {
			throw new GatepassError({
				code: 'authority-unusable',
				what: `${this.#program} took the request, but printed no reference for it`,
				hint: 'It has to print one word on stdout, such as an order number',
			});
		}
		return {reference};
	}

	async poll(reference: string): Promise<ApplicationState> {
		const {code, complaint} = await this.#run('poll', '', {GATEPASS_REFERENCE: reference});
		const state = code === 0 ? 'issued' : code === notYet ? 'waiting' : 'refused';
		return {state, ...(complaint !== '' && {detail: complaint})};
	}

	async collect(reference: string): Promise<Buffer> {
		const answer = await this.#run('collect', '', {GATEPASS_REFERENCE: reference});
		if (answer.code !== 0) throw this.#refused('collect', answer);
		return answer.output;
	}

	async revoke(certificate: string, reason: RevocationReason): Promise<Revocation> {
		const answer = await this.#run('revoke', certificate, {GATEPASS_REASON: reason});
		if (answer.code !== 0) throw this.#refused('revoke', answer);
		return {};
	}

	#run(action: string, input: string, variables: Readonly<Record<string, string>>): Promise<Answer> {
		return new Promise((resolve, reject) => {
			const child = execFile(
				this.#program,
				[...this.#parameters, action],
				{
					encoding: 'buffer',
					env: {...process.env, ...variables},
					maxBuffer: largestAnswer,
					timeout: this.#timeout,
					killSignal: 'SIGKILL',
				},
				(error, output, errors) => {
					const code = error === null ? 0 : error.code;
					if (typeof code === 'number') resolve({code, output, complaint: lastLine(errors)});
					else reject(this.#broken(action, error as ExecFileException));
				},
			);
			// A program need not read what it is given.
			child.stdin?.on('error', () => {});
			child.stdin?.end(input);
		});
	}

	#refused(action: string, {code, complaint}: Answer): GatepassError {
		const reason = complaint === '' ? ' without a word' : `: ${complaint}`;
		return new GatepassError({
			code: 'authority-unusable',
			what: `'${this.#program} ${action}' ended with ${code}${reason}`,
			hint: 'Run the same command again once that is put right',
		});
	}

	#broken(action: string, error: ExecFileException): GatepassError {
		const {code} = error;
		if (code === 'ENOENT') {
			return new GatepassError({
				code: 'authority-unusable',
				what: `There is no program ${this.#program}`,
				hint: 'Give --authority-command its whole path, and write its arguments after it',
			});
		}
		if (code === 'EACCES') {
			return new GatepassError({
				code: 'authority-unusable',
				what: `${this.#program} may not be run`,
				hint: "Make it executable with 'chmod +x'",
			});
		}
		if (code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') {
			return new GatepassError({
				code: 'authority-unusable',
				what: `'${this.#program} ${action}' printed more than ${largestAnswer} bytes`,
				hint: 'A certificate with its chain is shorter',
			});
		}
		return new GatepassError({
			code: 'authority-unusable',
			what: `'${this.#program} ${action}' ${describeEnd(error, {timeout: this.#timeout, maxBuffer: largestAnswer})}`,
			hint: 'Run it by hand to see what it waits for',
		});
	}
}

/** Words as a shell splits them, with quotes, but without anything that a shell would do. */
export function splitWords(command: string): string[] {
	const words: string[] = [];
	for (const [, ...parts] of command.matchAll(/((?:[^\s'"]|'[^']*'|"[^"]*")+)|(['"])/g)) {
		const [word, openQuote] = parts;
		if (openQuote !== undefined)
			throw new GatepassError({
				code: 'authority-unusable',
				what: 'A quotation mark in --authority-command is not closed',
				hint: '',
			});
		words.push((word ?? '').replace(/'([^']*)'|"([^"]*)"/g, (_, single, double) => single ?? double));
	}
	return words;
}

/** What a program said at last; made fit for a message. */
function lastLine(errors: Buffer): string {
	const lines = errors.toString('utf8').split(/\r?\n/).map(printable);
	return (lines.findLast(line => line !== '') ?? '').slice(0, 500).replace(/\.$/, '');
}

function printable(line: string): string {
	// A terminal would obey control characters.
	return line.replace(/\p{Cc}/gu, ' ').trim();
}
