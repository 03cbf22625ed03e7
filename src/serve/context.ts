/** What all parts of the proxy share. */
import type {IncomingMessage, ServerResponse} from 'node:http';
import type {Socket} from 'node:net';
import type {Duplex} from 'node:stream';
import type {AccessEntry, AccessLog} from './access-log.ts';
import type {Activity} from './activity.ts';
import type {Admission} from './admission.ts';
import type {Authority} from './authority.ts';
import type {Generation} from './generation.ts';
import {answerProblem, type Problem, refuseConnection} from './problem.ts';

export interface ProxyContext {
	/** The configuration in force. */
	readonly generation: Generation;
	readonly activity: Activity;
	readonly admission: Admission;
	readonly log: AccessLog | undefined;
	/** Tells whoever runs the proxy. */
	readonly tell: (text: string) => void;
	/** Made when the first tunnel is opened. */
	readonly authority: () => Authority;
	/** Whether the proxy itself listens there. */
	isItself(hostname: string, port: number): boolean;
	/** It stops: each connection ends with the answer that it is busy with. */
	readonly isClosing: boolean;
	/** Connections that are no longer an HTTP server's, to be ended with the proxy. */
	readonly detached: Set<Duplex>;
}

/** One request or tunnel under way: writes its line when it is over. */
export class Visit {
	readonly #context: ProxyContext;
	readonly #begun = performance.now();
	readonly #form: AccessEntry['form'];
	readonly #method: string;
	readonly #socket: Socket | undefined;
	readonly #before: {read: number; written: number};
	readonly #generation: Generation;
	target: string;
	rule: string | undefined;
	#problem: Problem | undefined;
	#isOver = false;

	constructor(context: ProxyContext, form: AccessEntry['form'], request: IncomingMessage, target: string) {
		this.#context = context;
		this.#form = form;
		this.#method = request.method ?? '';
		this.#socket = request.socket;
		const {bytesRead: read = 0, bytesWritten: written = 0} = request.socket ?? {};
		this.#before = {read, written};
		this.target = target;
		this.#generation = context.generation;
		this.#generation.enter();
	}

	readonly noteProblem = (problem: Problem): void => {
		this.#problem = problem;
	};

	/** Write its line when the answer is out, or nobody waits for it any more. */
	watch(response: ServerResponse): this {
		response.once('close', () => this.end(response.headersSent ? response.statusCode : undefined));
		return this;
	}

	refuse(response: ServerResponse, problem: Problem): void {
		this.noteProblem(problem);
		answerProblem(response, problem);
	}

	refuseConnection(socket: Duplex, problem: Problem): void {
		this.noteProblem(problem);
		refuseConnection(socket, problem);
		this.end(problem.status);
	}

	end(status: number | undefined): void {
		if (this.#isOver) return;
		this.#isOver = true;
		this.#generation.leave();
		const {activity, log} = this.#context;
		const {bytesRead = 0, bytesWritten = 0} = this.#socket ?? {};
		const entry: AccessEntry = {
			form: this.#form,
			method: this.#method,
			target: this.target,
			status: status ?? this.#problem?.status,
			duration: performance.now() - this.#begun,
			received: bytesRead - this.#before.read,
			sent: bytesWritten - this.#before.written,
			...(this.rule !== undefined && {rule: this.rule}),
			...(this.#problem !== undefined && {code: this.#problem.code, detail: this.#problem.detail}),
		};
		activity.count(entry);
		log?.add(entry);
	}
}
