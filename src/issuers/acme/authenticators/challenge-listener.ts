/** A server that listens while challenges are open, and no longer. */
import type {Server} from 'node:net';
import {GatepassError} from '../../../errors.ts';
import type {CleanUp} from './authenticator.ts';

export interface ListenerSettings {
	/** Where to listen. Default: every address of this machine, of IPv4 and IPv6. */
	readonly address?: string | undefined;
	/** Default: where authorities look. */
	readonly port?: number | undefined;
}

/** What the listener of one kind of challenge is made of. */
export interface ListenerKind<Listener extends Server, Answer> {
	/** The challenge, as RFC 8555 names it. */
	readonly challenge: string;
	/** Where authorities look. */
	readonly usualPort: number;
	/** Makes a server that gives the answers, which come and go while it listens. */
	create(answers: ReadonlyMap<string, Answer>): Listener;
	/** Before it is closed: end what a client could keep open. */
	letGo?(server: Listener): void;
	/** What to do where it cannot listen, by Node's code. */
	hintFor(code: string | undefined): string;
}

export class ChallengeListener<Listener extends Server, Answer> {
	readonly #kind: ListenerKind<Listener, Answer>;
	readonly #settings: ListenerSettings;
	readonly #answers = new Map<string, Answer>();
	#listening: Promise<Listener> | undefined;

	constructor(kind: ListenerKind<Listener, Answer>, settings: ListenerSettings) {
		this.#kind = kind;
		this.#settings = settings;
	}

	/** Give an answer to whoever asks for it by this name, until what is returned is called. */
	async open(name: string, answer: Answer): Promise<CleanUp> {
		this.#answers.set(name, answer);
		try {
			this.#listening ??= this.#listen();
			await this.#listening;
		} catch (error) {
			this.#listening = undefined;
			this.#answers.delete(name);
			throw error;
		}
		return async () => {
			this.#answers.delete(name);
			const listening = this.#listening;
			if (this.#answers.size > 0 || listening === undefined) return;
			this.#listening = undefined;
			const server = await listening;
			this.#kind.letGo?.(server);
			await new Promise(done => server.close(done));
		};
	}

	async #listen(): Promise<Listener> {
		const {challenge, usualPort} = this.#kind;
		const {address, port = usualPort} = this.#settings;
		const server = this.#kind.create(this.#answers);
		try {
			await new Promise<void>((listening, failed) => {
				server.once('error', failed);
				server.listen({port, ...(address !== undefined && {host: address})}, listening);
			});
		} catch (error) {
			const {code} = error as NodeJS.ErrnoException;
			throw new GatepassError(
				{
					code: 'challenge-port-unavailable',
					what: `Nothing could listen on ${address ?? 'this machine'}, port ${port}, for the challenge ${challenge} (${code})`,
					hint: this.#kind.hintFor(code),
				},
				{cause: error},
			);
		}
		return server;
	}
}
