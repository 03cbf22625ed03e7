/**
 * Runs in a thread of its own: every call of the GSS-API may block, for as long as a KDC does not answer, and cannot
 * be cancelled. Node's own pool of threads is left to DNS and files.
 *
 * This file and what it imports is also run as it stands, by Node's type stripping: no decorators or enums here.
 */
import {parentPort, receiveMessageOnPort, workerData} from 'node:worker_threads';
import {isOfKerberos} from './codes.ts';
import {Credentials} from './gss-credentials.ts';
import {GssFailure, succeed} from './gss-failure.ts';
import {bufferOf, type GssBuffer, type GssCalls, loadGssLibrary, oids} from './gss-library.ts';
import type {Answer, Call, CredentialFacts, Failure, Progress, WorkerSettings} from './gss-messages.ts';
import type {GssContextRequest, GssService} from './gss-provider.ts';
import {type Pointer, place} from './native.ts';
import {holdsReply} from './server-token.ts';
import type {ServicePrincipal} from './service-principal.ts';
import {ServicePrincipals} from './service-principals.ts';
import type {Credential} from './shared-credential.ts';

/** RFC 2744 section 5.19. */
const flags = {delegate: 1, mutual: 2, sequence: 8, delegateByPolicy: 0x8000};
const continueNeeded = 1;
/** GSS_S_BAD_MECH */
const badMechanism = 1;
/** GSS_S_DEFECTIVE_TOKEN */
const defectiveToken = 9 << 16;

/**
 * Milliseconds for which a thread waits for its next call beside its event loop, which takes some 5 µs to wake up. Where
 * requests come one at a time, the server's proof follows within that.
 */
const attention = 5;
/** Milliseconds that the start of the library takes at most. */
const longestStart = 2000;

interface OpenContext {
	readonly handle: [Pointer];
	readonly beginning: GssContextRequest;
	readonly service: ServicePrincipal;
	readonly credential: Credential;
}

class GssWorker {
	readonly #calls: GssCalls;
	readonly #credentials: Credentials;
	readonly #services: ServicePrincipals;
	readonly #contexts = new Map<number, OpenContext>();

	constructor(calls: GssCalls, settings: WorkerSettings) {
		this.#calls = calls;
		this.#credentials = new Credentials(calls, settings.source);
		this.#services = new ServicePrincipals(calls);
	}

	get isHeimdal(): boolean {
		return this.#calls.kind === 'heimdal';
	}

	/** Whether a failure may be due to a file that somebody is about to write. */
	get isFileChanging(): boolean {
		return this.#credentials.isFileChanging;
	}

	handle(call: Call): Answer['result'] {
		switch (call.kind) {
			case 'begin':
				return this.#begin(call.context, call.beginning);
			case 'step':
				return this.#step(call.context, call.token);
			case 'whose':
				return this.#whose(call.service);
			case 'inquire':
				return this.#inquire();
			case 'dispose':
			case 'end':
				return undefined;
		}
	}

	#begin(id: number, beginning: GssContextRequest): Progress {
		const service = this.#services.use(beginning);
		let context: OpenContext | undefined;
		try {
			const credential = this.#credentials.acquire(service, beginning.renew);
			context = {handle: place(), beginning, service, credential};
			service.refer(credential.cache);
			const progress = this.#initSecContext(context, undefined);
			const principal = this.#credentials.noteUse(service, credential);
			// An established context is needed no more, so nobody has to say so.
			if (progress.isComplete) this.#release(context);
			else this.#contexts.set(id, context);
			return {...progress, principal};
		} catch (error) {
			// What the file itself says counts, and is what a user understands.
			const isCopy = context?.credential.isCopy === true;
			const reason = context === undefined || isCopy ? error : this.#reasonBehind(error, context);
			if (context === undefined) service.release();
			else this.#release(context);
			if (isCopy) return this.#begin(id, {...beginning, renew: true});
			throw reason;
		}
	}

	/**
	 * Heimdal's SPNEGO says only that no mechanism would do, and MIT's numbers what went wrong by the order of its
	 * happening. Kerberos by itself says why it would not, by its own code.
	 */
	#reasonBehind(error: unknown, context: OpenContext): unknown {
		if (!(error instanceof GssFailure) || context.beginning.mechanism === 'krb5') return error;
		const {major = 0, minor = 0} = error.failure;
		if (major >>> 16 !== badMechanism && (minor === 0 || isOfKerberos(minor))) return error;
		const alone: OpenContext = {
			...context,
			handle: place(),
			beginning: {...context.beginning, mechanism: 'krb5'},
		};
		try {
			this.#initSecContext(alone, undefined);
			return error;
		} catch (reason) {
			return reason;
		} finally {
			if (alone.handle[0] !== null) this.#calls.deleteSecContext([0], alone.handle, null);
		}
	}

	#whose(beginning: GssService): string | undefined {
		const service = this.#services.use(beginning);
		try {
			return this.#credentials.ownerFor(service);
		} finally {
			service.release();
		}
	}

	#step(id: number, token: Uint8Array): Progress {
		const context = this.#contexts.get(id);
		if (context === undefined) throw new GssFailure({phase: 'context', text: 'The context has ended'});
		let isOver = true;
		try {
			if (!holdsReply(token, context.beginning.mechanism)) {
				throw new GssFailure({
					phase: 'context',
					text: "The server's token is none of Kerberos",
					major: defectiveToken,
				});
			}
			const progress = this.#initSecContext(context, token);
			isOver = progress.isComplete;
			return progress;
		} finally {
			// A context that failed is good for nothing more, either.
			if (isOver) this.dispose(id);
		}
	}

	#initSecContext(
		{handle, beginning, service, credential}: OpenContext,
		token: Uint8Array | undefined,
	): Progress {
		const calls = this.#calls;
		const {mutualAuthentication, delegate, mechanism, channelBindings} = beginning;
		const wanted =
			(mutualAuthentication ? flags.mutual | flags.sequence : 0) |
			(delegate === true ? flags.delegate : delegate === 'policy' ? flags.delegateByPolicy : 0);
		const empty = bufferOf(undefined);
		const bindings =
			channelBindings === undefined
				? null
				: {
						initiatorType: 0,
						initiator: empty,
						acceptorType: 0,
						acceptor: empty,
						application: bufferOf(channelBindings),
					};
		const minor: [number] = [0];
		const [output, granted] = [{} as GssBuffer, [0] as [number]];
		const major = calls.initSecContext(
			...[minor, credential.handle, handle, service.name, oids[mechanism], wanted, 0, bindings],
			...[token === undefined ? null : bufferOf(token), null, output, granted, null],
		);
		const result = calls.take(output);
		succeed(calls, 'context', major, minor);
		// The libraries go on without it, and say nothing.
		if (delegate === true && token === undefined && (granted[0] & flags.delegate) === 0) {
			throw new GssFailure({phase: 'context', text: 'The library made a token without delegation'});
		}
		return {token: result, isComplete: (major & continueNeeded) === 0};
	}

	#inquire(): CredentialFacts {
		const credential = this.#credentials.acquire(undefined, false);
		try {
			const {kind, file} = this.#calls;
			const library = `${kind === 'mit' ? 'MIT' : 'Heimdal'} (${file})`;
			return {library, cache: credential.cache, ...this.#credentials.facts(credential)};
		} finally {
			credential.release();
		}
	}

	/** Let go of all that the library holds for this thread: its tickets in memory would outlive it. */
	close(): void {
		for (const id of this.#contexts.keys()) this.dispose(id);
		this.#credentials.close();
		this.#services.close();
	}

	dispose(id: number): void {
		const context = this.#contexts.get(id);
		if (context === undefined) return;
		this.#contexts.delete(id);
		this.#release(context);
	}

	#release({handle, service, credential}: OpenContext): void {
		const calls = this.#calls;
		if (handle[0] !== null) calls.deleteSecContext([0], handle, null);
		service.release();
		credential.release();
	}
}

/** Do what must not happen in two threads at once. One that hangs in it is not waited for for long. */
function lockIn(lock: WorkerSettings['lock']): void {
	while (Atomics.compareExchange(lock, 0, 0, 1) !== 0) {
		if (Atomics.wait(lock, 0, 1, longestStart) === 'timed-out') break;
	}
}

function unlock(lock: WorkerSettings['lock']): void {
	Atomics.store(lock, 0, 0);
	Atomics.notify(lock, 0);
}

/** Load the library and its mechanisms while no other thread does. */
async function startLibrary({library, lock}: WorkerSettings): Promise<GssCalls> {
	lockIn(lock);
	try {
		const calls = await loadGssLibrary(library);
		// The set that it gives is the library's, once for each thread, and small.
		calls.indicateMechanisms([0], place());
		return calls;
	} finally {
		unlock(lock);
	}
}

function failureOf(error: unknown): Failure {
	if (error instanceof GssFailure) return error.failure;
	const {code, syscall, path} = error as NodeJS.ErrnoException;
	// A file that is not there, for example; other errors' messages are not known to be harmless.
	const text = syscall === undefined ? 'An unexpected error' : `${path ?? syscall}: ${code}`;
	return {phase: 'credential', text};
}

const port = parentPort;
if (port !== null) {
	const settings = workerData as WorkerSettings;
	const opening = startLibrary(settings).then(calls => new GssWorker(calls, settings));
	// Each call is told of the failure; nobody waits for the promise itself.
	opening.catch(() => {});
	let worker: GssWorker | undefined;
	let unavailable: Failure | undefined;
	let isFirst = false;
	/** Heimdal loads what it needs to find a KDC with its first ticket. */
	const handleFirst = (ready: GssWorker, call: Call): ReturnType<GssWorker['handle']> => {
		isFirst = false;
		lockIn(settings.lock);
		try {
			return ready.handle(call);
		} finally {
			unlock(settings.lock);
		}
	};
	const answer = (call: Call): void => {
		// Without its port the thread has nothing left to do, and ends.
		if (call.kind === 'end') {
			port.close();
			worker?.close();
			return;
		}
		if (Atomics.load(settings.abandoned, 0) === 1) return;
		const reply = (rest: Omit<Answer, 'id'>): void => {
			if ('id' in call) port.postMessage({id: call.id, ...rest});
		};
		try {
			if (worker === undefined) throw new GssFailure(unavailable as Failure);
			reply({result: isFirst ? handleFirst(worker, call) : worker.handle(call)});
		} catch (error) {
			reply({failure: {...failureOf(error), isPassing: worker?.isFileChanging === true}});
		}
		// Nobody waits for that.
		for (const context of call.ended ?? []) worker?.dispose(context);
	};
	/** Take calls without going back to the event loop, for as long as they follow each other closely. */
	const answerAll = (first: Call): void => {
		answer(first);
		const {bell} = settings;
		for (;;) {
			const rung = Atomics.load(bell, 0);
			const next = receiveMessageOnPort(port) as {message: Call} | undefined;
			if (next !== undefined) answer(next.message);
			else if (Atomics.wait(bell, 0, rung, attention) === 'timed-out') return;
		}
	};
	await opening.then(
		opened => {
			worker = opened;
			isFirst = opened.isHeimdal;
		},
		(error: Error) => {
			unavailable = {phase: 'library', text: error.message};
		},
	);
	port.on('message', answerAll);
}
