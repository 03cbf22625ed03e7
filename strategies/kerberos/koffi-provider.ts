/** GSS-API contexts of the system's library, for one rule. */
import {setTimeout as pause} from 'node:timers/promises';
import type {GatepassError} from '../../src/errors.ts';
import {explainFailure} from './explain-failure.ts';
import type {CredentialFacts, Failure, Progress, ThreadSettings} from './gss-messages.ts';
import type {GssContext, GssContextRequest, GssProvider, GssService} from './gss-provider.ts';
import {refusalIn} from './refusal.ts';
import {replacementTime} from './replacement.ts';
import {type TicketFacts, ticketFactsIn} from './ticket-facts.ts';
import {CallFailed, WorkerThread} from './worker-thread.ts';

/** What the provider is made for. */
export interface KoffiProviderSettings extends ThreadSettings {
	/** Milliseconds for one call. */
	readonly timeout: number;
	/** For messages: the rule's patterns and place. */
	readonly rule: string;
}

export class KoffiProvider implements GssProvider {
	readonly #settings: KoffiProviderSettings;
	readonly #thread: WorkerThread;
	#contexts = 0;

	constructor(settings: KoffiProviderSettings) {
		const {library, source, timeout} = settings;
		this.#settings = settings;
		this.#thread = new WorkerThread({library, source}, timeout);
	}

	async whose({target, canonicalizeHostname}: GssService): Promise<string | undefined> {
		try {
			return await this.#thread.whose({service: {target, canonicalizeHostname}});
		} catch {
			// The context says what is wrong, where the server asks for one.
			return undefined;
		}
	}

	async createContext(request: GssContextRequest): Promise<GssContext> {
		this.#contexts += 1;
		const context = this.#contexts;
		const begin = (): Promise<Progress> => this.#thread.begin({context, beginning: request});
		const first = await this.#explained(request.target, () => onceMore(begin));
		return new KoffiContext(first, {
			step: token => this.#explained(request.target, () => this.#thread.step({context, token})),
			explain: failure => this.#explain(new CallFailed(failure), request.target),
			dispose: () => this.#thread.dispose(context),
		});
	}

	/** Whose the credential is; asks the KDC where tickets come from a key table or a password. */
	inquire(): Promise<CredentialFacts> {
		return this.#explained(undefined, () => this.#thread.inquire());
	}

	/** Have the KDC give a ticket for a service, unless there is one. Fails as a request would. */
	async check(service: GssService): Promise<void> {
		await this.ticketFor(service);
	}

	/** The same; what stands in the ticket for everybody to read. */
	async ticketFor(service: GssService): Promise<TicketFacts> {
		const context = await this.createContext({
			...service,
			mechanism: 'krb5',
			mutualAuthentication: true,
			delegate: false,
			channelBindings: undefined,
			renew: false,
		});
		context.dispose();
		return ticketFactsIn(context.token);
	}

	async close(): Promise<void> {
		await this.#thread.close();
	}

	async #explained<Result>(target: string | undefined, call: () => Promise<Result>): Promise<Result> {
		try {
			return await call();
		} catch (error) {
			throw this.#explain(error as Error, target);
		}
	}

	#explain(error: Error, target: string | undefined): GatepassError {
		return explainFailure(error, {...this.#settings, target});
	}
}

/** A file that is being replaced is whole again in a moment. */
async function onceMore<Result>(call: () => Promise<Result>): Promise<Result> {
	try {
		return await call();
	} catch (error) {
		if (!(error instanceof CallFailed && error.failure.isPassing)) throw error;
		await pause(replacementTime);
		return call();
	}
}

/** What a context asks of its provider. */
interface Calls {
	step(token: Uint8Array): Promise<Progress>;
	explain(failure: Failure): GatepassError;
	dispose(): void;
}

class KoffiContext implements GssContext {
	readonly token: Uint8Array;
	readonly principal: string | undefined;
	readonly #calls: Calls;
	isComplete: boolean;

	constructor({token, isComplete, principal}: Progress, calls: Calls) {
		this.token = token;
		this.principal = principal;
		this.isComplete = isComplete;
		this.#calls = calls;
	}

	async step(input: Uint8Array): Promise<Uint8Array> {
		const {token, isComplete} = await this.#calls.step(input);
		this.isComplete = isComplete;
		return token;
	}

	refusal(token: Uint8Array): GatepassError | undefined {
		const failure = refusalIn(token);
		return failure === undefined ? undefined : this.#calls.explain(failure);
	}

	dispose(): void {
		// The thread has let go of one that is complete.
		if (!this.isComplete) this.#calls.dispose();
	}
}
